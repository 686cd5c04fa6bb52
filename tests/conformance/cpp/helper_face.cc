// Steps by the helper, through its public API alone.
#include <grpcpp/grpcpp.h>
#include <imagegen/client.h>

#include <optional>
#include <stdexcept>
#include <variant>

#include "outcome.h"

namespace conformance {
namespace {

using imagegen::CallSettings;
using imagegen::ImageStream;

imagegen::Client Connect(const Step& step) {
  imagegen::ConnectOptions options;
  options.token = step.token();
  if (!step.ca_file().empty()) options.tls = grpc::SslCredentialsOptions{ReadFile(step.ca_file()), {}, {}};
  return imagegen::Client(step.address(), options);
}

std::optional<std::chrono::milliseconds> TimeoutOf(const Step& step) {
  if (step.timeout_ms() == 0) return std::nullopt;
  return std::chrono::milliseconds(step.timeout_ms());
}

template <class Request>
CallSettings SettingsOf(const Step& step, const Request& request) {
  CallSettings settings;
  settings.options = request.options();
  settings.params = {request.params().begin(), request.params().end()};
  if (request.strict()) settings.strict = true;
  settings.delivery = request.delivery().mode();
  settings.timeout = TimeoutOf(step);
  if (step.resumable()) settings.resumable = true;
  settings.request_id = request.request_id();
  settings.on_disconnect = request.on_disconnect();
  if (request.has_retry()) {
    const auto& models = request.retry().fallback_models();
    if (!models.empty()) settings.fallback_models.emplace(models.begin(), models.end());
    if (request.retry().retry_ambiguous()) settings.retry_ambiguous = true;
    if (request.retry().fallback_on_content_filtered()) settings.fallback_on_content_filtered = true;
  }
  return settings;
}

imagegen::Image ImageOf(const imagegen::v1::ImageSource& source) {
  imagegen::Image image;
  if (source.has_url()) {
    image = imagegen::Image::FromUrl(source.url(), source.media_type());
  } else if (source.has_image_id()) {
    image = imagegen::Image::FromId(source.image_id());
  } else if (source.has_data()) {
    image = imagegen::Image::FromBytes(source.data(), source.media_type());
  }
  return source.metadata().empty() ? image : image.WithMetadata({source.metadata().begin(), source.metadata().end()});
}

imagegen::EditImages ImagesOf(const imagegen::v1::EditRequest& request) {
  imagegen::EditImages images;
  for (const auto& source : request.input().images()) images.images.push_back(ImageOf(source));
  if (request.input().has_mask()) images.mask = ImageOf(request.input().mask());
  return images;
}

v1::Picture PictureOf(const imagegen::Image& image) {
  v1::Picture picture;
  picture.set_media_type(image.media_type());
  if (image.has_bytes()) SetBytes(picture, image.bytes());
  *picture.mutable_made()->mutable_image() = image.facts();
  picture.mutable_made()->mutable_metadata()->insert(image.metadata().begin(), image.metadata().end());
  return picture;
}

v1::Picture PictureOf(const imagegen::GeneratedImage& image) {
  v1::Picture picture = PictureOf(static_cast<const imagegen::Image&>(image));
  picture.set_index(image.index());
  picture.mutable_made()->set_index(image.index());
  if (image.seed()) picture.mutable_made()->set_seed(*image.seed());
  if (image.revised_prompt()) picture.mutable_made()->set_revised_prompt(*image.revised_prompt());
  return picture;
}

v1::Picture PictureOf(const imagegen::Preview& preview) {
  v1::Picture picture = PictureOf(preview.image);
  picture.set_index(preview.index);
  picture.set_preview_number(preview.number);
  picture.mutable_made()->mutable_metadata()->insert(preview.metadata.begin(), preview.metadata.end());
  return picture;
}

void Tell(const imagegen::ImageResult& result, Outcome& outcome) {
  *outcome.mutable_result() = result.message();
  for (const auto& image : result.images()) {
    if (image.has_bytes()) *outcome.add_pictures() = PictureOf(image);
  }
}

void Tell(const imagegen::Error& error, Outcome& outcome) {
  v1::Failure& failure = *outcome.mutable_failure();
  failure.set_code(error.code());
  failure.set_reason(error.reason_name());
  failure.set_billed(BilledText(error.billed()));
  failure.set_message(error.message());
  failure.set_provider(error.provider());
  failure.set_model(error.model());
  if (error.retry_delay()) {
    failure.mutable_retry_delay()->set_seconds(error.retry_delay()->count() / 1'000'000'000);
    failure.mutable_retry_delay()->set_nanos(static_cast<int>(error.retry_delay()->count() % 1'000'000'000));
  }
  for (const auto& violation : error.violations()) {
    v1::Violation& told = *failure.add_violations();
    told.set_field(violation.field);
    told.set_description(violation.description);
  }
  *failure.mutable_failures() = {error.failures().begin(), error.failures().end()};
  *failure.mutable_attempts() = {error.attempts().begin(), error.attempts().end()};
  if (error.usage()) *failure.mutable_usage() = *error.usage();
  failure.mutable_metadata()->insert(error.metadata().begin(), error.metadata().end());
  failure.set_generation_id(error.generation_id());
  failure.set_request_id(error.request_id());
}

void Tell(const imagegen::Event& event, Outcome& outcome) {
  if (std::holds_alternative<imagegen::Progress>(event)) {
    outcome.set_progress_events(outcome.progress_events() + 1);
    return;
  }
  v1::Event& told = *outcome.add_events();
  if (const auto* started = std::get_if<imagegen::Started>(&event)) {
    *told.mutable_started() = *started;
  } else if (const auto* preview = std::get_if<imagegen::Preview>(&event)) {
    *told.mutable_preview() = PictureOf(*preview);
  } else if (const auto* complete = std::get_if<imagegen::Complete>(&event)) {
    *told.mutable_complete() = PictureOf(complete->image);
  } else if (const auto* failed = std::get_if<imagegen::Failed>(&event)) {
    *told.mutable_failure() = *failed;
  }
}

void Watch(const Step& step, ImageStream stream, Outcome& outcome) {
  const auto told = [&] {
    outcome.set_generation_id(stream.generation_id());
    outcome.set_request_id(stream.request_id());
    outcome.set_last_sequence(stream.last_sequence());
  };
  try {
    bool left = false;
    const auto enough = [&] {
      return step.has_leave() && outcome.events_size() >= static_cast<int>(step.leave().after_events());
    };
    if (!(left = enough())) {
      for (const imagegen::Event& event : stream) {
        Tell(event, outcome);
        if ((left = enough())) break;
      }
    }
    if (!left) {
      Tell(stream.Result(), outcome);
    } else if (step.leave().how() == v1::Leave::HOW_ABORT) {
      stream.Abort();
    }
  } catch (const imagegen::Error& error) {
    Tell(error, outcome);
  }
  told();
}

imagegen::GenerationName NameOf(const std::string& generation_id, const std::string& request_id) {
  return {generation_id, request_id};
}

void Do(const Step& step, Outcome& outcome) {
  const imagegen::Client client = Connect(step);
  const auto timeout = TimeoutOf(step);
  switch (step.operation_case()) {
    case Step::kGenerate:
      Tell(client.image(step.generate().model())
               .Generate(step.generate().input().prompt(), SettingsOf(step, step.generate())),
           outcome);
      break;
    case Step::kStream:
      Watch(step,
            client.image(step.stream().model()).Stream(step.stream().input().prompt(), SettingsOf(step, step.stream())),
            outcome);
      break;
    case Step::kEdit:
      Tell(client.image(step.edit().model())
               .Edit(step.edit().input().prompt(), ImagesOf(step.edit()), SettingsOf(step, step.edit())),
           outcome);
      break;
    case Step::kStreamEdit:
      Watch(step,
            client.image(step.stream_edit().model())
                .StreamEdit(step.stream_edit().input().prompt(), ImagesOf(step.stream_edit()),
                            SettingsOf(step, step.stream_edit())),
            outcome);
      break;
    case Step::kResume: {
      imagegen::ResumeSettings settings;
      settings.after_sequence = step.resume().after_sequence();
      settings.delivery = step.resume().delivery().mode();
      settings.timeout = timeout;
      Watch(step, client.Resume(NameOf(step.resume().generation_id(), step.resume().request_id()), settings), outcome);
      break;
    }
    case Step::kCancel:
      outcome.set_stopped(client.Cancel(NameOf(step.cancel().generation_id(), step.cancel().request_id()), timeout));
      break;
    case Step::kRead: {
      const imagegen::Image image = client.Read(imagegen::Image::FromId(step.read().image_id()), timeout);
      *outcome.mutable_image() = image.facts();
      *outcome.add_pictures() = PictureOf(image);
      break;
    }
    case Step::kUploadFile:
      *outcome.mutable_image() = client.Upload(imagegen::Image::FromFile(step.upload_file()), timeout).facts();
      break;
    case Step::kExplain: {
      const auto& explain = step.explain();
      const auto calls = explain.has_edit()
                             ? client.image(explain.edit().model())
                                   .ExplainEdit(explain.edit().input().prompt(), ImagesOf(explain.edit()),
                                                SettingsOf(step, explain.edit()))
                             : client.image(explain.generate().model())
                                   .Explain(explain.generate().input().prompt(), SettingsOf(step, explain.generate()));
      for (const auto& call : calls) *outcome.mutable_explained()->add_calls() = call;
      break;
    }
    case Step::kListModels: {
      const imagegen::ModelList list = client.ListModels(step.list_models().provider(), timeout);
      *outcome.mutable_models() = {list.models.begin(), list.models.end()};
      *outcome.mutable_unreachable() = {list.unreachable.begin(), list.unreachable.end()};
      break;
    }
    case Step::kGetModel:
      *outcome.add_models() = client.GetModel(step.get_model().model(), timeout);
      break;
    default:
      outcome.set_unsupported("the step has no operation that this driver knows");
  }
}

}  // namespace

void DoWithHelper(const Step& step, Outcome& outcome) {
  try {
    Do(step, outcome);
  } catch (const imagegen::Error& error) {
    Tell(error, outcome);
  } catch (const std::logic_error& refused) {
    outcome.set_refused(refused.what());
  }
}

}  // namespace conformance
