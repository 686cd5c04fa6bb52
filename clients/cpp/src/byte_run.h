// Bytes of one image that arrive in order, in pieces of any length.
#ifndef IMAGEGEN_SRC_BYTE_RUN_H_
#define IMAGEGEN_SRC_BYTE_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "imagegen/v1/image.pb.h"
#include "sha256.h"

namespace imagegen::internal {

// Puts an image together and checks it. Everything that is wrong is an Error, INVALID_RESPONSE.
class ByteRun {
 public:
  // Expects the image that `facts` tells of. `free`: getting it costs nothing, for what an Error says of money.
  explicit ByteRun(const v1::Image& facts, bool free = false);

  // Bytes so far: where the next piece must start.
  std::uint32_t received() const { return static_cast<std::uint32_t>(bytes_.size()); }

  // Whether nothing is missing.
  bool whole() const { return received() == size_; }

  // Takes the next piece.
  void Append(std::uint32_t offset, std::string&& data);

  // All bytes, checked against size and, where the server told one, SHA-256. Ends it.
  std::shared_ptr<const std::string> Join();

 private:
  std::uint32_t size_;
  std::string sha256_;
  bool free_;
  std::string bytes_;
  std::optional<Sha256> digest_;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_BYTE_RUN_H_
