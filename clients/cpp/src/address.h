// Where a server is, and whether what is sent there stays on this machine.
#ifndef IMAGEGEN_SRC_ADDRESS_H_
#define IMAGEGEN_SRC_ADDRESS_H_

#include <string>
#include <string_view>

namespace imagegen::internal {

// The address to use: the one given, else that of IMAGEGEN_ADDRESS, else 127.0.0.1:50051. Throws std::invalid_argument
// for a URL and for a host without a port.
std::string AddressFrom(std::string given);

// Whether what is sent to a gRPC target stays on this machine. In doubt it does not.
bool IsLoopback(std::string_view address);

// Whether this is a host alone, for which gRPC would take port 443. Targets with a scheme are meant so.
bool LacksPort(std::string_view address);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_ADDRESS_H_
