// Who stops a generation: abort always, leaving unless it was meant to go on.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>

#include "backoff.h"
#include "fake_server.h"

namespace imagegen::test {
namespace {

class Stopping : public testing::Test {
 protected:
  Stopping() {
    server_.on_stream_generate = [this](auto& context, const auto& request, auto& writer) {
      request_id_ = request.request_id();
      if (tell_) Play(Numbered({{StartedEvent()}}), writer);
      return server_.UntilLeft(context);
    };
    server_.on_resume = [this](auto& context, const auto&, auto& writer) {
      Play(Numbered({{StartedEvent()}}), writer);
      return server_.UntilLeft(context);
    };
    server_.on_cancel = [this](auto& context, const auto& request, auto&) {
      cancelled_ = request;
      return cancel_ ? cancel_(context) : grpc::Status::OK;
    };
  }
  ImageStream Begin(const CallSettings& settings) { return server_.client().image("m").Stream("a boat", settings); }

  bool tell_ = true;
  std::string request_id_;
  v1::CancelRequest cancelled_;
  std::function<grpc::Status(grpc::ServerContext&)> cancel_;
  FakeServer server_;  // last: its handlers use the others
};

CallSettings Resumable() {
  CallSettings settings;
  settings.resumable = true;
  return settings;
}

CallSettings Named() {
  CallSettings settings;
  settings.request_id = "wish-1";
  return settings;
}

CallSettings Detached() {
  CallSettings settings;
  settings.on_disconnect = v1::ON_DISCONNECT_DETACH;
  return settings;
}

// Abort tells the server wherever the generation would run on: by its id, or by the name of the wish.
TEST_F(Stopping, AbortTellsTheServer) {
  int calls = 0;
  for (const CallSettings& settings : {Resumable(), Named(), Detached()}) {
    ImageStream stream = Begin(settings);
    ASSERT_TRUE(stream.Next());
    stream.Abort();
    EXPECT_EQ(server_.calls("Cancel"), ++calls);
    EXPECT_EQ(cancelled_.generation_id(), "gen_1");
    EXPECT_THROW(stream.Next(), Error);
    stream.Abort();  // a second time changes nothing
    EXPECT_EQ(server_.calls("Cancel"), calls);
  }
  tell_ = false;
  ImageStream stream = Begin(Detached());
  ASSERT_TRUE(server_.WaitForCalls("StreamGenerate", 4));
  stream.Abort();
  EXPECT_EQ(cancelled_.request_id(), request_id_);
  EXPECT_EQ(request_id_.size(), 36);
}

// Abort of a resumed stream tells the server too.
TEST_F(Stopping, AbortOfAResumedStream) {
  ImageStream stream = server_.client().Resume(GenerationName::ById("gen_1"));
  stream.Abort();
  EXPECT_EQ(cancelled_.generation_id(), "gen_1");
}

// Abort fails if the server could not be told; that it knows no such generation is no failure.
TEST_F(Stopping, AbortThatDoesNotArriveIsTold) {
  cancel_ = [](auto& context) {
    return Worded(context, grpc::StatusCode::FAILED_PRECONDITION, v1::ERROR_REASON_WRONG_INSTANCE);
  };
  ImageStream stream = Begin(Named());
  try {
    stream.Abort();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_WRONG_INSTANCE);
  }
  cancel_ = [](auto& context) {
    return Worded(context, grpc::StatusCode::NOT_FOUND, v1::ERROR_REASON_GENERATION_NOT_FOUND);
  };
  EXPECT_NO_THROW(Begin(Named()).Abort());
}

// Leaving stops what nobody else can name, by a Cancel; what has a name, is detached or was resumed runs on.
TEST_F(Stopping, Leaving) {
  for (const CallSettings& settings : {CallSettings(), Named(), Detached()}) {
    ImageStream stream = Begin(settings);
    ASSERT_TRUE(stream.Next());
  }
  { ImageStream stream = server_.client().Resume(GenerationName::ById("gen_1")); }
  CallSettings both = Resumable();
  both.request_id = "wish-1";
  { ImageStream stream = Begin(both); }
  EXPECT_EQ(server_.calls("Cancel"), 0);
  {
    ImageStream stream = Begin(Resumable());
    ASSERT_TRUE(stream.Next());
  }
  EXPECT_EQ(server_.calls("Cancel"), 1);
}

// A server that does not answer the Cancel holds the leaving thread up for a moment only.
TEST_F(Stopping, LeavingTakesAMoment) {
  std::promise<void> done;
  cancel_ = [over = done.get_future().share()](auto&) {
    over.wait();
    return grpc::Status::OK;
  };
  const auto start = std::chrono::steady_clock::now();
  {
    ImageStream stream = Begin(Resumable());
    ASSERT_TRUE(stream.Next());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(server_.calls("Cancel"), 1);
  done.set_value();
}

// Time that ran out stops what nobody can name.
TEST_F(Stopping, TimeThatRanOut) {
  CallSettings settings = Resumable();
  settings.timeout = std::chrono::milliseconds(100);
  ImageStream stream = Begin(settings);
  EXPECT_THROW(stream.Result(), Error);
  EXPECT_TRUE(server_.WaitForCalls("Cancel", 1));
}

// Abort while it waits to try again wakes it, and no further call is made.
TEST_F(Stopping, AbortWhileItWaits) {
  internal::ScaleBackoff(1000);
  server_.on_stream_generate = [](auto&, const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
  };
  ImageStream stream = Begin(Resumable());
  auto waiting = std::async(std::launch::async, [&] { EXPECT_THROW(stream.Result(), Error); });
  ASSERT_TRUE(server_.WaitForCalls("StreamGenerate", 1));
  stream.Abort();
  waiting.get();
  EXPECT_EQ(server_.calls("StreamGenerate"), 1);
  internal::ScaleBackoff(1);
}

// Nothing is cancelled after the end, whether it was good or the server's failure.
TEST_F(Stopping, NothingIsCancelledAfterTheEnd) {
  server_.on_stream_generate = [](auto&, const auto&, auto& writer) {
    Play(LongLog(), writer);
    return grpc::Status::OK;
  };
  {
    ImageStream stream = Begin(Resumable());
    stream.Result();
    stream.Abort();
    EXPECT_NO_THROW(stream.Result());
  }
  server_.on_stream_generate = [](auto& context, const auto&, auto&) {
    return Worded(context, grpc::StatusCode::INTERNAL, v1::ERROR_REASON_PROVIDER_ERROR, "unknown");
  };
  {
    ImageStream stream = Begin(Resumable());
    EXPECT_THROW(stream.Result(), Error);
    stream.Abort();
  }
  EXPECT_EQ(server_.calls("Cancel"), 0);
}

// A server that refuses the same request again does not tell of the first one, which is stopped all the same.
TEST_F(Stopping, ARepeatedWishIsStopped) {
  internal::ScaleBackoff(0.01);
  server_.on_stream_generate = [this](auto& context, const auto&, auto&) {
    if (server_.calls("StreamGenerate") == 1) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
    return Worded(context, grpc::StatusCode::RESOURCE_EXHAUSTED, v1::ERROR_REASON_CALLER_LIMIT_EXCEEDED);
  };
  ImageStream stream = Begin(Resumable());
  EXPECT_THROW(stream.Result(), Error);
  stream.Abort();
  EXPECT_EQ(cancelled_.request_id(), stream.request_id());
  EXPECT_EQ(server_.calls("Cancel"), 1);
  internal::ScaleBackoff(1);
}

// A server that turns away a reader who was too slow says CANCELLED of the call, while what is resumable runs on.
TEST_F(Stopping, AReaderThatWasTurnedAwayStopsItAllTheSame) {
  server_.on_stream_generate = [](auto& context, const auto&, auto& writer) {
    Play(Numbered({{StartedEvent()}}), writer);
    return Worded(context, grpc::StatusCode::CANCELLED, v1::ERROR_REASON_CANCELLED, "unknown");
  };
  {
    ImageStream stream = Begin(Resumable());
    EXPECT_THROW(stream.Result(), Error);
  }
  EXPECT_EQ(server_.calls("Cancel"), 1);
  ImageStream stream = Begin(Named());
  EXPECT_THROW(stream.Result(), Error);
  stream.Abort();
  EXPECT_EQ(server_.calls("Cancel"), 2);
}

// A time limit below any clock is over at once.
TEST_F(Stopping, AbsurdTimeLimitsAreBounded) {
  for (const auto limit : {std::chrono::milliseconds::min(), std::chrono::milliseconds(-1)}) {
    CallSettings settings;
    settings.timeout = limit;
    try {
      Begin(settings).Result();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.reason(), v1::ERROR_REASON_TIMEOUT);
    }
  }
}

// client.Cancel tells whether it was running.
TEST_F(Stopping, CancelByName) {
  server_.on_cancel = [](auto&, const auto& request, auto& answer) {
    answer.set_stopped(request.generation_id() == "gen_1");
    return grpc::Status::OK;
  };
  EXPECT_TRUE(server_.client().Cancel(GenerationName::ById("gen_1")));
  EXPECT_FALSE(server_.client().Cancel(GenerationName::ByRequestId("wish-1")));
}

}  // namespace
}  // namespace imagegen::test
