#include "connection.h"

#include <utility>

#include "address.h"
#include "channel.h"

namespace imagegen::internal {

Connection::Connection(std::string address, const ConnectOptions& options)
    : address_(AddressFrom(std::move(address))),
      timeout_(options.timeout),
      channel_(MakeChannel(address_, options)),
      images_(v1::ImageService::NewStub(channel_)),
      models_(v1::ModelService::NewStub(channel_)),
      cancels_(*images_) {}

Failure FreeFailure(const grpc::Status& status, const grpc::ClientContext& context) {
  return FailureFrom(EndOf(status, context), /*free=*/true);
}

}  // namespace imagegen::internal
