#include "imagegen/stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "fake_server.h"

namespace imagegen::test {
namespace {

class Streams : public testing::Test {
 protected:
  Streams() {
    server_.on_stream_generate = [this](auto& context, const auto&, auto& writer) {
      context.AddInitialMetadata("imagegen-generation-id", "gen_1");
      Play(log_, writer);
      return end_ ? end_(context) : grpc::Status::OK;
    };
  }
  ImageStream Begin() { return server_.client().image("m").Stream("a boat"); }

  Log log_ = LongLog();
  std::function<grpc::Status(grpc::ServerContext&)> end_;
  FakeServer server_;  // last: its handlers use the others
};

std::size_t Count(ImageStream& stream) {
  std::size_t count = 0;
  for ([[maybe_unused]] const Event& event : stream) ++count;
  return count;
}

// The events first, the result after them.
TEST_F(Streams, EventsThenResult) {
  ImageStream stream = Begin();
  EXPECT_EQ(Count(stream), 6);
  EXPECT_EQ(stream.Result().images().size(), 2);
  EXPECT_FALSE(stream.Next());
  EXPECT_EQ(stream.generation_id(), "gen_1");
  EXPECT_EQ(stream.request_id(), "wish-1");
  EXPECT_EQ(stream.last_sequence(), log_.size());
}

// The result first; the events that it passed by are kept. It is the same when asked again.
TEST_F(Streams, ResultThenEvents) {
  ImageStream stream = Begin();
  const ImageResult& result = stream.Result();
  EXPECT_EQ(&result, &stream.Result());
  EXPECT_EQ(Count(stream), 6);
}

// A loop goes on where another one stopped, also in a stream that was moved.
TEST_F(Streams, LoopsGoOn) {
  ImageStream stream = Begin();
  for (const Event& event : stream) {
    if (std::holds_alternative<Preview>(event)) break;
  }
  ImageStream moved = std::move(stream);
  EXPECT_EQ(Count(moved), 3);
}

// A stream outlives the client and the model that it came from.
TEST_F(Streams, OutlivesItsClient) {
  std::optional<Client> client(server_.client());
  ImageStream stream = client->image("m").Stream("a boat");
  client.reset();
  EXPECT_EQ(stream.Result().images().size(), 2);
}

// An end without a result is an error, the same at each asking, with the ids that are known.
TEST_F(Streams, EndWithoutResult) {
  log_.pop_back();
  ImageStream stream = Begin();
  for (int i = 0; i < 2; ++i) {
    try {
      stream.Result();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.reason(), v1::ERROR_REASON_INVALID_RESPONSE);
      EXPECT_EQ(error.generation_id(), "gen_1");
      EXPECT_EQ(error.request_id(), "wish-1");
    }
  }
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(stream.Next());
  EXPECT_THROW(stream.Next(), Error);
}

// The result stands, whatever becomes of the call behind it.
TEST_F(Streams, ResultStands) {
  end_ = [](auto&) { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone"); };
  ImageStream stream = Begin();
  EXPECT_EQ(stream.Result().images().size(), 2);
  EXPECT_NO_THROW(stream.Abort());
  EXPECT_EQ(stream.Result().images().size(), 2);
}

// A broken promise ends the call at the server too: nobody shall pay for more of it.
TEST_F(Streams, InvalidResponseEndsTheCall) {
  log_ = Numbered({{StartedEvent(), Chunk(0, 0, 0, "x")}});
  end_ = [this](auto& context) { return server_.UntilLeft(context); };
  ImageStream stream = Begin();
  EXPECT_THROW(stream.Result(), Error);
  EXPECT_TRUE(server_.WaitForLeft());
}

// A message that cannot be read is no end to wait for: the call is over, and nobody pays for what would follow.
TEST_F(Streams, AMessageThatCannotBeReadEndsTheCall) {
  log_ = Numbered({{StartedEvent(), ProgressEvent(), ProgressEvent()}});
  log_[1].mutable_progress()->set_message("\xff is no UTF-8");
  end_ = [this](auto& context) { return server_.UntilLeft(context); };
  ImageStream stream = Begin();
  auto waiting = std::async(std::launch::async, [&] {
    try {
      stream.Result();
    } catch (const Error& error) {
      return error.reason();
    }
    return v1::ERROR_REASON_UNSPECIFIED;
  });
  EXPECT_TRUE(server_.WaitForLeft());
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  stream.Abort();  // so that a test that fails ends
  EXPECT_EQ(waiting.get(), v1::ERROR_REASON_INVALID_RESPONSE);
}

// A stream that nobody reads is left by destruction, which the server sees at once.
TEST_F(Streams, DestructionLeaves) {
  end_ = [this](auto& context) { return server_.UntilLeft(context); };
  log_.pop_back();
  {
    ImageStream stream = Begin();
    ASSERT_TRUE(server_.WaitForCalls("StreamGenerate", 1));
  }
  EXPECT_TRUE(server_.WaitForLeft());
}

// Abort from another thread wakes those who wait, with CANCELLED, and drops the events that were not read.
TEST_F(Streams, AbortFromAnotherThread) {
  log_ = Numbered({{StartedEvent()}});
  end_ = [this](auto& context) { return server_.UntilLeft(context); };
  ImageStream stream = Begin();
  ASSERT_TRUE(stream.Next());
  auto waiting = std::async(std::launch::async, [&] {
    try {
      stream.Result();
    } catch (const Error& error) {
      return error.reason();
    }
    return v1::ERROR_REASON_UNSPECIFIED;
  });
  auto also = std::async(std::launch::async, [&] { EXPECT_THROW(stream.Next(), Error); });
  stream.Abort();
  EXPECT_EQ(waiting.get(), v1::ERROR_REASON_CANCELLED);
  also.get();
  EXPECT_TRUE(server_.WaitForLeft());
  EXPECT_EQ(server_.calls("Cancel"), 0);
}

// Several threads may read one stream: together they get every event once.
TEST_F(Streams, ThreadsShareAStream) {
  ImageStream stream = Begin();
  const auto count = [&] {
    std::size_t events = 0;
    while (stream.Next()) ++events;
    return events;
  };
  auto one = std::async(std::launch::async, count);
  auto two = std::async(std::launch::async, count);
  auto result = std::async(std::launch::async, [&] { return stream.Result().images().size(); });
  EXPECT_EQ(one.get() + two.get(), 6);
  EXPECT_EQ(result.get(), 2);
}

// An unread stream holds its server up instead of filling this process's memory.
TEST_F(Streams, FlowControl) {
  const std::string piece(200'000, 'x');
  std::promise<int> written;
  server_.on_stream_generate = [&](auto& context, const auto&, auto& writer) {
    int count = 0;
    std::thread waker([&] { server_.UntilLeft(context); });
    while (count < 1000 && writer.Write(Chunk(0, 1, 0, piece))) ++count;
    waker.join();
    written.set_value(count);
    return grpc::Status::OK;
  };
  {
    ImageStream stream = Begin();
    server_.WaitForCalls("StreamGenerate", 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // nothing tells that a writer stands still
  }
  EXPECT_LT(written.get_future().get(), 300);
}

}  // namespace
}  // namespace imagegen::test
