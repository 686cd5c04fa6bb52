// Measures calls of StreamGenerate by either face.
#include <imagegen/client.h>
#include <openssl/evp.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "imagegen/v1/image_service.grpc.pb.h"
#include "outcome.h"
#include "plain_channel.h"

namespace conformance {
namespace {

namespace api = imagegen::v1;

// One call; returns the bytes of its finished images, or throws.
using Call = std::function<std::uint64_t()>;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Call HelperCall(const Step& step) {
  imagegen::ConnectOptions options;
  options.token = step.token();
  if (!step.ca_file().empty()) options.tls = grpc::SslCredentialsOptions{ReadFile(step.ca_file()), {}, {}};
  const api::GenerateRequest& request = step.measure().request();
  imagegen::CallSettings settings;
  settings.options = request.options();
  settings.params = {request.params().begin(), request.params().end()};
  settings.delivery = request.delivery().mode();
  if (step.resumable()) settings.resumable = true;
  const imagegen::ImageModel model = imagegen::Client(step.address(), options).image(request.model(), settings);
  return [model, prompt = request.input().prompt(), request_id = request.request_id()] {
    imagegen::CallSettings settings;
    settings.request_id = request_id;
    std::uint64_t bytes = 0;
    imagegen::ImageStream stream = model.Stream(prompt, settings);
    for (const auto& image : stream.Result().images()) bytes += image.has_bytes() ? image.bytes().size() : 0;
    return bytes;
  };
}

// What a user of plain stubs has in hand before a call.
struct PlainWish {
  std::string model;
  std::string prompt;
  std::uint32_t preview_count;
  std::map<std::string, std::map<std::string, std::variant<bool, double, std::string>>> params;
  std::string request_id;

  explicit PlainWish(const api::GenerateRequest& request)
      : model(request.model()),
        prompt(request.input().prompt()),
        preview_count(request.options().preview_count()),
        request_id(request.request_id()) {
    for (const auto& [provider, object] : request.params()) {
      for (const auto& [key, value] : object.fields()) {
        if (value.has_number_value()) {
          params[provider][key] = value.number_value();
        } else if (value.has_bool_value()) {
          params[provider][key] = value.bool_value();
        } else if (value.has_string_value()) {
          params[provider][key] = value.string_value();
        } else {
          throw std::runtime_error("the parameters of a measurement are numbers, truth values and texts");
        }
      }
    }
  }

  api::GenerateRequest Request() const {
    api::GenerateRequest request;
    request.set_model(model);
    request.mutable_input()->set_prompt(prompt);
    request.mutable_options()->set_preview_count(preview_count);
    for (const auto& [provider, values] : params) {
      auto& fields = *(*request.mutable_params())[provider].mutable_fields();
      for (const auto& [key, value] : values) {
        if (const auto* number = std::get_if<double>(&value)) {
          fields[key].set_number_value(*number);
        } else if (const auto* text = std::get_if<std::string>(&value)) {
          fields[key].set_string_value(*text);
        } else {
          fields[key].set_bool_value(std::get<bool>(value));
        }
      }
    }
    request.set_request_id(request_id);
    return request;
  }
};

// A digest of one image.
class Digest {
 public:
  Digest() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void Update(const std::string& data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }
  void End() {
    unsigned char sum[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(context_.get(), sum, nullptr);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Call PlainCall(const Step& step) {
  const std::shared_ptr<api::ImageService::Stub> images = api::ImageService::NewStub(PlainChannel(step));
  const bool checksum = step.measure().checksum();
  return [images, wish = PlainWish(step.measure().request()), token = step.token(), checksum] {
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    const auto reader = images->StreamGenerate(&context, wish.Request());
    std::map<std::uint32_t, std::string> pictures;
    std::optional<Digest> digest;  // of the image opened last
    api::ImageResult result;
    api::ImageStreamEvent event;
    while (reader->Read(&event)) {
      if (event.has_complete()) {
        pictures[event.complete().index()].reserve(event.complete().image().size_bytes());
        if (digest) digest->End();
        if (checksum) digest.emplace();
      } else if (event.has_chunk() && event.chunk().preview_number() == 0) {
        pictures[event.chunk().index()] += event.chunk().data();
        if (digest) digest->Update(event.chunk().data());
      } else if (event.has_result()) {
        result = std::move(*event.mutable_result());
      }
    }
    if (digest) digest->End();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) throw std::runtime_error(status.error_message());
    std::uint64_t bytes = 0;
    for (const auto& made : result.images()) bytes += pictures[made.index()].size();
    return bytes;
  };
}

}  // namespace

void DoMeasure(const Step& step, Outcome& outcome) {
  const Call call = step.face() == v1::FACE_HELPER ? HelperCall(step) : PlainCall(step);
  std::mutex mutex;
  std::string failed;
  std::atomic<std::uint32_t> taken{0};
  std::atomic<std::uint64_t> bytes{0};
  const auto work = [&] {
    try {
      while (taken++ < step.measure().calls()) bytes += call();
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex);
      failed = error.what();
    }
  };
  call();
  const auto start = std::chrono::steady_clock::now();
  const double cpu = CpuSeconds();
  std::vector<std::thread> workers;
  for (std::uint32_t i = 0; i < std::max(1U, step.measure().parallel()); ++i) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
  v1::Measured& measured = *outcome.mutable_measured();
  measured.set_cpu_seconds(CpuSeconds() - cpu);
  measured.set_wall_seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  measured.set_bytes(bytes);
  if (!failed.empty()) outcome.mutable_failure()->set_message(failed);
}

}  // namespace conformance
