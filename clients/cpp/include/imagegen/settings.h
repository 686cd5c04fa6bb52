/// @file
/// What a call may say beside its prompt and images.
#ifndef IMAGEGEN_SETTINGS_H_
#define IMAGEGEN_SETTINGS_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "imagegen/params.h"
#include "imagegen/v1/image.pb.h"

namespace imagegen {

/// Settings of a model or of one call. What a call says goes before what its model says; options are joined field by
/// field, params key by key. What is unset is left to the model, then to the server.
struct CallSettings {
  /// Portable wishes: count, size, seed, format, ...
  v1::ImageOptions options;
  /// The provider's own parameters.
  Params params;
  /// Refuse, before anything is spent, what would be a warning.
  std::optional<bool> strict;
  /// How bytes come back. INLINE (unset): with the answer. REFERENCE: facts and an id, for Client::Read.
  v1::DeliveryMode delivery = v1::DELIVERY_MODE_UNSPECIFIED;
  /// The time limit of the call, resumptions included. Unset = that of the client, else none.
  std::optional<std::chrono::milliseconds> timeout;
  /// Read on by itself where the connection broke, also in the middle of an image, without buying twice.
  std::optional<bool> resumable;
  /// Your own id for this wish, best a UUID; for a call, not for a model. The same id and wish again joins the running
  /// generation or replays its result. Implies DETACH.
  std::string request_id;
  /// What it means that the reader has gone away. Unset: DETACH with a request_id, else CANCEL.
  v1::OnDisconnect on_disconnect = v1::ON_DISCONNECT_UNSPECIFIED;
  /// Models tried in this order when the provider fails, while nothing was accepted or shown.
  std::optional<std::vector<std::string>> fallback_models;
  /// Repeat also an attempt that may have been billed.
  std::optional<bool> retry_ambiguous;
  /// Try the next model when this one's moderation refuses.
  std::optional<bool> fallback_on_content_filtered;
};

}  // namespace imagegen

#endif  // IMAGEGEN_SETTINGS_H_
