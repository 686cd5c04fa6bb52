// The generation behind a stream: its RPC, what is done when that breaks, and how it is stopped.
#ifndef IMAGEGEN_SRC_GENERATION_H_
#define IMAGEGEN_SRC_GENERATION_H_

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "backoff.h"
#include "connection.h"
#include "imagegen/v1/image_service.grpc.pb.h"

namespace imagegen::internal {

// What a stream is asked for with.
using StreamRequest = std::variant<v1::GenerateRequest, v1::EditRequest, v1::ResumeRequest>;

// How a generation outlives its RPC.
struct Lifetime {
  // A broken stream is read on.
  bool resumable = false;
  // It may run on at the server without this reader: stopping it takes a Cancel.
  bool shared = false;
  // Nobody else can know its name, so leaving it stops it.
  bool owned = false;
};

// Reads a generation's events, over one RPC or, when that breaks and may be resumed, over several. One thread at a time
// may receive; everything else may be called by any.
class Generation {
 public:
  // Sends the request, and returns when it is sent or cannot be.
  Generation(std::shared_ptr<Connection> connection, StreamRequest request, Deadline deadline, Lifetime lifetime);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;
  // Leaves, and waits a moment for the server to have heard of it.
  ~Generation();

  // The next event; false at the good end, after the result. Throws Error: the generation failed, or the connection
  // broke for good.
  bool Receive(v1::ImageStreamEvent* event);

  // Goes away. What nobody else can know of is stopped at the server; how that goes is returned.
  std::optional<Told> Leave();

  // Goes away, and stops the generation also where it would run on without this reader. Throws Error if the server
  // could not be told.
  void Stop();

  std::string generation_id() const;
  std::string request_id() const;
  std::uint32_t sequence() const;

 private:
  struct Rpc;

  std::shared_ptr<Rpc> Begin(const StreamRequest& request);
  bool Next(v1::ImageStreamEvent* event, std::optional<Failure>* failure);
  bool Again(const Failure& failure);
  void Note(const v1::ImageStreamEvent& event, const Rpc& rpc);
  // Those below are called with the mutex held.
  StreamRequest Continuation() const;
  Told CancelLocked();
  void Name(const std::string& generation_id);

  const std::shared_ptr<Connection> connection_;
  const StreamRequest request_;
  const Deadline deadline_;
  const Lifetime lifetime_;

  mutable std::mutex mutex_;
  std::condition_variable left_changed_;
  std::shared_ptr<Rpc> rpc_;
  Backoff backoff_;
  std::optional<Told> cancelling_;
  std::string generation_id_;
  std::string request_id_;
  std::uint32_t sequence_ = 0;
  bool known_ = false;   // the server has it: it is resumed, not asked for again
  bool broken_ = false;  // an RPC before the one at hand broke, and may have begun it
  bool left_ = false;
  bool ended_ = false;  // the server told the end, so there is nothing to stop
  bool lost_ = false;   // the connection broke for good, and who knows the generation's name may come back to it
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_GENERATION_H_
