// Measures calls of StreamGenerate by either face.
#include <imagegen/client.h>
#include <openssl/evp.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
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
  imagegen::CallSettings settings;
  const api::GenerateRequest& request = step.measure().request();
  settings.options = request.options();
  settings.params = {request.params().begin(), request.params().end()};
  settings.delivery = request.delivery().mode();
  settings.request_id = request.request_id();
  if (step.resumable()) settings.resumable = true;
  const imagegen::ImageModel model = imagegen::Client(step.address(), options).image(request.model());
  return [model, settings, prompt = request.input().prompt()] {
    std::uint64_t bytes = 0;
    imagegen::ImageStream stream = model.Stream(prompt, settings);
    for (const auto& image : stream.Result().images()) bytes += image.has_bytes() ? image.bytes().size() : 0;
    return bytes;
  };
}

Call PlainCall(const Step& step) {
  const std::shared_ptr<api::ImageService::Stub> images = api::ImageService::NewStub(PlainChannel(step));
  return [images, step] {
    grpc::ClientContext context;
    if (!step.token().empty()) context.AddMetadata("authorization", "Bearer " + step.token());
    const auto reader = images->StreamGenerate(&context, step.measure().request());
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    const bool checksum = step.measure().checksum();
    std::uint64_t received = 0;
    std::string image;
    api::ImageStreamEvent event;
    while (reader->Read(&event)) {
      if (event.has_complete()) {
        image.clear();
        image.reserve(event.complete().image().size_bytes());
        if (checksum) EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
      } else if (event.has_chunk() && event.chunk().preview_number() == 0) {
        const std::string& data = event.chunk().data();
        received += data.size();
        image += data;
        if (checksum) EVP_DigestUpdate(digest.get(), data.data(), data.size());
      }
    }
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (checksum) EVP_DigestFinal_ex(digest.get(), sum, nullptr);
    const grpc::Status status = reader->Finish();
    if (!status.ok()) throw std::runtime_error(status.error_message());
    return received;
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
