#include "channel.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "address.h"
#include "imagegen/image.h"
#include "imagegen/v1/image_service.pb.h"
#include "imagegen/v1/model_service.pb.h"

namespace imagegen::internal {
namespace {

constexpr int kHeadroomBytes = 1024 * 1024;  // facts and framing around the largest image
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

// Adds the token to a call.
class Authorization : public grpc::experimental::Interceptor {
 public:
  explicit Authorization(const std::string& token) : token_(token) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->insert({"authorization", "Bearer " + token_});
    }
    methods->Proceed();
  }

 private:
  const std::string& token_;
};

class Authorizations : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit Authorizations(std::string token) : token_(std::move(token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Authorization(token_);  // gRPC owns it
  }

 private:
  std::string token_;
};

grpc::ChannelArguments Arguments(bool loopback) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxImageBytes) + kHeadroomBytes);
  arguments.SetMaxSendMessageSize(-1);
  // Only while a call runs: a stock server ends connections that ping for nothing.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A policy from a name server might repeat what costs money.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetServiceConfigJSON(ServiceConfig());
  arguments.SetUserAgentPrefix("imagegen-cpp/" IMAGEGEN_VERSION);
  // A proxy from the environment is no way to one's own machine, and must not see a token sent in clear text.
  if (loopback) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, const ConnectOptions& options) {
  const bool loopback = IsLoopback(address);
  if (!options.token.empty() && !options.tls && !loopback) {
    throw std::invalid_argument("a token is sent over TLS or to this machine only, and " + address +
                                " is neither: set ConnectOptions::tls");
  }
  // gRPC ends the process over a header that it cannot send.
  if (std::any_of(options.token.begin(), options.token.end(), [](char each) { return each < ' ' || each > '~'; })) {
    throw std::invalid_argument("the token has a character that no header can carry, such as the end of a line");
  }
  const auto credentials = options.tls ? grpc::SslCredentials(*options.tls) : grpc::InsecureChannelCredentials();
  if (options.token.empty()) return grpc::CreateCustomChannel(address, credentials, Arguments(loopback));
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<Authorizations>(options.token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(address, credentials, Arguments(loopback),
                                                                 std::move(interceptors));
}

std::string ServiceConfig() {
  std::string names;
  for (const google::protobuf::FileDescriptor* file :
       {v1::GenerateRequest::descriptor()->file(), v1::Model::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        if (service->method(j)->options().idempotency_level() == google::protobuf::MethodOptions::IDEMPOTENCY_UNKNOWN) {
          continue;
        }
        names += names.empty() ? "" : ",";
        names += R"({"service":")" + std::string(service->full_name()) + R"(","method":")" +
                 std::string(service->method(j)->name()) + R"("})";
      }
    }
  }
  return R"({"methodConfig":[{"name":[)" + names +
         R"(],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,)"
         R"("retryableStatusCodes":["UNAVAILABLE"]}}]})";
}

}  // namespace imagegen::internal
