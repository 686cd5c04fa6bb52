#include "imagegen/client.h"

#include <stdexcept>
#include <utility>

#include "connection.h"
#include "read.h"
#include "request.h"
#include "stream_state.h"
#include "upload.h"

namespace imagegen {
namespace {

template <class Request>
void SetName(Request& request, const GenerationName& name) {
  if (name.generation_id.empty() == name.request_id.empty()) {
    throw std::invalid_argument("say which generation: by generation_id or by request_id");
  }
  if (name.request_id.empty()) {
    request.set_generation_id(name.generation_id);
  } else {
    request.set_request_id(name.request_id);
  }
}

}  // namespace

Client::Client(std::string address, const ConnectOptions& options)
    : connection_(std::make_shared<internal::Connection>(std::move(address), options)) {}

const std::string& Client::address() const noexcept { return connection_->address(); }

ImageModel Client::image(std::string model, const CallSettings& settings) const {
  if (!settings.request_id.empty()) {
    throw std::invalid_argument("a request_id is the name of one call: give it to the call, not to the model");
  }
  return {connection_, std::move(model), internal::Join(CallSettings(), settings)};
}

ImageStream Client::Resume(const GenerationName& name, const ResumeSettings& settings) const {
  v1::ResumeRequest request;
  SetName(request, name);
  const v1::DeliveryMode delivery = internal::DeliveryFrom(settings.delivery);
  request.set_after_sequence(settings.after_sequence);
  request.mutable_delivery()->set_mode(delivery);
  internal::Lifetime lifetime;
  lifetime.resumable = true;
  lifetime.shared = true;
  internal::Assembler assembler(delivery == v1::DELIVERY_MODE_INLINE, settings.after_sequence == 0);
  return ImageStream(std::make_unique<internal::StreamState>(
      connection_, std::move(request), connection_->Limit(settings.timeout), lifetime, std::move(assembler)));
}

bool Client::Cancel(const GenerationName& name, Timeout timeout) const {
  v1::CancelRequest request;
  SetName(request, name);
  return internal::Ask(connection_->images(), &v1::ImageService::Stub::Cancel, request, connection_->Limit(timeout))
      .stopped();
}

Image Client::Read(const Image& image, Timeout timeout) const {
  if (image.has_bytes()) return image;
  return internal::ReadImage(*connection_, image, connection_->Limit(timeout));
}

GeneratedImage Client::Read(const GeneratedImage& image, Timeout timeout) const {
  return {image, Read(static_cast<const Image&>(image), timeout)};
}

Image Client::Upload(const Image& image, Timeout timeout) const {
  return internal::UploadImage(*connection_, image, connection_->Limit(timeout));
}

ModelList Client::ListModels(const std::string& provider, Timeout timeout) const {
  ModelList list;
  v1::ListModelsRequest request;
  request.set_provider(provider);
  do {
    const v1::ListModelsResponse page =
        internal::Ask(connection_->models(), &v1::ModelService::Stub::ListModels, request, connection_->Limit(timeout));
    list.models.insert(list.models.end(), page.models().begin(), page.models().end());
    list.unreachable = {page.unreachable().begin(), page.unreachable().end()};
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return list;
}

v1::Model Client::GetModel(const std::string& name, Timeout timeout) const {
  v1::GetModelRequest request;
  request.set_model(name);
  return internal::Ask(connection_->models(), &v1::ModelService::Stub::GetModel, request, connection_->Limit(timeout))
      .model();
}

std::shared_ptr<grpc::Channel> Client::channel() const { return connection_->channel(); }

}  // namespace imagegen
