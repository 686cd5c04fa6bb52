// Steps by the generated stubs alone, over a channel with default settings.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

#include "imagegen/v1/image_service.grpc.pb.h"
#include "outcome.h"
#include "plain_channel.h"

namespace conformance {
namespace {

namespace api = imagegen::v1;

std::string First(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata, const char* key) {
  const auto found = metadata.lower_bound(key);
  if (found == metadata.end() || found->first != key) return {};
  return {found->second.data(), found->second.size()};
}

void Prepare(const Step& step, grpc::ClientContext& context) {
  if (!step.token().empty()) context.AddMetadata("authorization", "Bearer " + step.token());
  if (step.timeout_ms() > 0) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(step.timeout_ms()));
  }
}

// True if the call went well.
bool Check(const grpc::Status& status, const grpc::ClientContext& context, Outcome& outcome) {
  if (status.ok()) return true;
  v1::Failure& failure = *outcome.mutable_failure();
  failure.set_code(status.error_code());
  failure.set_message(status.error_message());
  failure.set_reason(First(context.GetServerTrailingMetadata(), "imagegen-reason"));
  failure.set_billed(First(context.GetServerTrailingMetadata(), "imagegen-billed"));
  return false;
}

v1::Picture PictureOf(api::GeneratedImage made, std::string_view bytes) {
  v1::Picture picture;
  picture.set_index(made.index());
  picture.set_media_type(made.image().media_type());
  if (!bytes.empty()) SetBytes(picture, bytes);
  made.mutable_image()->clear_data();
  *picture.mutable_made() = std::move(made);
  return picture;
}

void Tell(api::ImageResult result, Outcome& outcome) {
  for (api::GeneratedImage& made : *result.mutable_images()) {
    if (!made.image().data().empty()) *outcome.add_pictures() = PictureOf(made, made.image().data());
    made.mutable_image()->clear_data();
  }
  *outcome.mutable_result() = std::move(result);
}

// Tells the messages of a stream, in which the chunks of one image in a row are one, and the images that they make.
class Messages {
 public:
  explicit Messages(Outcome& outcome) : outcome_(outcome) {}

  // Tells of the images that came whole.
  void End() {
    EndChunks();
    if (!outcome_.has_result()) return;
    for (const auto& [index, image] : images_) {
      if (!image.bytes.empty()) *outcome_.add_pictures() = PictureOf(image.made, image.bytes);
    }
  }

  void Take(api::ImageStreamEvent&& event) {
    outcome_.set_last_sequence(std::max(outcome_.last_sequence(), event.sequence()));
    if (event.has_chunk()) return TakeChunk(event.chunk());
    if (event.has_progress()) return outcome_.set_progress_events(outcome_.progress_events() + 1);
    EndChunks();
    switch (event.event_case()) {
      case api::ImageStreamEvent::kStarted:
        outcome_.set_generation_id(event.started().generation_id());
        outcome_.set_request_id(event.started().request_id());
        *outcome_.add_events()->mutable_started() = event.started();
        break;
      case api::ImageStreamEvent::kPreview: {
        api::GeneratedImage made;
        *made.mutable_image() = event.preview().image();
        *made.mutable_metadata() = event.preview().metadata();
        v1::Picture& picture = *outcome_.add_events()->mutable_preview() = PictureOf(std::move(made), {});
        picture.set_index(event.preview().index());
        picture.set_preview_number(event.preview().number());
        break;
      }
      case api::ImageStreamEvent::kComplete:
        images_[event.complete().index()] = {event.complete(), {}};
        *outcome_.add_events()->mutable_complete() = PictureOf(event.complete(), {});
        break;
      case api::ImageStreamEvent::kFailure:
        *outcome_.add_events()->mutable_failure() = event.failure();
        break;
      case api::ImageStreamEvent::kResult:
        outcome_.add_events()->set_result(true);
        outcome_.set_generation_id(event.result().generation_id());
        outcome_.set_request_id(event.result().request_id());
        Tell(event.result(), outcome_);
        break;
      default:
        outcome_.add_events()->set_unknown(true);
    }
  }

