#include "assembly.h"

#include <utility>
#include <vector>

#include "imagegen/error.h"
#include "metadata.h"
#include "status.h"

namespace imagegen::internal {
namespace {

// The preview number of chunks that belong to a finished image.
constexpr std::uint32_t kFinished = 0;

Preview PreviewOf(v1::ImagePreview&& preview, std::shared_ptr<const std::string> bytes) {
  return {preview.index(), preview.number(), Image(std::move(*preview.mutable_image()), std::move(bytes)),
          MetadataFrom(*preview.mutable_metadata())};
}

}  // namespace

bool Assembler::Opening::Takes(const v1::ImageChunk& chunk) const {
  if (const auto* preview = std::get_if<v1::ImagePreview>(&event)) {
    return preview->index() == chunk.index() && preview->number() == chunk.preview_number();
  }
  return std::get<v1::GeneratedImage>(event).index() == chunk.index() && chunk.preview_number() == kFinished;
}

std::optional<Event> Assembler::Feed(v1::ImageStreamEvent&& event) {
  if (result_) return std::nullopt;
  switch (event.event_case()) {
    case v1::ImageStreamEvent::kStarted:
      return std::move(*event.mutable_started());
    case v1::ImageStreamEvent::kProgress:
      return std::move(*event.mutable_progress());
    case v1::ImageStreamEvent::kPreview:
      return OnPreview(std::move(*event.mutable_preview()));
    case v1::ImageStreamEvent::kComplete:
      return OnComplete(std::move(*event.mutable_complete()));
    case v1::ImageStreamEvent::kChunk:
      return OnChunk(std::move(*event.mutable_chunk()));
    case v1::ImageStreamEvent::kFailure:
      return std::move(*event.mutable_failure());
    case v1::ImageStreamEvent::kResult:
      EndOpen();
      OnResult(std::move(*event.mutable_result()));
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<Event> Assembler::OnPreview(v1::ImagePreview&& preview) {
  EndOpen();
  if (!chunked_) return PreviewOf(std::move(preview), nullptr);
  try {
    ByteRun run(preview.image());
    open_.emplace(Opening{std::move(preview), std::move(run)});
  } catch (const Error&) {
    // Its chunks will find no opening, and be left out as well.
  }
  return std::nullopt;
}

std::optional<Event> Assembler::OnComplete(v1::GeneratedImage&& made) {
  EndOpen();
  if (!chunked_) return Completed(std::move(made), nullptr);
  ByteRun run(made.image());
  open_.emplace(Opening{std::move(made), std::move(run)});
  return std::nullopt;
}

std::optional<Event> Assembler::OnChunk(v1::ImageChunk&& chunk) {
  const bool finished = chunk.preview_number() == kFinished;
  if (!open_ || !open_->Takes(chunk)) {
    if (!finished) return std::nullopt;  // the rest of a preview that was given up
    if (!whole_ && !open_ && images_.count(chunk.index()) == 0) {
      return std::nullopt;  // the rest of an image that was begun before
    }
    throw InvalidResponse("bytes of image " + std::to_string(chunk.index()) + " came outside of their place");
  }
  std::shared_ptr<const std::string> bytes;
  try {
    open_->run.Append(chunk.offset(), std::move(*chunk.mutable_data()));
    if (!open_->run.whole()) return std::nullopt;
    bytes = open_->run.Join();
  } catch (const Error&) {
    open_.reset();
    if (!finished) return std::nullopt;  // a damaged preview is no reason to lose the image
    throw;
  }
  Opening opening = std::move(*open_);
  open_.reset();
  if (auto* preview = std::get_if<v1::ImagePreview>(&opening.event)) {
    return PreviewOf(std::move(*preview), std::move(bytes));
  }
  return Completed(std::move(std::get<v1::GeneratedImage>(opening.event)), std::move(bytes));
}

Event Assembler::Completed(v1::GeneratedImage&& made, std::shared_ptr<const std::string> bytes) {
  images_[made.index()] = bytes;
  return Complete{GeneratedImage(std::move(made), std::move(bytes))};
}

void Assembler::EndOpen() {
  const auto* made = open_ ? std::get_if<v1::GeneratedImage>(&open_->event) : nullptr;
  const std::optional<std::uint32_t> cut = made != nullptr ? std::optional(made->index()) : std::nullopt;
  open_.reset();
  if (cut) throw InvalidResponse("image " + std::to_string(*cut) + " was cut short");
}

void Assembler::OnResult(v1::ImageResult&& message) {
  if (message.images().empty()) {
    throw InvalidResponse("the server ended the generation without an image and without an error");
  }
  std::vector<GeneratedImage> images;
  images.reserve(static_cast<std::size_t>(message.images_size()));
  for (v1::GeneratedImage& made : *message.mutable_images()) {
    const auto received = images_.find(made.index());
    if (received == images_.end() && chunked_ && whole_) {
      throw InvalidResponse("the result names image " + std::to_string(made.index()) + ", which never came");
    }
    made.mutable_image()->clear_data();
    images.emplace_back(made, received == images_.end() ? nullptr : received->second);
  }
  result_.emplace(std::move(message), std::move(images));
}

}  // namespace imagegen::internal
