// Reading a stream of messages to its end, also where one of them cannot be read.
#ifndef IMAGEGEN_SRC_READ_MESSAGE_H_
#define IMAGEGEN_SRC_READ_MESSAGE_H_

#include <grpcpp/support/sync_stream.h>

#include <cstdint>

#include "imagegen/v1/image_service.pb.h"

namespace imagegen::internal {

// What there was to read.
enum class Got { kMessage, kEnd, kGarbled };

// A number that no message has.
inline constexpr std::uint32_t kMark = UINT32_MAX;
inline void Mark(v1::ImageStreamEvent& message) { message.set_sequence(kMark); }
inline bool IsMarked(const v1::ImageStreamEvent& message) { return message.sequence() == kMark; }
inline void Mark(v1::ReadImageResponse& message) { message.set_offset(kMark); }
inline bool IsMarked(const v1::ReadImageResponse& message) { return message.offset() == kMark; }

// Reads the next message. gRPC tells one that it cannot parse as it tells the end, and whoever then waits for the
// status may wait for good. But parsing begins with clearing, so a mark goes only if something came.
template <class Message>
Got ReadMessage(grpc::ClientReader<Message>& reader, Message* message) {
  Mark(*message);
  if (reader.Read(message)) return Got::kMessage;
  return IsMarked(*message) ? Got::kEnd : Got::kGarbled;
}

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_READ_MESSAGE_H_
