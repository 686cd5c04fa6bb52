// Streams that break and are read on: nothing is lost, nothing is bought twice.
#include <gtest/gtest.h>

#include <functional>

#include "backoff.h"
#include "fake_server.h"

namespace imagegen::test {
namespace {

const grpc::Status kGone(grpc::StatusCode::UNAVAILABLE, "gone");

// A generation with a long log, which can be resumed.
class Resuming : public testing::Test {
 protected:
  Resuming() {
    internal::ScaleBackoff(0.01);
    settings_.resumable = true;
    server_.on_stream_generate = [this](auto& context, const auto& request, auto& writer) {
      asked_.push_back(request.request_id());
      Play(log_, writer, 0, end_);
      return end_ < log_.size() ? break_(context) : grpc::Status::OK;
    };
    server_.on_resume = [this](auto&, const auto& request, auto& writer) {
      resumed_.push_back(request);
      Play(log_, writer, request.after_sequence());
      return grpc::Status::OK;
    };
    server_.on_cancel = [](auto&, const auto&, auto&) { return grpc::Status::OK; };
  }
  ~Resuming() override { internal::ScaleBackoff(1); }

  ImageStream Begin() { return server_.client().image("m", settings_).Stream("a boat"); }

  static void ExpectWhole(ImageStream& stream) {
    std::size_t events = 0;
    for ([[maybe_unused]] const Event& event : stream) ++events;
    EXPECT_EQ(events, 6);
    EXPECT_EQ(stream.Result().images().at(0).bytes(), Bytes(250, 'a'));
    EXPECT_EQ(stream.Result().images().at(1).bytes(), Bytes(250, 'b'));
  }

