#include "byte_run.h"

#include <utility>

#include "imagegen/image.h"
#include "status.h"

namespace imagegen::internal {

ByteRun::ByteRun(const v1::Image& facts, bool free) : size_(facts.size_bytes()), sha256_(facts.sha256()), free_(free) {
  if (size_ == 0 || size_ > kMaxImageBytes) {
    throw InvalidResponse("the server told of an image of " + std::to_string(size_) + " bytes", free_);
  }
  if (!sha256_.empty()) digest_.emplace();
}

void ByteRun::Append(std::uint32_t offset, std::string&& data) {
  if (offset != received()) {
    throw InvalidResponse("a piece of the image starts at byte " + std::to_string(offset) + " where byte " +
                              std::to_string(received()) + " was due",
                          free_);
  }
  if (data.size() > size_ - received()) {
    throw InvalidResponse("the image is longer than the " + std::to_string(size_) + " bytes that the server told",
                          free_);
  }
  if (digest_) digest_->Update(data);
  if (data.size() == size_) {
    bytes_ = std::move(data);
    return;
  }
  // Pages that no piece has reached yet take up no memory.
  if (bytes_.empty()) bytes_.reserve(size_);
  bytes_ += data;
}

std::shared_ptr<const std::string> ByteRun::Join() {
  if (!whole()) {
    throw InvalidResponse(
        "the image ended after " + std::to_string(received()) + " of " + std::to_string(size_) + " bytes", free_);
  }
  if (digest_ && digest_->Hex() != sha256_) {
    throw InvalidResponse("the bytes of the image do not have the SHA-256 that the server told", free_);
  }
  return std::make_shared<const std::string>(std::move(bytes_));
}

}  // namespace imagegen::internal
