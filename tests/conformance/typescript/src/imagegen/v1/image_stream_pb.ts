export * from "@imagegen/client/v1/image_stream_pb.js";