  CallSettings settings_;
  Log log_ = LongLog();
  std::size_t end_ = SIZE_MAX;
  std::function<grpc::Status(grpc::ServerContext&)> break_ = [](auto&) { return kGone; };
  std::vector<std::string> asked_;
  std::vector<v1::ResumeRequest> resumed_;
  FakeServer server_;  // last: its handlers use the others
};

// A break anywhere, also in mid-image, is not seen: the same request again before the first event, Resume after it.
TEST_F(Resuming, ABreakAnywhereIsNotSeen) {
  for (std::size_t end = 0; end < log_.size(); ++end) {
    asked_.clear();
    resumed_.clear();
    end_ = end;
    break_ = [&](auto&) {
      end_ = SIZE_MAX;
      return kGone;
    };
    ImageStream stream = Begin();
    ExpectWhole(stream);
    if (end == 0) {
      ASSERT_EQ(asked_.size(), 2);
      EXPECT_EQ(asked_[0], asked_[1]);
      EXPECT_EQ(asked_[0].size(), 36);
    } else {
      EXPECT_EQ(asked_.size(), 1);
      ASSERT_EQ(resumed_.size(), 1);
      EXPECT_EQ(resumed_[0].after_sequence(), end);
      EXPECT_EQ(resumed_[0].generation_id(), "gen_1");
      EXPECT_EQ(resumed_[0].delivery().mode(), v1::DELIVERY_MODE_INLINE);
    }
  }
}

// The ends that count as breaks: four codes without the server's words, and a good end without a result.
TEST_F(Resuming, EndsThatAreBreaks) {
  for (const auto code : {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN,
                          grpc::StatusCode::CANCELLED, grpc::StatusCode::OK}) {
    end_ = 5;
    break_ = [code](auto&) { return grpc::Status(code, ""); };
    ImageStream stream = Begin();
    ExpectWhole(stream);
  }
}

// What the server says is final, and so is any other code; then the failure is told as it came.
TEST_F(Resuming, OtherEndsAreFinal) {
  end_ = 5;
  break_ = [](auto& context) { return Worded(context, grpc::StatusCode::INTERNAL, v1::ERROR_REASON_PROVIDER_ERROR); };
  EXPECT_THROW(Begin().Result(), Error);
  break_ = [](auto&) { return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, ""); };
  EXPECT_THROW(Begin().Result(), Error);
  EXPECT_EQ(server_.calls("Resume"), 0);
}

// Without `resumable` a break is an error.
TEST_F(Resuming, OnlyIfAskedFor) {
  settings_.resumable = false;
  end_ = 5;
  EXPECT_THROW(Begin().Result(), Error);
  EXPECT_EQ(server_.calls("Resume"), 0);
}

// The id in the initial metadata is enough to resume, before any event.
TEST_F(Resuming, IdInTheMetadataIsEnough) {
  end_ = 0;
  break_ = [](auto& context) {
    context.AddInitialMetadata("imagegen-generation-id", "gen_1");
    return kGone;
  };
  ImageStream stream = Begin();
  ExpectWhole(stream);
  EXPECT_EQ(asked_.size(), 1);
  EXPECT_EQ(resumed_.at(0).after_sequence(), 0);
}

// A server that is busy is asked to resume again; what else it says to a Resume is final.
TEST_F(Resuming, ABusyServerIsAskedAgain) {
  end_ = 5;
  auto resume = server_.on_resume;
  server_.on_resume = [&](auto& context, const auto& request, auto& writer) {
    if (server_.calls("Resume") < 3) {
      return Worded(context, grpc::StatusCode::RESOURCE_EXHAUSTED, v1::ERROR_REASON_SERVER_BUSY);
    }
    return resume(context, request, writer);
  };
  ImageStream stream = Begin();
  ExpectWhole(stream);
  server_.on_resume = [](auto& context, const auto&, auto&) {
    return Worded(context, grpc::StatusCode::NOT_FOUND, v1::ERROR_REASON_GENERATION_NOT_FOUND);
  };
  const int before = server_.calls("Resume");
  EXPECT_THROW(Begin().Result(), Error);
  EXPECT_EQ(server_.calls("Resume"), before + 1);
}

// A line that stays broken is an error after seven tries; a message that arrives renews them.
TEST_F(Resuming, ALineThatStaysBrokenIsAnError) {
  end_ = 5;
  server_.on_resume = [&](auto&, const auto& request, auto& writer) {
    const int call = server_.calls("Resume");
    if (call == 7) Play(log_, writer, request.after_sequence(), request.after_sequence() + 1);
    return grpc::Status(grpc::StatusCode::INTERNAL, "");
  };
  try {
    Begin().Result();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(error.generation_id(), "gen_1");
  }
  EXPECT_EQ(server_.calls("Resume"), 14);
  EXPECT_EQ(server_.calls("Cancel"), 0);  // who knows its name may come back to it
}

// What a call before may have cost is unknown, also where no connection comes about any more.
TEST_F(Resuming, WhatACallBeforeCostIsUnknown) {
  const auto billed = [this] {
    try {
      Begin().Result();
    } catch (const Error& error) {
      return error.billed();
    }
    return v1::BILLED_YES;
  };
  server_.on_stream_generate = [this](auto&, const auto&, auto&) {
    return server_.calls("StreamGenerate") == 1
               ? kGone
               : grpc::Status(grpc::StatusCode::UNAVAILABLE, "failed to connect to all addresses");
  };
  EXPECT_EQ(billed(), v1::BILLED_UNKNOWN);
  EXPECT_EQ(server_.calls("StreamGenerate"), 8);
  settings_.resumable = false;
  EXPECT_EQ(billed(), v1::BILLED_NO);
}

// The deadline covers all tries.
TEST_F(Resuming, TheDeadlineCoversAllTries) {
  internal::ScaleBackoff(1000);
  end_ = 5;
  settings_.timeout = std::chrono::milliseconds(100);
  try {
    Begin().Result();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_TIMEOUT);
  }
}

// What client.Resume returns is read on by itself as well, by the name that was given.
TEST_F(Resuming, ResumedStreamsAreReadOn) {
  int call = 0;
  server_.on_resume = [&](auto&, const auto& request, auto& writer) {
    resumed_.push_back(request);
    Play(log_, writer, request.after_sequence(), ++call == 1 ? 4 : SIZE_MAX);
    return call == 1 ? kGone : grpc::Status::OK;
  };
  ImageStream stream = server_.client().Resume(GenerationName::ByRequestId("wish-1"));
  ExpectWhole(stream);
  EXPECT_EQ(resumed_.at(0).request_id(), "wish-1");
  EXPECT_EQ(resumed_.at(1).generation_id(), "gen_1");
  EXPECT_EQ(resumed_.at(1).after_sequence(), 4);
}

// Bytes are checked over a break.
TEST_F(Resuming, BytesAreCheckedOverABreak) {
  end_ = 7;
  Log other = log_;
  other[7].mutable_chunk()->mutable_data()->at(0) ^= 1;
  server_.on_resume = [&](auto&, const auto& request, auto& writer) {
    Play(other, writer, request.after_sequence());
    return grpc::Status::OK;
  };
  try {
    Begin().Result();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_INVALID_RESPONSE);
  }
}

}  // namespace
}  // namespace imagegen::test
