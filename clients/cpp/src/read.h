// Fetching the bytes of an image that the server keeps.
#ifndef IMAGEGEN_SRC_READ_H_
#define IMAGEGEN_SRC_READ_H_

#include "connection.h"
#include "imagegen/image.h"

namespace imagegen::internal {

// The image with its bytes, checked against size and SHA-256. A stream that breaks is resumed once where it broke.
// Throws Error, and std::invalid_argument if the image has no id.
Image ReadImage(Connection& connection, const Image& image, const Deadline& deadline);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_READ_H_
