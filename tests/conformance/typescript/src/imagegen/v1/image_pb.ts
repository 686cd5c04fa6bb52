export * from "@imagegen/client/v1/image_pb.js";
