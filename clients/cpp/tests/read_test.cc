#include <gtest/gtest.h>

#include <functional>

#include "fake_server.h"

namespace imagegen::test {
namespace {

// A server that hands out one image in pieces.
class Reads : public testing::Test {
 protected:
  Reads() {
    server_.on_read = [this](auto& context, const auto& request, auto& writer) {
      offsets_.push_back(request.offset());
      v1::ReadImageResponse piece;
      *piece.mutable_image() = Opening(0, told_).complete().image();
      for (std::size_t at = request.offset(); at <= bytes_.size(); at += 100) {
        if (at >= stop_) break;
        piece.set_offset(static_cast<std::uint32_t>(at));
        piece.set_data(bytes_.substr(at, 100));
        writer.Write(piece);
        piece.clear_image();
      }
      return end_ ? end_(context) : grpc::Status::OK;
    };
  }
  std::optional<Error> Failure() {
    try {
      server_.client().Read(Image::FromId("img_0"));
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }

  std::string bytes_ = Bytes(250);
  std::string told_ = bytes_;
  std::size_t stop_ = SIZE_MAX;
  std::function<grpc::Status(grpc::ServerContext&)> end_;
  std::vector<std::uint32_t> offsets_;
  FakeServer server_;  // last: its handlers use the others
};

// An image by its id, whole and checked.
TEST_F(Reads, ById) {
  const Image image = server_.client().Read(Image::FromId("img_0"));
  EXPECT_EQ(image.bytes(), bytes_);
  EXPECT_EQ(image.media_type(), "image/png");
}

// What is known of a generated image is kept; one that has its bytes is not fetched.
TEST_F(Reads, KeepsWhatIsKnown) {
  v1::GeneratedImage made;
  made.set_index(3);
  made.set_seed(7);
  made.mutable_image()->set_image_id("img_0");
  const GeneratedImage read = server_.client().Read(GeneratedImage(made, nullptr));
  EXPECT_EQ(read.index(), 3);
  EXPECT_EQ(read.seed(), 7);
  EXPECT_EQ(read.bytes(), bytes_);
  EXPECT_EQ(server_.client().Read(read).bytes(), bytes_);
  EXPECT_EQ(server_.calls("ReadImage"), 1);
  EXPECT_THROW(server_.client().Read(Image::FromUrl("https://example.com/a.png")), std::invalid_argument);
}

// A read that breaks off goes on once where it broke.
TEST_F(Reads, GoesOnOnce) {
  stop_ = 200;
  end_ = [this](auto&) {
    if (offsets_.size() > 1) return grpc::Status::OK;
    stop_ = SIZE_MAX;
    return grpc::Status(grpc::StatusCode::INTERNAL, "reset");
  };
  EXPECT_EQ(server_.client().Read(Image::FromId("img_0")).bytes(), bytes_);
  EXPECT_EQ(offsets_, (std::vector<std::uint32_t>{0, 200}));
  offsets_ = {};
  stop_ = 100;
  end_ = [](auto&) { return grpc::Status(grpc::StatusCode::INTERNAL, "reset"); };
  EXPECT_EQ(Failure()->code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(offsets_.size(), 2);
}

// A message that cannot be read is no end to wait for.
TEST_F(Reads, AMessageThatCannotBeReadEndsTheCall) {
  server_.on_read = [this](auto& context, const auto&, auto& writer) {
    v1::ReadImageResponse piece;
    *piece.mutable_image() = Opening(0, told_).complete().image();
    piece.mutable_image()->set_media_type("\xff is no UTF-8");
    writer.Write(piece);
    writer.Write(piece);
    return server_.UntilLeft(context);
  };
  ConnectOptions options;
  options.timeout = std::chrono::seconds(5);
  try {
    server_.client(options).Read(Image::FromId("img_0"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_INVALID_RESPONSE);
    EXPECT_EQ(error.billed(), v1::BILLED_NO);
  }
}

// What the server refuses is not asked again.
TEST_F(Reads, RefusalIsFinal) {
  stop_ = 0;
  end_ = [](auto& context) { return Worded(context, grpc::StatusCode::NOT_FOUND, v1::ERROR_REASON_IMAGE_NOT_FOUND); };
  EXPECT_EQ(Failure()->reason(), v1::ERROR_REASON_IMAGE_NOT_FOUND);
  EXPECT_EQ(offsets_.size(), 1);
}

// Other bytes than told, too few, none, or those of another image than asked for are INVALID_RESPONSE, and free.
TEST_F(Reads, BytesAreChecked) {
  const auto expect_invalid = [this] {
    const std::optional<Error> error = Failure();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->reason(), v1::ERROR_REASON_INVALID_RESPONSE);
    EXPECT_EQ(error->billed(), v1::BILLED_NO);
  };
  told_[0] ^= 1;
  expect_invalid();
  told_ = bytes_;
  stop_ = 200;
  expect_invalid();
  stop_ = 0;
  expect_invalid();
  stop_ = SIZE_MAX;
  v1::GeneratedImage other = Opening(0, "other").complete();
  EXPECT_THROW(server_.client().Read(GeneratedImage(other, nullptr)), Error);
}

}  // namespace
}  // namespace imagegen::test
