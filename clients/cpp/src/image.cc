#include "imagegen/image.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "media_type.h"
#include "metadata.h"

namespace imagegen {

Image::Image(v1::Image facts, std::shared_ptr<const std::string> bytes, Metadata metadata)
    : facts_(std::move(facts)), bytes_(std::move(bytes)), metadata_(std::move(metadata)) {
  facts_.clear_data();  // never those beside the facts: nobody has checked them
}

Image Image::FromFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string data;
  std::array<char, 65536> piece;
  while (file && data.size() <= kMaxImageBytes) {
    file.read(piece.data(), piece.size());
    data.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    const int why = errno != 0 ? errno : EIO;
    throw std::filesystem::filesystem_error("the image cannot be read", path, {why, std::generic_category()});
  }
  return FromBytes(std::move(data), internal::MediaTypeOf(path));
}

Image Image::FromBytes(std::string data, std::string media_type) {
  if (data.empty()) throw std::invalid_argument("an image cannot be empty");
  if (data.size() > kMaxImageBytes) {
    throw std::invalid_argument("the image has " + std::to_string(data.size()) + " bytes; the limit is " +
                                std::to_string(kMaxImageBytes) + " (64 MiB)");
  }
  v1::Image facts;
  facts.set_media_type(std::move(media_type));
  facts.set_size_bytes(static_cast<std::uint32_t>(data.size()));
  return {std::move(facts), std::make_shared<const std::string>(std::move(data))};
}

Image Image::FromUrl(std::string url, std::string media_type) {
  if (url.empty()) throw std::invalid_argument("the address of an image cannot be empty");
  Image image;
  image.facts_.set_media_type(std::move(media_type));
  image.url_ = std::move(url);
  return image;
}

Image Image::FromId(std::string image_id) {
  if (image_id.empty()) throw std::invalid_argument("an image id cannot be empty");
  Image image;
  image.facts_.set_image_id(std::move(image_id));
  return image;
}

Image Image::WithMetadata(Metadata metadata) const {
  Image image = *this;
  image.metadata_ = std::move(metadata);
  return image;
}

std::optional<std::uint32_t> Image::width() const {
  return facts_.has_width() ? std::optional(facts_.width()) : std::nullopt;
}

std::optional<std::uint32_t> Image::height() const {
  return facts_.has_height() ? std::optional(facts_.height()) : std::nullopt;
}

std::optional<std::chrono::system_clock::time_point> Image::expire_time() const {
  if (!facts_.has_expire_time()) return std::nullopt;
  // A Timestamp can say more than the clock; with room for the nanoseconds.
  using std::chrono::seconds;
  using std::chrono::system_clock;
  constexpr std::int64_t kMost = std::chrono::duration_cast<seconds>(system_clock::duration::max()).count() - 3;
  const seconds since(std::clamp<std::int64_t>(facts_.expire_time().seconds(), -kMost, kMost));
  return system_clock::time_point(since + std::chrono::microseconds(facts_.expire_time().nanos() / 1000));
}

std::string_view Image::bytes() const {
  if (bytes_) return *bytes_;
  if (!image_id().empty()) {
    throw std::logic_error("the bytes of image " + image_id() + " are at the server: fetch them with Client::Read");
  }
  if (!url_.empty()) {
    throw std::logic_error("the bytes of this image are at its URL, and are fetched by the server only");
  }
  throw std::logic_error("this image came without bytes: previews delivered by reference have facts only");
}

GeneratedImage::GeneratedImage(v1::GeneratedImage made, std::shared_ptr<const std::string> bytes)
    : Image(std::move(*made.mutable_image()), std::move(bytes), internal::MetadataFrom(*made.mutable_metadata())),
      index_(made.index()) {
  if (made.has_seed()) seed_ = made.seed();
  if (made.has_revised_prompt()) revised_prompt_ = made.revised_prompt();
}

GeneratedImage::GeneratedImage(const GeneratedImage& made, Image read)
    : Image(std::move(read)), index_(made.index_), seed_(made.seed_), revised_prompt_(made.revised_prompt_) {}

}  // namespace imagegen
