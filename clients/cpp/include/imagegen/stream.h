/// @file
/// A running generation.
#ifndef IMAGEGEN_STREAM_H_
#define IMAGEGEN_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "imagegen/event.h"
#include "imagegen/result.h"

namespace imagegen {

namespace internal {
class StreamState;
}  // namespace internal

/// A generation that runs. Iterate it for events, ask Result() for the whole, in either order or both.
///
/// It runs whether or not anybody reads. Abort() stops it. So does leaving it, by destruction, unless it was meant to
/// go on without its reader: one with a request_id of yours or DETACH, or one that was resumed by its id.
///
/// All members but the destructor, moves and the iterators may be called by several threads at once. A stream that was
/// moved from can only be destroyed or assigned to.
class ImageStream {
 public:
  /// For this library.
  explicit ImageStream(std::unique_ptr<internal::StreamState> state);
  /// Takes the stream over.
  ImageStream(ImageStream&& other) noexcept;
  /// Leaves the stream at hand, and takes the other one over.
  ImageStream& operator=(ImageStream&& other) noexcept;
  ImageStream(const ImageStream&) = delete;
  ImageStream& operator=(const ImageStream&) = delete;
  /// Leaves the stream. Where the server must be told to stop, that is waited for a second at most.
  ~ImageStream();

  /// The next event, or nothing when the result is there. Events that Result() passed by are kept for this.
  /// @throws Error the generation failed or was stopped.
  std::optional<Event> Next();

  /// Waits for the end and returns what came of it; asked again, the same again.
  /// @throws Error the generation failed or was stopped.
  const ImageResult& Result();

  /// Stops the generation at once. No event follows; Next() and Result(), also those that wait in other threads, throw
  /// CANCELLED. The provider may bill what it has begun. Does nothing once the result is there. Where the generation
  /// would run on without its reader, the server is told to stop it.
  /// @throws Error the server could not be told within 10 seconds, so the generation may run on.
  void Abort();

  /// The server's id for it, for Client::Resume, Client::Cancel and support. Empty until something was received.
  std::string generation_id() const;
  /// The id of the wish, good for the same. Empty if none was sent and Started was not received.
  std::string request_id() const;
  /// Where the generation's log was read to: ResumeSettings::after_sequence for going on from here.
  std::uint32_t last_sequence() const;

  /// Reads the stream for a range-based for loop. Reading the next event may throw as Next() does.
  class Iterator {
   public:
    /// Single pass.
    using iterator_category = std::input_iterator_tag;
    /// What is iterated.
    using value_type = Event;
    /// Distances are not measured.
    using difference_type = std::ptrdiff_t;
    /// To the event at hand.
    using pointer = Event*;
    /// To the event at hand.
    using reference = Event&;

    /// The end.
    Iterator() = default;
    /// At the stream's next event.
    explicit Iterator(ImageStream* stream) : stream_(stream) { ++*this; }
    /// The event at hand, which may be moved from.
    Event& operator*() { return *event_; }
    /// The event at hand.
    Event* operator->() { return &*event_; }
    /// Reads the next event.
    Iterator& operator++() {
      event_ = stream_->Next();
      if (!event_) stream_ = nullptr;
      return *this;
    }
    /// Reads the next event.
    void operator++(int) { ++*this; }
    /// Whether both are at the end.
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.stream_ == b.stream_; }
    /// Whether one of them is not at the end.
    friend bool operator!=(const Iterator& a, const Iterator& b) { return !(a == b); }

   private:
    ImageStream* stream_ = nullptr;
    std::optional<Event> event_;
  };

  /// Reads the next event. A second loop goes on where the first one stopped.
  Iterator begin() { return Iterator(this); }
  /// The end.
  Iterator end() { return {}; }

 private:
  std::unique_ptr<internal::StreamState> state_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_STREAM_H_
