// What a provider said of an image, from a message.
#ifndef IMAGEGEN_SRC_METADATA_H_
#define IMAGEGEN_SRC_METADATA_H_

#include <google/protobuf/map.h>

#include <string>
#include <utility>

#include "imagegen/params.h"

namespace imagegen::internal {

// Takes it out of the message.
inline Metadata MetadataFrom(google::protobuf::Map<std::string, google::protobuf::Struct>& told) {
  Metadata metadata;
  for (auto& [provider, object] : told) metadata.emplace(provider, std::move(object));
  return metadata;
}

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_METADATA_H_
