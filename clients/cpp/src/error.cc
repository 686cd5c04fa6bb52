#include "imagegen/error.h"

#include <utility>

namespace imagegen {
namespace {

// Reason, message, and what is wrong by field unless the message has said it, on one line.
std::string Line(const ErrorDetails& details) {
  std::string line = details.reason;
  if (!details.message.empty()) line += (line.empty() ? "" : ": ") + details.message;
  if (line.empty()) line = "the call ended with the gRPC code " + std::to_string(details.code);
  std::string fields;
  for (const FieldViolation& violation : details.violations) {
    if (details.message.find(violation.description) != std::string::npos) continue;
    fields += (fields.empty() ? "" : "; ") + violation.field + ": " + violation.description;
  }
  return fields.empty() ? line : line + " (" + fields + ")";
}

}  // namespace

Error::Error(ErrorDetails details)
    : std::runtime_error(Line(details)), details_(std::make_shared<const ErrorDetails>(std::move(details))) {}

v1::ErrorReason Error::reason() const {
  if (details_->reason.empty()) return v1::ERROR_REASON_UNSPECIFIED;
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  return v1::ErrorReason_Parse(details_->reason, &reason) ? reason : v1::ERROR_REASON_PROVIDER_ERROR;
}

}  // namespace imagegen
