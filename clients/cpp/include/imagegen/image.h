/// @file
/// Images: what is given to the server and what comes back from it.
#ifndef IMAGEGEN_IMAGE_H_
#define IMAGEGEN_IMAGE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "imagegen/params.h"
#include "imagegen/v1/image.pb.h"

namespace imagegen {

/// The largest image that the API carries, in bytes: 64 MiB.
inline constexpr std::size_t kMaxImageBytes = std::size_t{64} * 1024 * 1024;

/// An image: bytes, or a reference to bytes elsewhere. Immutable; copies share the bytes.
class Image {
 public:
  /// An image without a source, which cannot be given to a call.
  Image() = default;

  /// Reads a file. The media type follows from the name and is no more than a hint: the bytes decide.
  /// @throws std::filesystem::filesystem_error the file cannot be read.
  /// @throws std::invalid_argument it is empty or larger than 64 MiB.
  static Image FromFile(const std::filesystem::path& path);
  /// Takes the bytes of an image file (PNG, JPEG, WebP or GIF); the media type is a hint.
  /// @throws std::invalid_argument there are no bytes, or more than 64 MiB.
  static Image FromBytes(std::string data, std::string media_type = {});
  /// Refers to an image at an http or https address of a public host, which the server fetches.
  /// @throws std::invalid_argument the address is empty.
  static Image FromUrl(std::string url, std::string media_type = {});
  /// Refers to an image that the server keeps: an upload or an earlier result of the same caller.
  /// @throws std::invalid_argument the id is empty.
  static Image FromId(std::string image_id);
  /// This image with what a provider said of it earlier; an edit gives it back to the provider.
  Image WithMetadata(Metadata metadata) const;

  /// What is known of the image, without its bytes.
  const v1::Image& facts() const noexcept { return facts_; }
  /// Such as "image/png". Empty = not told.
  const std::string& media_type() const { return facts_.media_type(); }
  /// In pixels. Absent = not told.
  std::optional<std::uint32_t> width() const;
  /// In pixels. Absent = not told.
  std::optional<std::uint32_t> height() const;
  /// Length of the whole image, also when its bytes are elsewhere. 0 = not known.
  std::uint32_t size_bytes() const { return facts_.size_bytes(); }
  /// SHA-256 as the server told it, 64 lowercase hex digits. Empty on previews and on images of your own.
  const std::string& sha256() const { return facts_.sha256(); }
  /// The server's name for the image, good until expire_time(). Empty = none.
  const std::string& image_id() const { return facts_.image_id(); }
  /// When the server forgets the image. Absent = not told.
  std::optional<std::chrono::system_clock::time_point> expire_time() const;
  /// Where the server is to fetch the image. Empty unless made by FromUrl.
  const std::string& url() const noexcept { return url_; }
  /// What else the provider said of it, by provider name.
  const Metadata& metadata() const noexcept { return metadata_; }

  /// Whether the bytes are here.
  bool has_bytes() const noexcept { return bytes_ != nullptr; }
  /// The whole file, as long as this image or a copy of it lives.
  /// @throws std::logic_error the bytes are elsewhere: at a URL, or at the server (Client::Read fetches them).
  std::string_view bytes() const;

  /// Writes the image to a file and returns the path written. A name without a suffix gets that of the media type
  /// ("harbour" becomes "harbour.png"). The file appears whole or not at all: it is written beside its place and then
  /// moved there; a pipe or device is written to directly.
  /// @throws std::logic_error as in bytes().
  /// @throws std::filesystem::filesystem_error the file cannot be written.
  std::filesystem::path Save(const std::filesystem::path& path) const;

  /// An image handed out by the server. For this library; bytes may be null.
  Image(v1::Image facts, std::shared_ptr<const std::string> bytes, Metadata metadata = {});

 private:
  v1::Image facts_;
  std::shared_ptr<const std::string> bytes_;
  std::string url_;
  Metadata metadata_;
};

/// A finished image of a generation. As an Image it can be given to an edit.
class GeneratedImage : public Image {
 public:
  /// The image of a message. For this library; bytes may be null.
  GeneratedImage(v1::GeneratedImage made, std::shared_ptr<const std::string> bytes);
  /// A generated image with other facts and bytes. For this library.
  GeneratedImage(const GeneratedImage& made, Image read);

  /// 0-based, below the count asked for; the same in all events and in the result.
  std::uint32_t index() const noexcept { return index_; }
  /// As used. Absent = not told.
  const std::optional<std::int64_t>& seed() const noexcept { return seed_; }
  /// The prompt as rewritten by the provider. Absent = not told.
  const std::optional<std::string>& revised_prompt() const noexcept { return revised_prompt_; }

 private:
  std::uint32_t index_;
  std::optional<std::int64_t> seed_;
  std::optional<std::string> revised_prompt_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_IMAGE_H_
