// The time limit of a call that may take several RPCs.
#ifndef IMAGEGEN_SRC_DEADLINE_H_
#define IMAGEGEN_SRC_DEADLINE_H_

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace imagegen::internal {

// A moment after which nothing more is done, or none.
class Deadline {
 public:
  // `limit` from now on; none if it is unset.
  explicit Deadline(std::optional<std::chrono::milliseconds> limit) {
    constexpr std::chrono::milliseconds kYear = std::chrono::hours(24 * 365);
    if (limit) at_ = Clock::now() + std::clamp(*limit, std::chrono::milliseconds(0), kYear);
  }

  // What is left, 0 at least. Nothing = there is no limit.
  std::optional<std::chrono::nanoseconds> Remaining() const {
    if (!at_) return std::nullopt;
    return std::max<std::chrono::nanoseconds>(*at_ - Clock::now(), std::chrono::nanoseconds(0));
  }

  // `delay`, or what is left if that is less.
  std::chrono::nanoseconds Bound(std::chrono::nanoseconds delay) const {
    return std::min(delay, Remaining().value_or(delay));
  }

  // Gives an RPC what is left. With nothing left it fails at once, which gRPC rounds up otherwise.
  void Apply(grpc::ClientContext& context) const {
    const auto left = Remaining();
    if (!left) return;
    const auto now = std::chrono::system_clock::now();
    context.set_deadline(left->count() == 0
                             ? now - std::chrono::seconds(1)
                             : now + std::chrono::duration_cast<std::chrono::system_clock::duration>(*left));
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> at_;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_DEADLINE_H_
