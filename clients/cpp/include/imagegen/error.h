/// @file
/// The one exception of this library.
#ifndef IMAGEGEN_ERROR_H_
#define IMAGEGEN_ERROR_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "imagegen/v1/error_reason.pb.h"
#include "imagegen/v1/image.pb.h"

namespace imagegen {

/// One thing that is wrong with a request.
struct FieldViolation {
  /// Path in the request: "options.size.width".
  std::string field;
  /// What is wrong with it.
  std::string description;
};

/// All that is known of a failed call.
struct ErrorDetails {
  /// For people. Holds no prompt and no key.
  std::string message;
  /// The gRPC status code.
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  /// Full name of an ErrorReason, also of one that this library is too old to know. Empty = nobody told.
  std::string reason;
  /// Whether the call was paid for. BILLED_UNKNOWN = it may have been.
  v1::Billed billed = v1::BILLED_UNKNOWN;
  /// The provider that failed, by its name in the server's configuration. Empty = not told.
  std::string provider;
  /// The model, as "provider/model" or as asked for. Empty = not told.
  std::string model;
  /// The wait before the same call can succeed. Absent = not known, or waiting does not help.
  std::optional<std::chrono::nanoseconds> retry_delay;
  /// What is wrong with the request, field by field.
  std::vector<FieldViolation> violations;
  /// One for each image that did not come, once a provider was called.
  std::vector<v1::ImageFailure> failures;
  /// The provider calls made, oldest first.
  std::vector<v1::Attempt> attempts;
  /// What is known of use. Absent = nothing.
  std::optional<v1::ImageUsage> usage;
  /// Metadata of ErrorInfo: stage, http_status, provider_code, provider_request_id and the like.
  std::map<std::string, std::string> metadata;
  /// The server's id for the generation, for support. Empty = none was made, or it was not told.
  std::string generation_id;
  /// The name of the wish. Empty = not told.
  std::string request_id;
  /// The status that the call ended with. Absent = this library found the fault.
  std::optional<grpc::Status> cause;
};

/// A call failed. Every failure that the server, the network or this library reports is one of these; only misuse that
/// is seen before anything is sent is a std::invalid_argument or std::logic_error. Copies share their contents.
class Error : public std::runtime_error {
 public:
  /// An error with these facts; what() becomes a line made of reason, message and violations.
  explicit Error(ErrorDetails details);

  /// For people. Holds no prompt and no key.
  const std::string& message() const noexcept { return details_->message; }
  /// The gRPC status code.
  grpc::StatusCode code() const noexcept { return details_->code; }
  /// The reason, to switch on. One that this library is too old to know is ERROR_REASON_PROVIDER_ERROR, as the API
  /// demands; ERROR_REASON_UNSPECIFIED = nobody told.
  v1::ErrorReason reason() const;
  /// The reason's full name as it came. Empty = nobody told.
  const std::string& reason_name() const noexcept { return details_->reason; }
  /// Whether the call was paid for. BILLED_UNKNOWN = it may have been.
  v1::Billed billed() const noexcept { return details_->billed; }
  /// The provider that failed. Empty = not told.
  const std::string& provider() const noexcept { return details_->provider; }
  /// The model. Empty = not told.
  const std::string& model() const noexcept { return details_->model; }
  /// The wait before the same call can succeed. Absent = not known, or waiting does not help.
  const std::optional<std::chrono::nanoseconds>& retry_delay() const noexcept { return details_->retry_delay; }
  /// What is wrong with the request, field by field.
  const std::vector<FieldViolation>& violations() const noexcept { return details_->violations; }
  /// One for each image that did not come, once a provider was called.
  const std::vector<v1::ImageFailure>& failures() const noexcept { return details_->failures; }
  /// The provider calls made, oldest first.
  const std::vector<v1::Attempt>& attempts() const noexcept { return details_->attempts; }
  /// What is known of use. Absent = nothing.
  const std::optional<v1::ImageUsage>& usage() const noexcept { return details_->usage; }
  /// Metadata of ErrorInfo.
  const std::map<std::string, std::string>& metadata() const noexcept { return details_->metadata; }
  /// The server's id for the generation. Empty = none was made, or it was not told.
  const std::string& generation_id() const noexcept { return details_->generation_id; }
  /// The name of the wish. Empty = not told.
  const std::string& request_id() const noexcept { return details_->request_id; }
  /// The status that the call ended with. Absent = this library found the fault.
  const std::optional<grpc::Status>& cause() const noexcept { return details_->cause; }
  /// All of the above.
  const ErrorDetails& details() const noexcept { return *details_; }

 private:
  std::shared_ptr<const ErrorDetails> details_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_ERROR_H_
