#include "cancels.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "deadline.h"
#include "status.h"

namespace imagegen::internal {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::seconds kMoment{1};

}  // namespace

struct Cancels::Task {
  grpc::ClientContext context;
  v1::CancelRequest request;
  std::promise<std::optional<Error>> promise;
  Told told = promise.get_future().share();
  const std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  std::thread thread;

  void Run(v1::ImageService::Stub& images) {
    v1::CancelResponse response;
    const grpc::Status status = images.Cancel(&context, request, &response);
    std::optional<Error> failed;
    if (!status.ok()) {
      const Error error = FailureFrom(EndOf(status, context), /*free=*/true).error;
      if (error.reason() != v1::ERROR_REASON_GENERATION_NOT_FOUND) failed = error;
    }
    promise.set_value(failed);
  }
};

Cancels::Cancels(v1::ImageService::Stub& images) : images_(images) {}

Told Cancels::Start(const v1::CancelRequest& request) {
  auto task = std::make_unique<Task>();
  Task& under_way = *task;
  under_way.request = request;
  Deadline(kPatience).Apply(under_way.context);
  const std::lock_guard lock(mutex_);
  Sweep();
  tasks_.push_back(std::move(task));
  try {
    under_way.thread = std::thread([this, &under_way] { under_way.Run(images_); });
  } catch (const std::system_error&) {
    under_way.Run(images_);  // no more threads: better to wait than to let money be spent
  }
  return under_way.told;
}

void Cancels::Sweep() {
  tasks_.remove_if([](const std::unique_ptr<Task>& task) {
    if (task->told.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
    if (task->thread.joinable()) task->thread.join();
    return true;
  });
}

Cancels::~Cancels() {
  for (const auto& task : tasks_) {
    if (task->told.wait_until(task->began + kMoment) != std::future_status::ready) task->context.TryCancel();
    if (task->thread.joinable()) task->thread.join();
  }
}

}  // namespace imagegen::internal
