// What is behind an ImageStream.
#ifndef IMAGEGEN_SRC_STREAM_STATE_H_
#define IMAGEGEN_SRC_STREAM_STATE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "assembly.h"
#include "generation.h"
#include "imagegen/error.h"
#include "imagegen/stream.h"

namespace imagegen::internal {

// Reads a generation on behalf of whoever asks, one thread at a time, and keeps what was passed by.
class StreamState {
 public:
  StreamState(std::shared_ptr<Connection> connection, StreamRequest request, Deadline deadline, Lifetime lifetime,
              Assembler assembler);

  std::optional<Event> Next();
  const ImageResult& Result();
  // The result, for a caller who is the only one.
  ImageResult TakeResult();
  void Abort();
  const Generation& generation() const { return generation_; }

 private:
  // Takes one more message in, unless another reader has done so since `seen` messages were there.
  void Advance(std::uint64_t seen);
  void Read();
  // The error with the ids of the generation where it has none.
  Error Named(const Error& error) const;

  Generation generation_;
  std::mutex turn_;  // one reader at a time; taken before mutex_
  // For whoever has the turn. One message for all, as it keeps the memory of its chunk.
  Assembler assembler_;
  v1::ImageStreamEvent message_;

  std::mutex mutex_;
  std::deque<Event> events_;
  std::optional<std::variant<ImageResult, Error>> outcome_;
  std::uint64_t messages_ = 0;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_STREAM_STATE_H_
