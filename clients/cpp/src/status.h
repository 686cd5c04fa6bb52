// How an Error is read from the end of an RPC.
#ifndef IMAGEGEN_SRC_STATUS_H_
#define IMAGEGEN_SRC_STATUS_H_

#include <grpcpp/support/status.h>

#include <map>
#include <string>

#include "imagegen/error.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace imagegen::internal {

// Initial metadata: the server's id for the generation.
inline constexpr char kGenerationId[] = "imagegen-generation-id";
// Initial metadata: the id of the wish.
inline constexpr char kRequestId[] = "imagegen-request-id";

// Metadata of an RPC as it counts: the first value of each key.
using RpcMetadata = std::map<std::string, std::string>;

// What an RPC ended with.
struct RpcEnd {
  grpc::Status status;
  RpcMetadata initial;
  RpcMetadata trailing;
};

// An Error and what else its end tells.
struct Failure {
  Error error;
  // The imagegen server itself said why, rather than a proxy, the transport or this library.
  bool from_server = false;

  // The transport or a proxy ended the call on its way, so that the server may know better how it went.
  bool ConnectionBroke() const;
};

// The end of the RPC of `context`, of which the status was received.
RpcEnd EndOf(const grpc::Status& status, const grpc::ClientContext& context);

// Reads all that the end of an RPC tells; never fails. `free`: the method is one that never costs anything, so a status
// that says nothing about money means "no". `again`: an RPC before this one may have begun the same, so that a line
// which never came about says nothing of money either.
Failure FailureFrom(const RpcEnd& end, bool free, bool again = false);

// The server's answer does not keep what the API promises.
Error InvalidResponse(std::string message, bool free = false);

// The call was stopped on this side.
Error Cancelled(std::string message);

// `error` with the ids where it has none.
Error WithIds(const Error& error, const std::string& generation_id, const std::string& request_id);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_STATUS_H_