 private:
  void TakeChunk(const api::ImageChunk& chunk) {
    if (chunks_ == nullptr || chunks_->index() != chunk.index() ||
        chunks_->preview_number() != chunk.preview_number()) {
      EndChunks();
      chunks_ = outcome_.add_events()->mutable_chunks();
      chunks_->set_index(chunk.index());
      chunks_->set_preview_number(chunk.preview_number());
    }
    bytes_ += chunk.data();
    const auto image = images_.find(chunk.index());
    if (chunk.preview_number() == 0 && image != images_.end()) image->second.bytes += chunk.data();
  }

  void EndChunks() {
    if (chunks_ != nullptr) SetBytes(*chunks_, bytes_);
    chunks_ = nullptr;
    bytes_.clear();
  }

  struct Made {
    api::GeneratedImage made;
    std::string bytes;
  };

  Outcome& outcome_;
  std::map<std::uint32_t, Made> images_;
  v1::Picture* chunks_ = nullptr;
  std::string bytes_;
};

template <class Method, class Request>
void Watch(const Step& step, api::ImageService::Stub& images, Method method, const Request& request, Outcome& outcome) {
  grpc::ClientContext context;
  Prepare(step, context);
  const auto reader = (images.*method)(&context, request);
  Messages messages(outcome);
  api::ImageStreamEvent event;
  std::uint32_t seen = 0;
  bool left = false;
  const auto enough = [&] { return step.has_leave() && seen >= step.leave().after_events(); };
  if ((left = enough())) context.TryCancel();
  while (reader->Read(&event)) {
    if (left) continue;
    messages.Take(std::move(event));
    ++seen;
    if ((left = enough())) context.TryCancel();
  }
  messages.End();
  const grpc::Status status = reader->Finish();
  const auto& initial = context.GetServerInitialMetadata();
  if (outcome.generation_id().empty()) outcome.set_generation_id(First(initial, "imagegen-generation-id"));
  if (outcome.request_id().empty()) outcome.set_request_id(First(initial, "imagegen-request-id"));
  if (!left) Check(status, context, outcome);
}

void Read(const Step& step, api::ImageService::Stub& images, Outcome& outcome) {
  grpc::ClientContext context;
  Prepare(step, context);
  const auto reader = images.ReadImage(&context, step.read());
  api::ReadImageResponse piece;
  api::GeneratedImage made;
  std::string bytes;
  while (reader->Read(&piece)) {
    if (piece.has_image()) *made.mutable_image() = piece.image();
    bytes += piece.data();
  }
  if (!Check(reader->Finish(), context, outcome)) return;
  *outcome.mutable_image() = made.image();
  *outcome.add_pictures() = PictureOf(made, bytes);
}

}  // namespace

void DoWithStubs(const Step& step, Outcome& outcome) {
  const auto images = api::ImageService::NewStub(PlainChannel(step));
  grpc::ClientContext context;
  Prepare(step, context);
  switch (step.operation_case()) {
    case Step::kGenerate: {
      api::ImageResult result;
      if (Check(images->Generate(&context, step.generate(), &result), context, outcome)) Tell(result, outcome);
      break;
    }
    case Step::kEdit: {
      api::ImageResult result;
      if (Check(images->Edit(&context, step.edit(), &result), context, outcome)) Tell(result, outcome);
      break;
    }
    case Step::kStream:
      Watch(step, *images, &api::ImageService::Stub::StreamGenerate, step.stream(), outcome);
      break;
    case Step::kStreamEdit:
      Watch(step, *images, &api::ImageService::Stub::StreamEdit, step.stream_edit(), outcome);
      break;
    case Step::kResume:
      Watch(step, *images, &api::ImageService::Stub::Resume, step.resume(), outcome);
      break;
    case Step::kCancel: {
      api::CancelResponse response;
      if (Check(images->Cancel(&context, step.cancel(), &response), context, outcome)) {
        outcome.set_stopped(response.stopped());
      }
      break;
    }
    case Step::kRead:
      Read(step, *images, outcome);
      break;
    case Step::kExplain:
      if (!Check(images->Explain(&context, step.explain(), outcome.mutable_explained()), context, outcome)) {
        outcome.clear_explained();
      }
      break;
    default:
      outcome.set_unsupported("the plain face does not do this operation");
  }
}

}  // namespace conformance
