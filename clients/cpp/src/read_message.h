// Reading a stream of messages to its end, also where one of them cannot be read.
#ifndef IMAGEGEN_SRC_READ_MESSAGE_H_
#define IMAGEGEN_SRC_READ_MESSAGE_H_

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/sync_stream.h>

namespace imagegen::internal {

// What there was to read.
enum class Got { kMessage, kEnd, kGarbled };

// Reads the next message. gRPC tells one that it cannot parse as it tells the end, and whoever then waits for the
// status may wait for good. But parsing begins with clearing, so a mark goes only if something came.
template <class Message>
Got ReadMessage(grpc::ClientReader<Message>& reader, Message* message) {
  constexpr int kMark = 19'999;  // no field may have this number
  message->Clear();
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  reflection.MutableUnknownFields(message)->AddVarint(kMark, 0);
  if (reader.Read(message)) return Got::kMessage;
  const auto& fields = reflection.GetUnknownFields(*message);
  return fields.field_count() == 1 && fields.field(0).number() == kMark ? Got::kEnd : Got::kGarbled;
}

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_READ_MESSAGE_H_
