// Giving an image to the server in pieces, once for as many edits as wanted.
#ifndef IMAGEGEN_SRC_UPLOAD_H_
#define IMAGEGEN_SRC_UPLOAD_H_

#include "connection.h"
#include "imagegen/image.h"

namespace imagegen::internal {

// A reference to the image at the server, after giving it what it did not have yet. Throws Error, and std::logic_error
// if the image has no bytes.
Image UploadImage(Connection& connection, const Image& image, const Deadline& deadline);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_UPLOAD_H_
