/// @file
/// The events of a generation, as a reader of a stream gets them: images arrive whole.
#ifndef IMAGEGEN_EVENT_H_
#define IMAGEGEN_EVENT_H_

#include <cstdint>
#include <variant>

#include "imagegen/image.h"
#include "imagegen/v1/image_stream.pb.h"

namespace imagegen {

/// The generation exists, and nothing was spent before this.
using Started = v1::GenerationStarted;

/// News without pixels; also the heartbeat, at least every 10 seconds.
using Progress = v1::Progress;

/// A picture that is not finished, whole as far as it goes.
struct Preview {
  /// The image it is a preview of.
  std::uint32_t index = 0;
  /// Counts the previews of this index from 1.
  std::uint32_t number = 0;
  /// The picture; without id, SHA-256 and expiry, as it cannot be read again.
  Image image;
  /// What else the provider said of it, by provider name.
  Metadata metadata;
};

/// A finished image; its size and SHA-256 were checked if its bytes came with it.
struct Complete {
  /// The image.
  GeneratedImage image;
};

/// One image will not come; others may.
using Failed = v1::ImageFailure;

/// One step of a generation. A later version may add kinds: use std::get_if, or std::visit with a generic branch.
using Event = std::variant<Started, Progress, Preview, Complete, Failed>;

}  // namespace imagegen

#endif  // IMAGEGEN_EVENT_H_
