/// @file
/// How a client connects.
#ifndef IMAGEGEN_CONNECT_OPTIONS_H_
#define IMAGEGEN_CONNECT_OPTIONS_H_

#include <grpcpp/security/credentials.h>

#include <chrono>
#include <optional>
#include <string>

namespace imagegen {

/// How a client connects.
struct ConnectOptions {
  /// Set = TLS; empty fields = gRPC's default roots and no client certificate. Unset = clear text.
  std::optional<grpc::SslCredentialsOptions> tls;
  /// Sent with every call as `authorization: Bearer`, over TLS or to this machine only. Empty = none.
  std::string token;
  /// The time limit of each call that has none of its own. Unset = as long as it takes.
  std::optional<std::chrono::milliseconds> timeout;
};

}  // namespace imagegen

#endif  // IMAGEGEN_CONNECT_OPTIONS_H_
