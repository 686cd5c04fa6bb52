#include "imagegen/image.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace imagegen {
namespace {

namespace fs = std::filesystem;

// A directory for the files of one test.
class ImageFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("imagegen-" + std::to_string(std::random_device()()));
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string Content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t Count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

// A name without a suffix gets that of the type; one that has a suffix is kept; nothing else is left behind.
TEST_F(ImageFiles, SaveNamesTheFile) {
  const Image image = Image::FromBytes("bytes", "image/jpeg");
  EXPECT_EQ(image.Save(folder_ / "a"), folder_ / "a.jpg");
  EXPECT_EQ(image.Save(folder_ / "b.png"), folder_ / "b.png");
  EXPECT_EQ(Image::FromBytes("bytes", "image/new").Save(folder_ / "c"), folder_ / "c");
  EXPECT_EQ(Content(folder_ / "a.jpg"), "bytes");
  EXPECT_EQ(Content(folder_ / "b.png"), "bytes");
  EXPECT_EQ(Count(), 3);
}

// A file that is there is replaced with its permissions, and a link stays one.
TEST_F(ImageFiles, SaveReplaces) {
  std::ofstream(folder_ / "old.png") << "a longer content than the new one";
  fs::permissions(folder_ / "old.png", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("old.png", folder_ / "link.png");
  Image::FromBytes("bytes").Save(folder_ / "link.png");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.png"));
  EXPECT_EQ(Content(folder_ / "old.png"), "bytes");
  EXPECT_EQ(fs::status(folder_ / "old.png").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(Count(), 2);
}

// A link to nothing yet stays one as well, and a circle of links is an error.
TEST_F(ImageFiles, SaveFollowsLinks) {
  fs::create_directory(folder_ / "sub");
  fs::create_symlink("sub/new.png", folder_ / "link.png");
  Image::FromBytes("bytes").Save(folder_ / "link.png");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.png"));
  EXPECT_EQ(Content(folder_ / "sub" / "new.png"), "bytes");
  fs::create_symlink("circle.png", folder_ / "circle.png");
  EXPECT_THROW(Image::FromBytes("bytes").Save(folder_ / "circle.png"), fs::filesystem_error);
}

// What cannot be written throws and leaves nothing; a device is written to directly.
TEST_F(ImageFiles, SaveFailsWhole) {
  const Image image = Image::FromBytes("bytes", "image/png");
  EXPECT_THROW(image.Save(folder_ / "missing" / "a.png"), fs::filesystem_error);
  fs::create_directory(folder_ / "taken.png");
  EXPECT_THROW(image.Save(folder_ / "taken.png"), fs::filesystem_error);
  EXPECT_EQ(Count(), 1);
  EXPECT_EQ(image.Save("/dev/null"), "/dev/null");
  EXPECT_THROW(Image::FromId("img_1").Save(folder_ / "a"), std::logic_error);
}

// A file is read whole, and its name gives the hint.
TEST_F(ImageFiles, FromFile) {
  std::ofstream(folder_ / "a.JPEG") << "bytes";
  const Image image = Image::FromFile(folder_ / "a.JPEG");
  EXPECT_EQ(image.bytes(), "bytes");
  EXPECT_EQ(image.media_type(), "image/jpeg");
  EXPECT_EQ(image.size_bytes(), 5);
  EXPECT_THROW(Image::FromFile(folder_ / "missing.png"), fs::filesystem_error);
  EXPECT_THROW(Image::FromFile(folder_), fs::filesystem_error);
}

// An image needs bytes, at most 64 MiB, an address or an id; without bytes it says where they are.
TEST(Image, HasASource) {
  EXPECT_THROW(Image::FromBytes(""), std::invalid_argument);
  EXPECT_THROW(Image::FromBytes(std::string(kMaxImageBytes + 1, 'x')), std::invalid_argument);
  EXPECT_THROW(Image::FromUrl(""), std::invalid_argument);
  EXPECT_THROW(Image::FromId(""), std::invalid_argument);
  EXPECT_FALSE(Image::FromUrl("https://example.com/a.png").has_bytes());
  EXPECT_THROW(Image::FromUrl("https://example.com/a.png").bytes(), std::logic_error);
}

// Bytes that stand beside the facts were checked by nobody, and are not handed out.
TEST(Image, UncheckedBytesAreNotHandedOut) {
  v1::GeneratedImage told;
  told.mutable_image()->set_data("bytes");
  EXPECT_FALSE(GeneratedImage(told, nullptr).has_bytes());
  EXPECT_EQ(GeneratedImage(told, nullptr).facts().data(), "");
}

// Facts that nobody told are absent, never 0.
TEST(Image, FactsMayBeAbsent) {
  v1::GeneratedImage told;
  const GeneratedImage bare(told, nullptr);
  EXPECT_FALSE(bare.width() || bare.height() || bare.seed() || bare.revised_prompt() || bare.expire_time());
  told.set_seed(0);
  told.mutable_image()->set_width(0);
  told.mutable_image()->mutable_expire_time()->set_seconds(5);
  const GeneratedImage image(told, nullptr);
  EXPECT_EQ(image.seed(), 0);
  EXPECT_EQ(image.width(), 0U);
  EXPECT_EQ(image.expire_time(), std::chrono::system_clock::time_point(std::chrono::seconds(5)));
}

// An image that is kept beyond what the clock can say is kept for as long as it can say, and not forgotten long ago.
TEST(Image, AbsurdExpiryIsBounded) {
  v1::GeneratedImage told;
  told.mutable_image()->mutable_expire_time()->set_seconds(253402300799);  // the year 9999, the last of a Timestamp
  told.mutable_image()->mutable_expire_time()->set_nanos(999'999'999);
  EXPECT_GT(GeneratedImage(told, nullptr).expire_time(), std::chrono::system_clock::now());
  told.mutable_image()->mutable_expire_time()->set_seconds(-62135596800);  // the year 1
  EXPECT_LT(GeneratedImage(told, nullptr).expire_time(), std::chrono::system_clock::time_point());
}

}  // namespace
}  // namespace imagegen
