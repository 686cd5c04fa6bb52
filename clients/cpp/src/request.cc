#include "request.h"

#include <openssl/rand.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "number_check.h"

namespace imagegen::internal {
namespace {

void Lay(const v1::ImageOptions& given, v1::ImageOptions& joined) {
  if (given.has_size()) joined.clear_size();  // a size is one wish, not two numbers
  joined.MergeFrom(given);
}

void Lay(const Params& given, Params& joined) {
  for (const auto& [provider, object] : given) {
    auto& fields = *joined[provider].mutable_fields();
    for (const auto& [key, value] : object.fields()) fields[key] = value;
  }
}

v1::ImageSource SourceFrom(const Image& image) {
  v1::ImageSource source;
  source.set_media_type(image.media_type());
  if (image.has_bytes()) {
    source.set_data(std::string(image.bytes()));
  } else if (!image.image_id().empty()) {
    source.set_image_id(image.image_id());
    return source;
  } else if (!image.url().empty()) {
    source.set_url(image.url());
  } else {
    throw std::invalid_argument("this image has no bytes, no id and no URL, so it cannot be given to the server");
  }
  source.mutable_metadata()->insert(image.metadata().begin(), image.metadata().end());
  return source;
}

template <class Request>
void Fill(Request& request, const std::string& model, CallSettings& settings) {
  request.set_model(model);
  *request.mutable_options() = std::move(settings.options);
  for (auto& [provider, object] : settings.params) (*request.mutable_params())[provider] = std::move(object);
  request.set_strict(settings.strict.value_or(false));
  request.mutable_delivery()->set_mode(DeliveryFrom(settings.delivery));
  request.set_request_id(settings.request_id);
  // What may run on without its reader has a name, so that it can be found again and stopped from the start.
  if (request.request_id().empty() && LifetimeOf(settings).shared) request.set_request_id(NewRequestId());
  request.set_on_disconnect(settings.on_disconnect);
  if (settings.fallback_models || settings.retry_ambiguous || settings.fallback_on_content_filtered) {
    v1::RetryPolicy& retry = *request.mutable_retry();
    for (const std::string& other : settings.fallback_models.value_or(std::vector<std::string>())) {
      retry.add_fallback_models(other);
    }
    retry.set_retry_ambiguous(settings.retry_ambiguous.value_or(false));
    retry.set_fallback_on_content_filtered(settings.fallback_on_content_filtered.value_or(false));
  }
}

template <class T>
void Override(std::optional<T>& bound, const std::optional<T>& given) {
  if (given) bound = given;
}

}  // namespace

CallSettings Join(const CallSettings& bound, const CallSettings& given) {
  CheckNumbers(given.params);
  CallSettings joined = bound;
  Lay(given.options, joined.options);
  Lay(given.params, joined.params);
  Override(joined.strict, given.strict);
  if (given.delivery != v1::DELIVERY_MODE_UNSPECIFIED) joined.delivery = given.delivery;
  Override(joined.timeout, given.timeout);
  Override(joined.resumable, given.resumable);
  if (!given.request_id.empty()) joined.request_id = given.request_id;
  if (given.on_disconnect != v1::ON_DISCONNECT_UNSPECIFIED) joined.on_disconnect = given.on_disconnect;
  Override(joined.fallback_models, given.fallback_models);
  Override(joined.retry_ambiguous, given.retry_ambiguous);
  Override(joined.fallback_on_content_filtered, given.fallback_on_content_filtered);
  DeliveryFrom(joined.delivery);
  if (!v1::OnDisconnect_IsValid(joined.on_disconnect)) {
    throw std::invalid_argument("on_disconnect is CANCEL or DETACH, not " + std::to_string(joined.on_disconnect));
  }
  if (joined.resumable.value_or(false) && joined.on_disconnect == v1::ON_DISCONNECT_CANCEL) {
    throw std::invalid_argument(
        "a generation that ends with its connection cannot be resumed: resumable excludes on_disconnect CANCEL");
  }
  return joined;
}

CallSettings WithoutPreviews(CallSettings settings) {
  if (!settings.options.has_preview_count()) settings.options.set_preview_count(0);
  return settings;
}

v1::GenerateRequest GenerateRequestFrom(const std::string& model, std::string_view prompt, CallSettings& settings) {
  v1::GenerateRequest request;
  Fill(request, model, settings);
  request.mutable_input()->set_prompt(std::string(prompt));
  return request;
}

v1::EditRequest EditRequestFrom(const std::string& model, std::string_view prompt, const EditImages& images,
                                CallSettings& settings) {
  v1::EditRequest request;
  Fill(request, model, settings);
  v1::ImageEditInput& input = *request.mutable_input();
  input.set_prompt(std::string(prompt));
  for (const Image& image : images.images) *input.add_images() = SourceFrom(image);
  if (images.mask) *input.mutable_mask() = SourceFrom(*images.mask);
  return request;
}

Lifetime LifetimeOf(const CallSettings& settings) {
  Lifetime lifetime;
  lifetime.resumable = settings.resumable.value_or(false);
  lifetime.shared =
      lifetime.resumable || !settings.request_id.empty() || settings.on_disconnect == v1::ON_DISCONNECT_DETACH;
  lifetime.owned =
      lifetime.resumable && settings.request_id.empty() && settings.on_disconnect == v1::ON_DISCONNECT_UNSPECIFIED;
  return lifetime;
}

v1::DeliveryMode DeliveryFrom(v1::DeliveryMode mode) {
  if (!v1::DeliveryMode_IsValid(mode)) {
    throw std::invalid_argument("delivery is INLINE or REFERENCE, not " + std::to_string(mode));
  }
  return mode == v1::DELIVERY_MODE_UNSPECIFIED ? v1::DELIVERY_MODE_INLINE : mode;
}

std::string NewRequestId() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random bytes for a request_id");
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += kDigits[bytes.at(i) >> 4];
    id += kDigits[bytes.at(i) & 15];
  }
  return id;
}

}  // namespace imagegen::internal
