// Image::Save: a file appears whole or not at all.
#include <cerrno>
#include <fstream>
#include <random>
#include <string>
#include <system_error>

#include "imagegen/image.h"
#include "media_type.h"

namespace imagegen {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) {
    const int why = errno != 0 ? errno : EIO;
    throw fs::filesystem_error("the image cannot be written", path, {why, std::generic_category()});
  }
}

// A directory of its own beside `target`, where nobody else writes; goes with everything in it.
class Workplace {
 public:
  explicit Workplace(const fs::path& target) {
    std::random_device random;
    do {
      path_ = target;
      path_.replace_filename(".imagegen-" + std::to_string(random()));
    } while (!fs::create_directory(path_));
    fs::permissions(path_, fs::perms::owner_all);  // what replaces a private file is not shown to others meanwhile
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Where a link leads to, also if nothing is there yet. A link stays one, and what it leads to is replaced.
fs::path Followed(fs::path target) {
  constexpr int kMostLinks = 40;
  for (int i = 0; fs::is_symlink(fs::symlink_status(target)); ++i) {
    if (i == kMostLinks) {
      throw fs::filesystem_error("the image cannot be written", target,
                                 std::make_error_code(std::errc::too_many_symbolic_link_levels));
    }
    target = target.parent_path() / fs::read_symlink(target);
  }
  return target;
}

void Replace(const fs::path& target, std::string_view content) {
  const Workplace workplace(target);
  const fs::path unfinished = workplace.path() / target.filename();
  Write(unfinished, content);
  const fs::file_status before = fs::status(target);
  if (fs::exists(before)) fs::permissions(unfinished, before.permissions());
  fs::rename(unfinished, target);
}

// Tells a pipe or a device, which is written to directly, from a file or a place for one.
bool IsSpecial(const fs::path& target) {
  const fs::file_status status = fs::status(target);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

}  // namespace

fs::path Image::Save(const fs::path& path) const {
  const std::string_view content = bytes();
  fs::path target = path;
  const bool special = IsSpecial(target);
  if (!special && !target.has_extension()) target += internal::SuffixOf(media_type());
  if (special || IsSpecial(target)) {
    Write(target, content);
  } else {
    Replace(Followed(fs::absolute(target)), content);
  }
  return target;
}

}  // namespace imagegen
