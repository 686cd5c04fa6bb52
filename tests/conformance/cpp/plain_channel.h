// A channel as a user of plain stubs has it.
#ifndef IMAGEGEN_CONFORMANCE_PLAIN_CHANNEL_H_
#define IMAGEGEN_CONFORMANCE_PLAIN_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>

#include "outcome.h"

namespace conformance {

// Default settings, but for what the step says of roots and of retries.
inline std::shared_ptr<grpc::Channel> PlainChannel(const Step& step) {
  const auto credentials = step.ca_file().empty()
                               ? grpc::InsecureChannelCredentials()
                               : grpc::SslCredentials(grpc::SslCredentialsOptions{ReadFile(step.ca_file()), {}, {}});
  grpc::ChannelArguments arguments;
  if (step.retrying_channel()) {
    arguments.SetServiceConfigJSON(
        R"({"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":5,"initialBackoff":"0.1s","maxBackoff":"1s",)"
        R"("backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]})");
  }
  return grpc::CreateCustomChannel(step.address(), credentials, arguments);
}

}  // namespace conformance

#endif  // IMAGEGEN_CONFORMANCE_PLAIN_CHANNEL_H_
