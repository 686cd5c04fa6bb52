#include "channel.h"

#include <gtest/gtest.h>

#include "fake_server.h"

namespace imagegen::test {
namespace {

// Exactly the methods that declare it are repeated.
TEST(Channel, OnlyFreeMethodsAreRetried) {
  const std::string config = internal::ServiceConfig();
  for (const char* free : {"Resume", "Cancel", "ReadImage", "UploadImage", "Explain", "ListModels", "GetModel"}) {
    EXPECT_NE(config.find("\"method\":\"" + std::string(free) + "\""), std::string::npos) << free;
  }
  for (const char* paid : {"Generate", "StreamGenerate", "Edit", "StreamEdit"}) {
    EXPECT_EQ(config.find("\"method\":\"" + std::string(paid) + "\""), std::string::npos) << paid;
  }
}

// What may cost money is made once, although the status asks for another try.
TEST(Channel, PaidCallsAreMadeOnce) {
  FakeServer server;
  server.on_stream_generate = [](auto&, const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
  };
  EXPECT_THROW(server.client().image("m").Generate("a boat"), Error);
  EXPECT_EQ(server.calls("StreamGenerate"), 1);
}

// What is free is tried again on UNAVAILABLE, and on nothing else.
TEST(Channel, FreeCallsAreRepeated) {
  FakeServer server;
  server.on_get_model = [&](auto&, const auto& request, auto& answer) {
    if (server.calls("GetModel") < 3) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    answer.mutable_model()->set_name(request.model());
    return grpc::Status::OK;
  };
  EXPECT_EQ(server.client().GetModel("m").name(), "m");
  EXPECT_EQ(server.calls("GetModel"), 3);
  EXPECT_THROW(server.client().ListModels(), Error);
  EXPECT_EQ(server.calls("ListModels"), 1);
}

// Token and user agent go with every call, also with those of stubs of one's own.
TEST(Channel, TokenGoesWithEveryCall) {
  FakeServer server;
  ConnectOptions options;
  options.token = "s3cret";
  const Client client = server.client(options);
  EXPECT_THROW(client.GetModel("m"), Error);
  server.on_stream_generate = [](auto&, const auto&, auto& writer) {
    Play(LongLog(), writer);
    return grpc::Status::OK;
  };
  EXPECT_EQ(client.image("m").Generate("a boat").images().size(), 2);
  const auto images = v1::ImageService::NewStub(client.channel());
  grpc::ClientContext context;
  v1::ExplainResponse answer;
  EXPECT_EQ(images->Explain(&context, {}, &answer).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  for (const char* method : {"GetModel", "StreamGenerate", "Explain"}) {
    EXPECT_EQ(server.metadata(method, "authorization"), "Bearer s3cret") << method;
    EXPECT_EQ(server.metadata(method, "user-agent").rfind("imagegen-cpp/" IMAGEGEN_VERSION " ", 0), 0) << method;
  }
}

// A token that no header can carry is refused, and not shown; gRPC would end the process over it.
TEST(Channel, ATokenThatNoHeaderCanCarryIsRefused) {
  FakeServer server;
  for (const char* token : {"s3cret\n", "s3cret\x7f", "s3cr\xc3\xa9t"}) {
    ConnectOptions options;
    options.token = token;
    try {
      server.client(options).Cancel(GenerationName::ById("gen_1"));
      ADD_FAILURE() << "a token that cannot be sent";
    } catch (const Error&) {
      ADD_FAILURE() << "a call with it";
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(std::string(error.what()).find("s3"), std::string::npos);
    }
  }
}

// Without a token there is no header.
TEST(Channel, NoTokenNoHeader) {
  FakeServer server;
  EXPECT_THROW(server.client().GetModel("m"), Error);
  EXPECT_EQ(server.metadata("GetModel", "authorization"), "");
}

// A proxy of the environment is no way to one's own machine.
TEST(Channel, LoopbackNeedsNoProxy) {
  setenv("http_proxy", "http://127.0.0.1:9", 1);
  FakeServer server;
  server.on_get_model = [](auto&, const auto&, auto&) { return grpc::Status::OK; };
  EXPECT_NO_THROW(server.client().GetModel("m"));
  unsetenv("http_proxy");
}

// An answer as large as the largest image, and more than gRPC takes by default, arrives.
TEST(Channel, LargeMessagesArrive) {
  FakeServer server;
  server.on_explain = [](auto&, const auto&, auto& answer) {
    answer.add_calls()->set_body(std::string(kMaxImageBytes, 'x'));
    return grpc::Status::OK;
  };
  EXPECT_EQ(server.client().image("m").Explain("a boat").at(0).body().size(), kMaxImageBytes);
}

}  // namespace
}  // namespace imagegen::test
