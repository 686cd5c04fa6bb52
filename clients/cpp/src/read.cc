#include "read.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "byte_run.h"
#include "read_message.h"
#include "status.h"

namespace imagegen::internal {
namespace {

Error InvalidRead(std::string message) { return InvalidResponse(std::move(message), /*free=*/true); }

// One image, over one or two RPCs.
class Reading {
 public:
  Reading(Connection& connection, std::string image_id) : connection_(connection), image_id_(std::move(image_id)) {}

  // Reads from where the bytes end now to the end of the image. Returns how it broke, if it did.
  std::optional<Failure> Advance(const Deadline& deadline) {
    v1::ReadImageRequest request;
    request.set_image_id(image_id_);
    request.set_offset(run_ ? run_->received() : 0);
    grpc::ClientContext context;
    deadline.Apply(context);
    const auto reader = connection_.images().ReadImage(&context, request);
    v1::ReadImageResponse piece;
    try {
      Got got = ReadMessage(*reader, &piece);
      for (; got == Got::kMessage; got = ReadMessage(*reader, &piece)) Take(std::move(piece));
      if (got == Got::kGarbled) throw InvalidRead("a message of image " + image_id_ + " cannot be read");
    } catch (const Error&) {
      context.TryCancel();
      while (reader->Read(&piece)) {
      }
      reader->Finish();
      throw;
    }
    const grpc::Status status = reader->Finish();
    if (status.ok()) return std::nullopt;
    return FreeFailure(status, context);
  }

  Image Whole() {
    if (!run_) throw InvalidRead("the server sent nothing of image " + image_id_);
    return {facts_, run_->Join()};
  }

 private:
  void Take(v1::ReadImageResponse&& piece) {
    if (!run_) {
      facts_ = piece.image();
      run_.emplace(facts_, /*free=*/true);
    } else if (piece.has_image() && piece.image().sha256() != facts_.sha256()) {
      throw InvalidRead("image " + image_id_ + " changed while it was read");
    }
    if (!piece.data().empty()) run_->Append(piece.offset(), std::move(*piece.mutable_data()));
  }

  Connection& connection_;
  std::string image_id_;
  v1::Image facts_;
  std::optional<ByteRun> run_;
};

bool MayGoOn(const Failure& failure) {
  return failure.error.code() == grpc::StatusCode::UNAVAILABLE || failure.ConnectionBroke();
}

}  // namespace

Image ReadImage(Connection& connection, const Image& image, const Deadline& deadline) {
  if (image.image_id().empty()) {
    throw std::invalid_argument("this image has no id by which the server could hand out its bytes");
  }
  Reading reading(connection, image.image_id());
  std::optional<Failure> failure = reading.Advance(deadline);
  if (failure && MayGoOn(*failure)) failure = reading.Advance(deadline);
  if (failure) throw Error(failure->error);
  const Image read = reading.Whole();
  if (!image.sha256().empty() && image.sha256() != read.sha256()) {
    throw InvalidRead("the server handed out other bytes for image " + image.image_id() + " than it had told of");
  }
  return read.WithMetadata(image.metadata());
}

}  // namespace imagegen::internal
