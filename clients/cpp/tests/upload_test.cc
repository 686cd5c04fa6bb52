#include <gtest/gtest.h>

#include "backoff.h"
#include "fake_server.h"

namespace imagegen::test {
namespace {

constexpr std::size_t kPiece = 786'432;

// A server that keeps an upload.
class Uploads : public testing::Test {
 protected:
  Uploads() {
    internal::ScaleBackoff(0.01);
    server_.on_upload = [this](auto&, const auto& request, auto& answer) {
      pieces_.push_back(request.data().size());
      const bool cut = broken_ > 0 && !request.data().empty();
      if (request.offset() == kept_.size()) kept_ += request.data();
      if (cut) {
        --broken_;
        return grpc::Status(grpc::StatusCode::INTERNAL, "reset");
      }
      answer.set_committed_bytes(static_cast<std::uint32_t>(kept_.size()));
      if (kept_.size() == request.size_bytes()) {
        answer.mutable_image()->set_image_id("img_1");
        answer.mutable_image()->set_sha256(told_.empty() ? Digest(kept_) : told_);
        answer.mutable_image()->set_size_bytes(request.size_bytes());
      }
      return grpc::Status::OK;
    };
  }
  ~Uploads() override { internal::ScaleBackoff(1); }

  const std::string bytes_ = Bytes(2 * kPiece + 5);
  std::string kept_;
  std::string told_;
  int broken_ = 0;
  std::vector<std::size_t> pieces_;
  FakeServer server_;  // last: its handlers use the others
};

// It asks what is there, sends the rest in pieces, and returns a reference without bytes.
TEST_F(Uploads, SendsTheRestInPieces) {
  const Image image = server_.client().Upload(Image::FromBytes(bytes_));
  EXPECT_EQ(image.image_id(), "img_1");
  EXPECT_EQ(image.sha256(), Digest(bytes_));
  EXPECT_FALSE(image.has_bytes());
  EXPECT_EQ(kept_, bytes_);
  EXPECT_EQ(pieces_, (std::vector<std::size_t>{0, kPiece, kPiece, 5}));
  pieces_.clear();
  server_.client().Upload(Image::FromBytes(bytes_));
  EXPECT_EQ(pieces_, (std::vector<std::size_t>{0}));
}

// Where the line breaks it asks again, and sends nothing twice that has arrived.
TEST_F(Uploads, AsksAgainWhereTheLineBreaks) {
  broken_ = 1;
  server_.client().Upload(Image::FromBytes(bytes_));
  EXPECT_EQ(kept_, bytes_);
  EXPECT_EQ(pieces_, (std::vector<std::size_t>{0, kPiece, 0, kPiece, 5}));
}

// A line that stays broken is an error after seven waits.
TEST_F(Uploads, ALineThatStaysBrokenIsAnError) {
  server_.on_upload = [](auto&, const auto&, auto&) { return grpc::Status(grpc::StatusCode::INTERNAL, "reset"); };
  EXPECT_THROW(server_.client().Upload(Image::FromBytes("x")), Error);
  EXPECT_EQ(server_.calls("UploadImage"), 8);
}

// A server that takes nothing, forgets, or tells of another image is INVALID_RESPONSE, and free.
TEST_F(Uploads, WrongAnswersAreInvalid) {
  const auto expect_invalid = [this] {
    try {
      server_.client().Upload(Image::FromBytes(bytes_));
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.reason(), v1::ERROR_REASON_INVALID_RESPONSE);
      EXPECT_EQ(error.billed(), v1::BILLED_NO);
    }
  };
  told_ = Digest("other");
  expect_invalid();
  server_.on_upload = [](auto&, const auto&, auto&) { return grpc::Status::OK; };
  expect_invalid();
  server_.on_upload = [](auto&, const auto& request, auto& answer) {
    answer.set_committed_bytes(request.size_bytes());
    return grpc::Status::OK;
  };
  expect_invalid();
}

// What has no bytes cannot be uploaded.
TEST_F(Uploads, NeedsBytes) {
  EXPECT_THROW(server_.client().Upload(Image::FromId("img_1")), std::logic_error);
  EXPECT_EQ(server_.calls("UploadImage"), 0);
}

}  // namespace
}  // namespace imagegen::test
