#include "imagegen/error.h"

#include <gtest/gtest.h>

#include "fake_server.h"
#include "imagegen/client/internal/status.pb.h"
#include "status.h"

namespace imagegen::test {
namespace {

using internal::FailureFrom;
using internal::RpcEnd;

namespace proto = imagegen::client::internal;

proto::Status AllDetails() {
  proto::Status status;
  status.set_code(grpc::StatusCode::INVALID_ARGUMENT);
  const auto add = [&](const char* url, const google::protobuf::Message& detail) {
    auto* packed = status.add_details();
    packed->set_type_url(url);
    packed->set_value(detail.SerializeAsString());
  };
  proto::ErrorInfo info;
  info.set_reason("ERROR_REASON_CONTENT_FILTERED");
  info.set_domain("imagegen");
  (*info.mutable_metadata())["provider"] = "sandbox";
  (*info.mutable_metadata())["model"] = "sandbox/scene";
  (*info.mutable_metadata())["billed"] = "yes";
  (*info.mutable_metadata())["stage"] = "output";
  add("type.googleapis.com/google.rpc.ErrorInfo", info);
  proto::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(2);
  retry.mutable_retry_delay()->set_nanos(500'000'000);
  add("other.example/google.rpc.RetryInfo", retry);
  proto::BadRequest bad;
  bad.add_field_violations()->set_field("input.prompt");
  bad.mutable_field_violations(0)->set_description("is refused");
  add("type.googleapis.com/google.rpc.BadRequest", bad);
  v1::GenerationFailure failure;
  failure.set_generation_id("gen_1");
  failure.add_failures()->set_index(0);
  failure.add_attempts()->set_provider("sandbox");
  failure.mutable_usage()->set_images_generated(1);
  add("type.googleapis.com/imagegen.v1.GenerationFailure", failure);
  return status;
}

grpc::Status With(const proto::Status& details, grpc::StatusCode code = grpc::StatusCode::INVALID_ARGUMENT) {
  return {code, "no", details.SerializeAsString()};
}

// Everything that the details tell arrives.
TEST(Error, AllDetailsArrive) {
  const Error error = FailureFrom({With(AllDetails()), {{"imagegen-request-id", "wish-1"}}, {}}, false).error;
  EXPECT_EQ(error.reason(), v1::ERROR_REASON_CONTENT_FILTERED);
  EXPECT_EQ(error.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(error.message(), "no");
  EXPECT_EQ(error.billed(), v1::BILLED_YES);
  EXPECT_EQ(error.provider(), "sandbox");
  EXPECT_EQ(error.model(), "sandbox/scene");
  EXPECT_EQ(error.retry_delay(), std::chrono::milliseconds(2500));
  ASSERT_EQ(error.violations().size(), 1);
  EXPECT_EQ(error.violations()[0].field, "input.prompt");
  EXPECT_EQ(error.failures().size(), 1);
  EXPECT_EQ(error.attempts().size(), 1);
  EXPECT_EQ(error.usage()->images_generated(), 1);
  EXPECT_EQ(error.metadata().at("stage"), "output");
  EXPECT_EQ(error.generation_id(), "gen_1");
  EXPECT_EQ(error.request_id(), "wish-1");
  EXPECT_EQ(error.cause()->error_message(), "no");
  EXPECT_STREQ(error.what(), "ERROR_REASON_CONTENT_FILTERED: no (input.prompt: is refused)");
}

// The plain trailers are enough, also for a reason that is newer than this library.
TEST(Error, PlainTrailersAreEnough) {
  const RpcEnd end{
      {grpc::StatusCode::INTERNAL, ""}, {}, {{"imagegen-reason", "ERROR_REASON_BRAND_NEW"}, {"imagegen-billed", "no"}}};
  const internal::Failure failure = FailureFrom(end, false);
  EXPECT_EQ(failure.error.reason_name(), "ERROR_REASON_BRAND_NEW");
  EXPECT_EQ(failure.error.reason(), v1::ERROR_REASON_PROVIDER_ERROR);
  EXPECT_EQ(failure.error.billed(), v1::BILLED_NO);
  EXPECT_FALSE(failure.ConnectionBroke());
}

// Details that are garbled, or about another failure, are left aside; the trailers count then.
TEST(Error, DetailsThatDoNotFitAreLeftAside) {
  const internal::RpcMetadata trailers = {{"imagegen-reason", "ERROR_REASON_TIMEOUT"}};
  for (const grpc::Status& status : {With(AllDetails(), grpc::StatusCode::INTERNAL),
                                     grpc::Status(grpc::StatusCode::INTERNAL, "no", "\xff\xff garbage")}) {
    const Error error = FailureFrom({status, {}, trailers}, false).error;
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_TIMEOUT);
    EXPECT_TRUE(error.metadata().empty());
    EXPECT_TRUE(error.violations().empty());
  }
}

// An ErrorInfo of another domain, as proxies add them, is not ours.
TEST(Error, DetailsOfOthersAreNotOurs) {
  proto::Status status = AllDetails();
  proto::ErrorInfo info;
  info.set_domain("googleapis.com");
  info.set_reason("SERVICE_DISABLED");
  status.mutable_details(0)->set_value(info.SerializeAsString());
  const internal::Failure failure = FailureFrom({With(status), {}, {}}, false);
  EXPECT_EQ(failure.error.reason_name(), "");
  EXPECT_FALSE(failure.from_server);
  EXPECT_EQ(failure.error.billed(), v1::BILLED_UNKNOWN);
}

// What a bare status says, and that nobody knows about the money unless the method never costs any.
TEST(Error, BareStatusOfAProxy) {
  const std::pair<grpc::StatusCode, v1::ErrorReason> bare[] = {
      {grpc::StatusCode::CANCELLED, v1::ERROR_REASON_CANCELLED},
      {grpc::StatusCode::DEADLINE_EXCEEDED, v1::ERROR_REASON_TIMEOUT},
      {grpc::StatusCode::UNAVAILABLE, v1::ERROR_REASON_NETWORK_ERROR},
      {grpc::StatusCode::UNAUTHENTICATED, v1::ERROR_REASON_CALLER_UNAUTHENTICATED},
      {grpc::StatusCode::PERMISSION_DENIED, v1::ERROR_REASON_CALLER_NOT_ALLOWED},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, v1::ERROR_REASON_UNSPECIFIED},
  };
  for (const auto& [code, reason] : bare) {
    const RpcEnd end{{code, "upstream"}, {}, {}};
    EXPECT_EQ(FailureFrom(end, false).error.reason(), reason) << code;
    EXPECT_EQ(FailureFrom(end, false).error.billed(), v1::BILLED_UNKNOWN) << code;
    EXPECT_EQ(FailureFrom(end, true).error.billed(), v1::BILLED_NO) << code;
  }
}

// What never reached a server was not billed, in the words of several versions of gRPC.
TEST(Error, WhatNeverReachedAServerIsFree) {
  for (const char* words :
       {"failed to connect to all addresses; last error: UNKNOWN", "DNS resolution failed for nosuch.invalid:50051",
        "errors resolving nosuch.invalid:50051"}) {
    const grpc::Status status(grpc::StatusCode::UNAVAILABLE, words);
    EXPECT_EQ(FailureFrom({status, {}, {}}, false).error.billed(), v1::BILLED_NO) << words;
    EXPECT_EQ(FailureFrom({status, {{"server", "x"}}, {}}, false).error.billed(), v1::BILLED_UNKNOWN) << words;
  }
}

// A wait that no clock can hold does not break the reading.
TEST(Error, AbsurdWaitsAreBounded) {
  proto::Status status = AllDetails();
  proto::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(std::numeric_limits<std::int64_t>::max());
  status.mutable_details(1)->set_value(retry.SerializeAsString());
  retry.mutable_retry_delay()->set_nanos(std::numeric_limits<std::int32_t>::max());
  status.mutable_details(1)->set_value(retry.SerializeAsString());
  EXPECT_GT(*FailureFrom({With(status), {}, {}}, false).error.retry_delay(), std::chrono::hours(24 * 365));
}

// Over a wire: details and trailers of a real call, and the ids of the initial metadata.
TEST(Error, ArrivesOverTheWire) {
  FakeServer server;
  server.on_stream_generate = [](auto& context, const auto&, auto&) {
    context.AddInitialMetadata("imagegen-generation-id", "gen_9");
    context.AddInitialMetadata("imagegen-request-id", "wish-9");
    return Worded(context, grpc::StatusCode::RESOURCE_EXHAUSTED, v1::ERROR_REASON_QUOTA_EXCEEDED);
  };
  try {
    server.client().image("m").Generate("a boat");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_QUOTA_EXCEEDED);
    EXPECT_EQ(error.billed(), v1::BILLED_NO);
    EXPECT_EQ(error.metadata().at("billed"), "no");
    EXPECT_EQ(error.generation_id(), "gen_9");
    EXPECT_EQ(error.request_id(), "wish-9");
  }
}

// Where nobody listens nothing was billed; and a deadline is TIMEOUT.
TEST(Error, OfTheTransport) {
  try {
    Client("127.0.0.1:1").image("m").Generate("a boat");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_NETWORK_ERROR);
    EXPECT_EQ(error.billed(), v1::BILLED_NO);
  }
  FakeServer server;
  server.on_stream_generate = [&](auto& context, const auto&, auto&) { return server.UntilLeft(context); };
  ConnectOptions options;
  options.timeout = std::chrono::milliseconds(50);
  try {
    server.client(options).image("m").Generate("a boat");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_TIMEOUT);
    EXPECT_EQ(error.code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    EXPECT_EQ(error.billed(), v1::BILLED_UNKNOWN);
  }
}

}  // namespace
}  // namespace imagegen::test
