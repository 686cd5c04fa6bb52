#include "upload.h"

#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "backoff.h"
#include "sha256.h"
#include "status.h"

namespace imagegen::internal {
namespace {

// Bytes of one piece: with what goes around it, it stays under the 1 MB that proxies take by default.
constexpr std::size_t kPieceBytes = 786'432;

Error InvalidUpload(std::string message) { return InvalidResponse(std::move(message), /*free=*/true); }

class Uploading {
 public:
  Uploading(Connection& connection, std::string_view data, const Deadline& deadline)
      : connection_(connection), data_(data), deadline_(deadline) {
    Sha256 digest;
    digest.Update(data_);
    sha256_ = digest.Hex();
  }

  // Asks how much is there and sends the rest; where the connection breaks, asks again.
  v1::Image Run() {
    v1::UploadImageResponse answered = Send({}, 0);
    while (!answered.has_image()) {
      const std::uint32_t offset = answered.committed_bytes();
      if (offset >= data_.size()) throw InvalidUpload("the server has the whole upload and tells of no image");
      answered = Send(data_.substr(offset, kPieceBytes), offset);
      if (answered.committed_bytes() > offset) {
        backoff_.Renew();
      } else if (!answered.has_image()) {
        Wait(InvalidUpload("the server takes no more of the upload"));
      }
    }
    if (answered.image().sha256() != sha256_ || answered.image().image_id().empty()) {
      throw InvalidUpload("the server told of another image than the one that was uploaded");
    }
    return answered.image();
  }

 private:
  v1::UploadImageResponse Send(std::string_view data, std::uint32_t offset) {
    for (;;) {
      v1::UploadImageRequest request;
      request.set_sha256(sha256_);
      request.set_size_bytes(static_cast<std::uint32_t>(data_.size()));
      request.set_offset(offset);
      request.set_data(std::string(data));
      grpc::ClientContext context;
      deadline_.Apply(context);
      v1::UploadImageResponse response;
      const grpc::Status status = connection_.images().UploadImage(&context, request, &response);
      if (status.ok()) return response;
      const Failure failure = FreeFailure(status, context);
      if (!failure.ConnectionBroke()) throw Error(failure.error);
      Wait(failure.error);
      data = {};  // the piece may have arrived: ask
      offset = 0;
    }
  }

  void Wait(const Error& error) {
    const auto delay = backoff_.NextDelay();
    if (!delay) throw Error(error);
    std::this_thread::sleep_for(deadline_.Bound(*delay));
  }

  Connection& connection_;
  std::string_view data_;
  std::string sha256_;
  Deadline deadline_;
  Backoff backoff_;
};

}  // namespace

Image UploadImage(Connection& connection, const Image& image, const Deadline& deadline) {
  return {Uploading(connection, image.bytes(), deadline).Run(), nullptr, image.metadata()};
}

}  // namespace imagegen::internal
