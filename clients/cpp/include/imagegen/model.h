/// @file
/// An image model, bound with its parameters: the object in the middle of the interface.
#ifndef IMAGEGEN_MODEL_H_
#define IMAGEGEN_MODEL_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imagegen/image.h"
#include "imagegen/result.h"
#include "imagegen/settings.h"
#include "imagegen/stream.h"
#include "imagegen/v1/image_service.pb.h"
#include "imagegen/v1/model_service.pb.h"

namespace imagegen {

namespace internal {
class Connection;
}  // namespace internal

/// The pictures that an edit works on.
struct EditImages {
  /// The first is the one edited, the others are references.
  std::vector<Image> images;
  /// What may change: where it is transparent or, if it has no transparency, white. Same pixel size as the first image.
  std::optional<Image> mask = std::nullopt;
};

/// A model with settings that hold for all of its calls; made by Client::image. Copies are cheap to keep and share the
/// connection and the answer of Capabilities(). May be used by several threads at once.
class ImageModel {
 public:
  /// For this library.
  ImageModel(std::shared_ptr<internal::Connection> connection, std::string model, CallSettings settings);

  /// As it was asked for: "provider/model", or an alias of the server's configuration.
  const std::string& model() const noexcept { return model_; }
  /// The provider's own parameters that every call carries.
  const Params& params() const noexcept { return settings_.params; }
  /// The portable wishes that every call carries.
  const v1::ImageOptions& options() const noexcept { return settings_.options; }

  /// What the model can do. Asked of the server once, then remembered. What is not set is not known.
  /// @throws Error MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
  v1::ModelCapabilities Capabilities() const;

  /// Draws, and waits for the end. Asks for no previews unless preview_count is set.
  /// @throws Error no image came. If some did and others failed, that is no error: see ImageResult::failures.
  /// @throws std::invalid_argument a setting that cannot be carried; nothing was sent.
  ImageResult Generate(std::string_view prompt, const CallSettings& settings = {}) const;

  /// Draws, and tells and shows how it goes. Returns when the request is sent; what the server says to it is thrown by
  /// the stream.
  /// @throws std::invalid_argument as in Generate.
  ImageStream Stream(std::string_view prompt, const CallSettings& settings = {}) const;

  /// Changes a picture, and waits for the end. The prompt may be empty where the model edits without words.
  /// @throws Error as in Generate.
  /// @throws std::invalid_argument as in Generate; also for an image that has no source.
  ImageResult Edit(std::string_view prompt, const EditImages& images, const CallSettings& settings = {}) const;

  /// Changes a picture as Edit does, and tells and shows how it goes, as Stream does.
  /// @throws std::invalid_argument as in Edit.
  ImageStream StreamEdit(std::string_view prompt, const EditImages& images, const CallSettings& settings = {}) const;

  /// What Generate would do with the same arguments, without doing it and without cost: the provider calls in the order
  /// in which they would be tried.
  /// @throws Error the request would be refused, or the server could not be asked.
  /// @throws std::invalid_argument as in Generate.
  std::vector<v1::PlannedCall> Explain(std::string_view prompt, const CallSettings& settings = {}) const;

  /// What Edit would do with the same arguments, as Explain.
  /// @throws Error as in Explain.
  /// @throws std::invalid_argument as in Edit.
  std::vector<v1::PlannedCall> ExplainEdit(std::string_view prompt, const EditImages& images,
                                           const CallSettings& settings = {}) const;

 private:
  struct Known;

  std::shared_ptr<internal::Connection> connection_;
  std::string model_;
  CallSettings settings_;
  std::shared_ptr<Known> known_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_MODEL_H_
