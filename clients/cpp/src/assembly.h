// Puts a stream of API events together: chunks become whole images, and the end becomes a result.
#ifndef IMAGEGEN_SRC_ASSEMBLY_H_
#define IMAGEGEN_SRC_ASSEMBLY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "byte_run.h"
#include "imagegen/event.h"
#include "imagegen/result.h"
#include "imagegen/v1/image_stream.pb.h"

namespace imagegen::internal {

// Takes the events of one stream in order. Needs no network.
class Assembler {
 public:
  // `chunked`: the bytes of images follow as chunks (inline delivery); else images are facts and an id. `whole`: the
  // events come from the start; else an image whose beginning is missing is left to its id.
  Assembler(bool chunked, bool whole) : chunked_(chunked), whole_(whole) {}

  // Takes the next event; what it completes is returned. An unset or newer event is ignored. Throws Error,
  // INVALID_RESPONSE, where the stream breaks a promise that a finished image depends on; a damaged preview is left
  // out.
  std::optional<Event> Feed(v1::ImageStreamEvent&& event);

  // What the stream came to, once it was told.
  const std::optional<ImageResult>& result() const { return result_; }
  // The same, once, for whoever keeps it.
  ImageResult TakeResult() { return std::move(*result_); }

 private:
  // The image opened last.
  struct Opening {
    std::variant<v1::ImagePreview, v1::GeneratedImage> event;
    ByteRun run;
    bool Takes(const v1::ImageChunk& chunk) const;
  };

  std::optional<Event> OnPreview(v1::ImagePreview&& preview);
  std::optional<Event> OnComplete(v1::GeneratedImage&& made);
  std::optional<Event> OnChunk(v1::ImageChunk&& chunk);
  void OnResult(v1::ImageResult&& message);
  Event Completed(v1::GeneratedImage&& made, std::shared_ptr<const std::string> bytes);
  // An opening ends an unfinished preview; a finished image may not be cut short.
  void EndOpen();

  bool chunked_;
  bool whole_;
  std::optional<Opening> open_;
  // The bytes of the finished images by index; null by reference.
  std::map<std::uint32_t, std::shared_ptr<const std::string>> images_;
  std::optional<ImageResult> result_;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_ASSEMBLY_H_
