#include "events.h"

#include "sha256.h"

namespace imagegen::test {

std::string Bytes(std::size_t size, char salt) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(salt + i * 7 % 50);
  return bytes;
}

std::string Digest(std::string_view bytes) {
  internal::Sha256 digest;
  digest.Update(bytes);
  return digest.Hex();
}

v1::ImageStreamEvent StartedEvent() {
  v1::ImageStreamEvent event;
  event.mutable_started()->set_generation_id("gen_1");
  event.mutable_started()->set_request_id("wish-1");
  event.mutable_started()->set_model("sandbox/scene");
  return event;
}

v1::ImageStreamEvent ProgressEvent() {
  v1::ImageStreamEvent event;
  event.mutable_progress()->set_phase(v1::PHASE_GENERATING);
  return event;
}

v1::ImageStreamEvent PreviewOpening(std::uint32_t index, std::uint32_t number, std::size_t size) {
  v1::ImageStreamEvent event;
  event.mutable_preview()->set_index(index);
  event.mutable_preview()->set_number(number);
  event.mutable_preview()->mutable_image()->set_media_type("image/png");
  event.mutable_preview()->mutable_image()->set_size_bytes(static_cast<std::uint32_t>(size));
  return event;
}

v1::ImageStreamEvent Opening(std::uint32_t index, const std::string& bytes) {
  v1::ImageStreamEvent event;
  v1::GeneratedImage& made = *event.mutable_complete();
  made.set_index(index);
  made.mutable_image()->set_image_id("img_" + std::to_string(index));
  made.mutable_image()->set_media_type("image/png");
  made.mutable_image()->set_size_bytes(static_cast<std::uint32_t>(bytes.size()));
  made.mutable_image()->set_sha256(Digest(bytes));
  return event;
}

v1::ImageStreamEvent Chunk(std::uint32_t index, std::uint32_t preview, std::size_t offset, std::string data) {
  v1::ImageStreamEvent event;
  event.mutable_chunk()->set_index(index);
  event.mutable_chunk()->set_preview_number(preview);
  event.mutable_chunk()->set_offset(static_cast<std::uint32_t>(offset));
  event.mutable_chunk()->set_data(std::move(data));
  return event;
}

v1::ImageStreamEvent FailureEvent(std::uint32_t index) {
  v1::ImageStreamEvent event;
  event.mutable_failure()->set_index(index);
  event.mutable_failure()->set_reason(v1::ERROR_REASON_CONTENT_FILTERED);
  return event;
}

v1::ImageStreamEvent ResultEvent(std::initializer_list<std::uint32_t> images) {
  v1::ImageStreamEvent event;
  v1::ImageResult& result = *event.mutable_result();
  result.set_generation_id("gen_1");
  result.set_request_id("wish-1");
  result.set_model("sandbox/scene");
  for (const std::uint32_t index : images) {
    v1::GeneratedImage& made = *result.add_images();
    made.set_index(index);
    made.set_seed(7);
    made.mutable_image()->set_image_id("img_" + std::to_string(index));
    made.mutable_image()->set_media_type("image/png");
  }
  return event;
}

namespace {

Log WithChunks(v1::ImageStreamEvent opening, std::uint32_t index, std::uint32_t number, const std::string& bytes,
               std::size_t piece) {
  Log log{std::move(opening)};
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    log.push_back(Chunk(index, number, at, bytes.substr(at, piece)));
  }
  return log;
}

}  // namespace

Log PreviewLog(std::uint32_t index, std::uint32_t number, const std::string& bytes, std::size_t piece) {
  return WithChunks(PreviewOpening(index, number, bytes.size()), index, number, bytes, piece);
}

Log PictureLog(std::uint32_t index, const std::string& bytes, std::size_t piece) {
  return WithChunks(Opening(index, bytes), index, 0, bytes, piece);
}

Log Numbered(std::initializer_list<Log> parts) {
  Log log;
  for (const Log& part : parts) log.insert(log.end(), part.begin(), part.end());
  std::uint32_t sequence = 0;
  for (auto& event : log) event.set_sequence(++sequence);
  return log;
}

Log LongLog() {
  return Numbered({{StartedEvent(), ProgressEvent()},
                   PreviewLog(0, 1, Bytes(120, 'p')),
                   PictureLog(0, Bytes(250, 'a')),
                   PictureLog(1, Bytes(250, 'b')),
                   {FailureEvent(2), ResultEvent({0, 1})}});
}

}  // namespace imagegen::test
