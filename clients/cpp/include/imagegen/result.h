/// @file
/// What came of a generation.
#ifndef IMAGEGEN_RESULT_H_
#define IMAGEGEN_RESULT_H_

#include <optional>
#include <string>
#include <vector>

#include "imagegen/image.h"
#include "imagegen/v1/image.pb.h"

namespace imagegen {

/// What came of a generation: at least one image.
class ImageResult {
 public:
  /// For this library: `images` are those of `message`, with their bytes.
  ImageResult(v1::ImageResult message, std::vector<GeneratedImage> images);

  /// At least one, ordered by index.
  const std::vector<GeneratedImage>& images() const noexcept { return images_; }
  /// The first image: all there is when one was asked for.
  const GeneratedImage& image() const { return images_.front(); }
  /// The images that will not come, ordered by index. That others came makes this no error.
  const google::protobuf::RepeatedPtrField<v1::ImageFailure>& failures() const { return message_.failures(); }
  /// The server's id for the generation.
  const std::string& generation_id() const { return message_.generation_id(); }
  /// The name of the wish.
  const std::string& request_id() const { return message_.request_id(); }
  /// The "provider/model" that made the images.
  const std::string& model() const { return message_.model(); }
  /// What is known of use. Absent = nothing.
  std::optional<v1::ImageUsage> usage() const;
  /// What was not done as asked.
  const google::protobuf::RepeatedPtrField<v1::Warning>& warnings() const { return message_.warnings(); }
  /// All provider calls, oldest first.
  const google::protobuf::RepeatedPtrField<v1::Attempt>& attempts() const { return message_.attempts(); }
  /// The message as it came, without bytes; it also has the provider's metadata of the whole answer.
  const v1::ImageResult& message() const noexcept { return message_; }

 private:
  v1::ImageResult message_;
  std::vector<GeneratedImage> images_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_RESULT_H_
