// Telling the server to stop generations, in the background.
#ifndef IMAGEGEN_SRC_CANCELS_H_
#define IMAGEGEN_SRC_CANCELS_H_

#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "imagegen/error.h"
#include "imagegen/v1/image_service.grpc.pb.h"

namespace imagegen::internal {

// How a Cancel went: nothing, or why the server could not be told. That it knows no such generation is no failure.
using Told = std::shared_future<std::optional<Error>>;

// The Cancels under way, each with a thread of its own.
class Cancels {
 public:
  explicit Cancels(v1::ImageService::Stub& images);
  Cancels(const Cancels&) = delete;
  Cancels& operator=(const Cancels&) = delete;
  // Gives each a second since it began, then breaks it off.
  ~Cancels();

  // Begins one. The server has 10 seconds to answer.
  Told Start(const v1::CancelRequest& request);

 private:
  struct Task;

  // Forgets those that are done.
  void Sweep();

  v1::ImageService::Stub& images_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Task>> tasks_;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_CANCELS_H_
