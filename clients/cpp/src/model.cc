#include "imagegen/model.h"

#include <mutex>
#include <utility>

#include "connection.h"
#include "request.h"
#include "stream_state.h"

namespace imagegen {
namespace {

using internal::Join;
using internal::WithoutPreviews;

std::unique_ptr<internal::StreamState> Begin(const std::shared_ptr<internal::Connection>& connection,
                                             internal::StreamRequest request, const CallSettings& settings) {
  const bool chunked = internal::DeliveryFrom(settings.delivery) == v1::DELIVERY_MODE_INLINE;
  return std::make_unique<internal::StreamState>(connection, std::move(request), connection->Limit(settings.timeout),
                                                 internal::LifetimeOf(settings),
                                                 internal::Assembler(chunked, /*whole=*/true));
}

std::vector<v1::PlannedCall> Planned(internal::Connection& connection, const v1::ExplainRequest& request,
                                     const CallSettings& settings) {
  const v1::ExplainResponse told =
      internal::Ask(connection.images(), &v1::ImageService::Stub::Explain, request, connection.Limit(settings.timeout));
  return {told.calls().begin(), told.calls().end()};
}

}  // namespace

// What the server told of the model.
struct ImageModel::Known {
  std::mutex mutex;
  std::optional<v1::ModelCapabilities> capabilities;
};

ImageModel::ImageModel(std::shared_ptr<internal::Connection> connection, std::string model, CallSettings settings)
    : connection_(std::move(connection)),
      model_(std::move(model)),
      settings_(std::move(settings)),
      known_(std::make_shared<Known>()) {}

v1::ModelCapabilities ImageModel::Capabilities() const {
  const std::lock_guard lock(known_->mutex);
  if (!known_->capabilities) {
    v1::GetModelRequest request;
    request.set_model(model_);
    known_->capabilities = internal::Ask(connection_->models(), &v1::ModelService::Stub::GetModel, request,
                                         connection_->Limit(settings_.timeout))
                               .model()
                               .capabilities();
  }
  return *known_->capabilities;
}

ImageResult ImageModel::Generate(std::string_view prompt, const CallSettings& settings) const {
  CallSettings joined = WithoutPreviews(Join(settings_, settings));
  return Begin(connection_, internal::GenerateRequestFrom(model_, prompt, joined), joined)->TakeResult();
}

ImageStream ImageModel::Stream(std::string_view prompt, const CallSettings& settings) const {
  CallSettings joined = Join(settings_, settings);
  return ImageStream(Begin(connection_, internal::GenerateRequestFrom(model_, prompt, joined), joined));
}

ImageResult ImageModel::Edit(std::string_view prompt, const EditImages& images, const CallSettings& settings) const {
  CallSettings joined = WithoutPreviews(Join(settings_, settings));
  return Begin(connection_, internal::EditRequestFrom(model_, prompt, images, joined), joined)->TakeResult();
}

ImageStream ImageModel::StreamEdit(std::string_view prompt, const EditImages& images,
                                   const CallSettings& settings) const {
  CallSettings joined = Join(settings_, settings);
  return ImageStream(Begin(connection_, internal::EditRequestFrom(model_, prompt, images, joined), joined));
}

std::vector<v1::PlannedCall> ImageModel::Explain(std::string_view prompt, const CallSettings& settings) const {
  CallSettings joined = WithoutPreviews(Join(settings_, settings));
  v1::ExplainRequest request;
  *request.mutable_generate() = internal::GenerateRequestFrom(model_, prompt, joined);
  return Planned(*connection_, request, joined);
}

std::vector<v1::PlannedCall> ImageModel::ExplainEdit(std::string_view prompt, const EditImages& images,
                                                     const CallSettings& settings) const {
  CallSettings joined = WithoutPreviews(Join(settings_, settings));
  v1::ExplainRequest request;
  *request.mutable_edit() = internal::EditRequestFrom(model_, prompt, images, joined);
  return Planned(*connection_, request, joined);
}

}  // namespace imagegen
