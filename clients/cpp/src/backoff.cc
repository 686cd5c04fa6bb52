#include "backoff.h"

#include <array>
#include <atomic>
#include <random>

namespace imagegen::internal {
namespace {

// In milliseconds. With the try after the last one failed, the break stands.
constexpr std::array<int, 7> kDelays = {100, 200, 400, 800, 1600, 3200, 5000};

std::atomic<double> scale{1.0};

}  // namespace

std::optional<std::chrono::nanoseconds> Backoff::NextDelay() {
  if (tries_ == kDelays.size()) return std::nullopt;
  const double delay = kDelays.at(tries_++) * scale.load();
  // Clients whose connections broke at the same moment shall not come back at the same moment.
  thread_local std::minstd_rand random{std::random_device{}()};
  const double part = std::uniform_real_distribution<double>(delay / 2, delay)(random);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double, std::milli>(part));
}

void ScaleBackoff(double factor) { scale = factor; }

}  // namespace imagegen::internal
