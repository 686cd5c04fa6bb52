// Media types of images and the suffixes of their files.
#ifndef IMAGEGEN_SRC_MEDIA_TYPE_H_
#define IMAGEGEN_SRC_MEDIA_TYPE_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace imagegen::internal {

// ".png" for "image/png". Empty = not known.
std::string_view SuffixOf(std::string_view media_type);

// "image/png" for "harbour.PNG". Empty = not known.
std::string MediaTypeOf(const std::filesystem::path& path);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_MEDIA_TYPE_H_
