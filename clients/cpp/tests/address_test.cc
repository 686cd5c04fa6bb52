#include "address.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "imagegen/client.h"

namespace imagegen::internal {
namespace {

// What is sent there stays on this machine.
TEST(Address, KnowsLoopback) {
  for (const char* address :
       {"localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "ipv4:127.0.0.1:1", "ipv6:[::1]:1", "dns:localhost:1",
        "dns:///localhost:1", "dns://8.8.8.8/127.0.0.1:1", "unix:/run/imagegen.sock", "unix-abstract:imagegen"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
}

// What is sent there may be seen by others; in doubt it is.
TEST(Address, KnowsElsewhere) {
  for (const char* address : {"example.com:1", "localhost.example.com:1", "10.0.0.1:1", "0.0.0.0:1", "[2001:db8::1]:1",
                              "ipv4:127.0.0.1:1,10.0.0.1:1", "dns://127.0.0.1/example.com:1", "xds:///localhost",
                              "127.0.0.1.example.com:1", "[::1", "dns://127.0.0.1", ""}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

// The order is argument, environment, default.
TEST(Address, ComesFromTheEnvironment) {
  unsetenv("IMAGEGEN_ADDRESS");
  EXPECT_EQ(Client().address(), "127.0.0.1:50051");
  setenv("IMAGEGEN_ADDRESS", "example.com:443", 1);
  EXPECT_EQ(Client().address(), "example.com:443");
  EXPECT_EQ(Client("other:1").address(), "other:1");
  unsetenv("IMAGEGEN_ADDRESS");
}

// URLs, and hosts for which gRPC would take a port that nobody asked for, are refused.
TEST(Address, RefusesWhatIsNoAddress) {
  for (const char* address : {"http://example.com", "https://example.com:443", "localhost", "localhost:", "example.com",
                              "10.0.0.1", "[::1]", "::1"}) {
    EXPECT_THROW(Client{address}, std::invalid_argument) << address;
  }
}

// A target with a scheme means what gRPC takes it for.
TEST(Address, LeavesTargetsAlone) {
  for (const char* target :
       {"a:1", "[::1]:1", "dns:///a", "dns:a", "unix:/a.sock", "unix:a", "ipv4:10.0.0.1:1,10.0.0.2:1"}) {
    EXPECT_EQ(Client(target).address(), target);
  }
}

// A token is never sent in clear text over a network, and no error shows it.
TEST(Address, TokenNeedsTlsBeyondThisMachine) {
  ConnectOptions options;
  options.token = "s3cret";
  try {
    const Client client("example.com:443", options);
    FAIL() << "a token in clear text";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("TLS"), std::string::npos);
    EXPECT_EQ(std::string(error.what()).find(options.token), std::string::npos);
  }
  options.tls.emplace();
  EXPECT_EQ(Client("example.com:443", options).address(), "example.com:443");
}

}  // namespace
}  // namespace imagegen::internal
