// The way to a server, shared by a client, its models and its streams.
#ifndef IMAGEGEN_SRC_CONNECTION_H_
#define IMAGEGEN_SRC_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "cancels.h"
#include "deadline.h"
#include "imagegen/connect_options.h"
#include "imagegen/v1/image_service.grpc.pb.h"
#include "imagegen/v1/model_service.grpc.pb.h"
#include "status.h"

namespace imagegen::internal {

// One channel, and the stubs on it.
class Connection {
 public:
  // Throws std::invalid_argument as Client does.
  Connection(std::string address, const ConnectOptions& options);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::ImageService::Stub& images() { return *images_; }
  v1::ModelService::Stub& models() { return *models_; }
  // What the server is told yet while nobody waits for it.
  Cancels& cancels() { return cancels_; }

  // The limit of a call: its own, else the client's, else none.
  Deadline Limit(std::optional<std::chrono::milliseconds> given) const { return Deadline(given ? given : timeout_); }

 private:
  std::string address_;
  std::optional<std::chrono::milliseconds> timeout_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageService::Stub> images_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  Cancels cancels_;  // last: its threads use the stub
};

// What went wrong with a unary call of a method that never costs anything.
Failure FreeFailure(const grpc::Status& status, const grpc::ClientContext& context);

// Makes a unary call of a method that never costs anything. Throws Error.
template <class Stub, class Request, class Response>
Response Ask(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
             const Request& request, const Deadline& deadline) {
  grpc::ClientContext context;
  deadline.Apply(context);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) throw Error(FreeFailure(status, context).error);
  return response;
}

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_CONNECTION_H_
