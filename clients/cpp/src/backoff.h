// How long to wait before a broken connection is tried again, and how often.
#ifndef IMAGEGEN_SRC_BACKOFF_H_
#define IMAGEGEN_SRC_BACKOFF_H_

#include <chrono>
#include <cstddef>
#include <optional>

namespace imagegen::internal {

// Counts the tries since something was last received.
class Backoff {
 public:
  // Something was received: the next break is a new one.
  void Renew() { tries_ = 0; }

  // The wait before the next try. Nothing = there were enough, so the break stands.
  std::optional<std::chrono::nanoseconds> NextDelay();

 private:
  std::size_t tries_ = 0;
};

// Multiplies all waits from now on. For tests.
void ScaleBackoff(double factor);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_BACKOFF_H_
