#include "imagegen/stream.h"

#include <utility>

#include "status.h"
#include "stream_state.h"

namespace imagegen {
namespace internal {

StreamState::StreamState(std::shared_ptr<Connection> connection, StreamRequest request, Deadline deadline,
                         Lifetime lifetime, Assembler assembler)
    : generation_(std::move(connection), std::move(request), deadline, lifetime), assembler_(std::move(assembler)) {}

std::optional<Event> StreamState::Next() {
  for (;;) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      if (!events_.empty()) {
        Event event = std::move(events_.front());
        events_.pop_front();
        return event;
      }
      if (outcome_) {
        if (const auto* error = std::get_if<Error>(&*outcome_)) throw Error(*error);
        return std::nullopt;
      }
      seen = messages_;
    }
    Advance(seen);
  }
}

const ImageResult& StreamState::Result() {
  for (;;) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      if (outcome_) {
        if (const auto* error = std::get_if<Error>(&*outcome_)) throw Error(*error);
        return std::get<ImageResult>(*outcome_);
      }
      seen = messages_;
    }
    Advance(seen);
  }
}

ImageResult StreamState::TakeResult() {
  Result();
  return std::get<ImageResult>(std::move(*outcome_));
}

void StreamState::Abort() {
  const Error aborted = Named(Cancelled("the generation was aborted"));
  {
    const std::lock_guard lock(mutex_);
    if (!outcome_) {
      events_.clear();
      outcome_ = aborted;
    }
  }
  generation_.Stop();
}

void StreamState::Advance(std::uint64_t seen) {
  const std::lock_guard turn(turn_);
  {
    const std::lock_guard lock(mutex_);
    if (messages_ != seen || outcome_) return;
  }
  Read();
}

void StreamState::Read() {
  try {
    generation_.Receive(&message_);
    std::optional<Event> event = assembler_.Feed(std::move(message_));
    const std::lock_guard lock(mutex_);
    ++messages_;
    if (outcome_) return;  // it was aborted meanwhile
    if (event) events_.push_back(std::move(*event));
    if (assembler_.result()) outcome_ = assembler_.TakeResult();
  } catch (const Error& error) {
    const Error named = Named(error);
    {
      const std::lock_guard lock(mutex_);
      if (!outcome_) outcome_ = named;
    }
    generation_.Leave();  // nobody shall pay for more of what is of no use
    return;
  }
  if (!assembler_.result()) return;
  // The result stands, whatever becomes of the call. It ends in good order if it is read to its end.
  try {
    v1::ImageStreamEvent ignored;
    while (generation_.Receive(&ignored)) {
    }
  } catch (const Error&) {
    // See above.
  }
}

Error StreamState::Named(const Error& error) const {
  return WithIds(error, generation_.generation_id(), generation_.request_id());
}

}  // namespace internal

ImageStream::ImageStream(std::unique_ptr<internal::StreamState> state) : state_(std::move(state)) {}
ImageStream::ImageStream(ImageStream&& other) noexcept = default;
ImageStream& ImageStream::operator=(ImageStream&& other) noexcept = default;
ImageStream::~ImageStream() = default;

std::optional<Event> ImageStream::Next() { return state_->Next(); }
const ImageResult& ImageStream::Result() { return state_->Result(); }
void ImageStream::Abort() { state_->Abort(); }
std::string ImageStream::generation_id() const { return state_->generation().generation_id(); }
std::string ImageStream::request_id() const { return state_->generation().request_id(); }
std::uint32_t ImageStream::last_sequence() const { return state_->generation().sequence(); }

}  // namespace imagegen
