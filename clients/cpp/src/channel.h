// How the channel to a server is made.
#ifndef IMAGEGEN_SRC_CHANNEL_H_
#define IMAGEGEN_SRC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "imagegen/connect_options.h"

namespace imagegen::internal {

// A channel to `address`, on which every call carries the token. Throws std::invalid_argument if that would travel in
// clear text beyond this machine.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, const ConnectOptions& options);

// Retries for the methods that declare that they may be called twice, and for no other: those may cost money. JSON.
std::string ServiceConfig();

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_CHANNEL_H_
