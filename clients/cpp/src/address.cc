#include "address.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#endif

#include <cstdlib>
#include <stdexcept>

namespace imagegen::internal {
namespace {

constexpr char kDefaultAddress[] = "127.0.0.1:50051";
constexpr char kAddressVariable[] = "IMAGEGEN_ADDRESS";

bool StartsWith(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

bool AllDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool ParsesAs(int family, std::string_view text, unsigned char* bytes) {
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

bool IsLoopbackHost(std::string_view host) {
  unsigned char bytes[16] = {};
  if (ParsesAs(AF_INET, host, bytes)) return bytes[0] == 127;
  if (!ParsesAs(AF_INET6, host, bytes)) return host == "localhost";
  for (int i = 0; i < 15; ++i) {
    if (bytes[i] != 0) return false;
  }
  return bytes[15] == 1;
}

// Takes "scheme:" or "scheme://authority/" away, if it is one that leads to a single host.
std::string_view WithoutScheme(std::string_view address) {
  for (std::string_view scheme : {"dns:", "ipv4:", "ipv6:"}) {
    if (!StartsWith(address, scheme)) continue;
    address.remove_prefix(scheme.size());
    if (StartsWith(address, "//")) {
      const std::size_t end = address.find('/', 2);
      if (end == std::string_view::npos) return {};
      address.remove_prefix(end + 1);
    }
    break;
  }
  return address;
}

}  // namespace

std::string AddressFrom(std::string given) {
  if (given.empty()) {
    const char* named = std::getenv(kAddressVariable);
    given = named != nullptr && *named != '\0' ? named : kDefaultAddress;
  }
  if (StartsWith(given, "http://") || StartsWith(given, "https://")) {
    throw std::invalid_argument("the address is host:port, not a URL: '" + given +
                                "'; TLS is asked for with ConnectOptions::tls");
  }
  if (LacksPort(given)) {
    throw std::invalid_argument("'" + given +
                                "' has no port: the address is host:port, such as 'localhost:50051' or '[::1]:50051'");
  }
  return given;
}

bool IsLoopback(std::string_view address) {
  if (StartsWith(address, "unix:") || StartsWith(address, "unix-abstract:")) return true;
  std::string_view rest = WithoutScheme(address);
  std::string_view host;
  if (StartsWith(rest, "[")) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return false;
    host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(host.size());
  }
  // Anything behind the host but a port, such as a list of addresses, may lead anywhere.
  if (!rest.empty() && !(rest[0] == ':' && AllDigits(rest.substr(1)))) return false;
  return IsLoopbackHost(host);
}

bool LacksPort(std::string_view address) {
  unsigned char bytes[16] = {};
  if (ParsesAs(AF_INET6, address, bytes)) return true;
  if (!address.empty() && address.back() == ':') address.remove_suffix(1);
  if (StartsWith(address, "[")) return address.find(']') == address.size() - 1;
  return !address.empty() && address.find_first_of(":/,[]") == std::string_view::npos;
}

}  // namespace imagegen::internal
