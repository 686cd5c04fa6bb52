#include "imagegen/result.h"

#include <utility>

namespace imagegen {

ImageResult::ImageResult(v1::ImageResult message, std::vector<GeneratedImage> images)
    : message_(std::move(message)), images_(std::move(images)) {}

std::optional<v1::ImageUsage> ImageResult::usage() const {
  return message_.has_usage() ? std::optional(message_.usage()) : std::nullopt;
}

}  // namespace imagegen
