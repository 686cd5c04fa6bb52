#include "media_type.h"

#include <algorithm>
#include <cctype>

namespace imagegen::internal {
namespace {

struct Kind {
  std::string_view media_type;
  std::string_view suffix;
};

// The first suffix of a media type is the one that is written.
constexpr Kind kKinds[] = {
    {"image/png", ".png"},   {"image/jpeg", ".jpg"},  {"image/jpeg", ".jpeg"},   {"image/webp", ".webp"},
    {"image/gif", ".gif"},   {"image/avif", ".avif"}, {"image/svg+xml", ".svg"}, {"image/bmp", ".bmp"},
    {"image/tiff", ".tiff"}, {"image/tiff", ".tif"},
};

}  // namespace

std::string_view SuffixOf(std::string_view media_type) {
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& kind) { return kind.media_type == media_type; });
  return found == std::end(kKinds) ? std::string_view() : found->suffix;
}

std::string MediaTypeOf(const std::filesystem::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const auto* found =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) { return kind.suffix == suffix; });
  return found == std::end(kKinds) ? std::string() : std::string(found->media_type);
}

}  // namespace imagegen::internal
