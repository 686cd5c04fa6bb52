// What the server knows of a failure stands in the trailer grpc-status-details-bin (a google.rpc.Status). Proxies drop
// or replace such trailers, so two plain ones repeat what matters most; and a status with none of them was made by a
// proxy or the transport.
#include "status.h"

#include <google/protobuf/any.pb.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "imagegen/client/internal/status.pb.h"

namespace imagegen::internal {
namespace {

namespace details = imagegen::client::internal;

constexpr char kDomain[] = "imagegen";
constexpr char kReason[] = "imagegen-reason";
constexpr char kBilled[] = "imagegen-billed";

// How the transport words that there never was a connection, so that no request can have left.
constexpr std::string_view kNeverConnected[] = {"failed to connect to all addresses", "DNS resolution failed",
                                                "Name resolution failure", "errors resolving "};

RpcMetadata First(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  RpcMetadata first;
  for (const auto& [key, value] : metadata) {
    first.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  return first;
}

std::string Value(const RpcMetadata& metadata, const std::string& key) {
  auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

// The details, or none if they are missing, garbled, or about another failure than the one at hand.
details::Status Details(const grpc::Status& status) {
  details::Status told;
  if (!told.ParseFromString(status.error_details()) || told.code() != static_cast<int>(status.error_code())) {
    told.Clear();
  }
  return told;
}

template <class Detail>
Detail Find(const details::Status& status, std::string_view type) {
  for (const google::protobuf::Any& packed : status.details()) {
    const std::string& url = packed.type_url();
    if (std::string_view(url).substr(url.rfind('/') + 1) != type) continue;
    Detail detail;
    if (!detail.ParseFromString(packed.value())) detail.Clear();
    return detail;
  }
  return {};
}

std::optional<v1::Billed> BilledFrom(std::string_view text) {
  if (text == "no") return v1::BILLED_NO;
  if (text == "unknown") return v1::BILLED_UNKNOWN;
  if (text == "yes") return v1::BILLED_YES;
  return std::nullopt;
}

// What a bare status can be taken to say. Any other code says nothing about the reason.
v1::ErrorReason BareReason(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
      return v1::ERROR_REASON_CANCELLED;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return v1::ERROR_REASON_TIMEOUT;
    case grpc::StatusCode::UNAVAILABLE:
      return v1::ERROR_REASON_NETWORK_ERROR;
    case grpc::StatusCode::UNAUTHENTICATED:
      return v1::ERROR_REASON_CALLER_UNAUTHENTICATED;
    case grpc::StatusCode::PERMISSION_DENIED:
      return v1::ERROR_REASON_CALLER_NOT_ALLOWED;
    default:
      return v1::ERROR_REASON_UNSPECIFIED;
  }
}

bool NeverConnected(const RpcEnd& end) {
  if (end.status.error_code() != grpc::StatusCode::UNAVAILABLE || !end.initial.empty()) return false;
  for (std::string_view words : kNeverConnected) {
    if (end.status.error_message().compare(0, words.size(), words) == 0) return true;
  }
  return false;
}

std::chrono::nanoseconds FromProto(const google::protobuf::Duration& duration) {
  // With room for nanoseconds that are more than a second.
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 3;
  const std::chrono::seconds seconds(std::clamp<std::int64_t>(duration.seconds(), -kMost, kMost));
  return std::chrono::nanoseconds(seconds) + std::chrono::nanoseconds(duration.nanos());
}

}  // namespace

bool Failure::ConnectionBroke() const {
  if (from_server || !error.cause()) return false;
  switch (error.code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::CANCELLED:
      return true;
    default:
      return false;
  }
}

RpcEnd EndOf(const grpc::Status& status, const grpc::ClientContext& context) {
  return {status, First(context.GetServerInitialMetadata()), First(context.GetServerTrailingMetadata())};
}

Failure FailureFrom(const RpcEnd& end, bool free, bool again) {
  const details::Status status = Details(end.status);
  const auto info = Find<details::ErrorInfo>(status, "google.rpc.ErrorInfo");
  const auto retry = Find<details::RetryInfo>(status, "google.rpc.RetryInfo");
  const auto bad = Find<details::BadRequest>(status, "google.rpc.BadRequest");
  const auto failure = Find<v1::GenerationFailure>(status, "imagegen.v1.GenerationFailure");
  const bool ours = info.domain() == kDomain;

  ErrorDetails told;
  told.message = end.status.error_message();
  told.code = end.status.error_code();
  told.cause = end.status;
  if (ours) told.metadata = {info.metadata().begin(), info.metadata().end()};
  told.reason = ours && !info.reason().empty() ? info.reason() : Value(end.trailing, kReason);
  if (told.reason.empty()) {
    const v1::ErrorReason bare = BareReason(told.code);
    if (bare != v1::ERROR_REASON_UNSPECIFIED) told.reason = v1::ErrorReason_Name(bare);
  }
  std::optional<v1::Billed> billed = BilledFrom(Value(told.metadata, "billed"));
  if (!billed) billed = BilledFrom(Value(end.trailing, kBilled));
  told.billed = billed.value_or(free || (!again && NeverConnected(end)) ? v1::BILLED_NO : v1::BILLED_UNKNOWN);
  told.provider = Value(told.metadata, "provider");
  told.model = Value(told.metadata, "model");
  if (retry.has_retry_delay()) told.retry_delay = FromProto(retry.retry_delay());
  for (const auto& violation : bad.field_violations()) {
    told.violations.push_back({violation.field(), violation.description()});
  }
  told.failures = {failure.failures().begin(), failure.failures().end()};
  told.attempts = {failure.attempts().begin(), failure.attempts().end()};
  if (failure.has_usage()) told.usage = failure.usage();
  const auto first = [](const std::string& a, const std::string& b, const std::string& c) {
    if (!a.empty()) return a;
    return b.empty() ? c : b;
  };
  told.generation_id =
      first(failure.generation_id(), Value(told.metadata, "generation_id"), Value(end.initial, kGenerationId));
  told.request_id = first(failure.request_id(), Value(told.metadata, "request_id"), Value(end.initial, kRequestId));
  const bool from_server = ours || end.trailing.count(kReason) > 0;
  return {Error(std::move(told)), from_server};
}

Error InvalidResponse(std::string message, bool free) {
  ErrorDetails told;
  told.message = std::move(message);
  told.code = grpc::StatusCode::INTERNAL;
  told.reason = v1::ErrorReason_Name(v1::ERROR_REASON_INVALID_RESPONSE);
  told.billed = free ? v1::BILLED_NO : v1::BILLED_UNKNOWN;
  return Error(std::move(told));
}

Error Cancelled(std::string message) {
  ErrorDetails told;
  told.message = std::move(message);
  told.code = grpc::StatusCode::CANCELLED;
  told.reason = v1::ErrorReason_Name(v1::ERROR_REASON_CANCELLED);
  return Error(std::move(told));
}

Error WithIds(const Error& error, const std::string& generation_id, const std::string& request_id) {
  ErrorDetails told = error.details();
  if (told.generation_id.empty()) told.generation_id = generation_id;
  if (told.request_id.empty()) told.request_id = request_id;
  return Error(std::move(told));
}

}  // namespace imagegen::internal
