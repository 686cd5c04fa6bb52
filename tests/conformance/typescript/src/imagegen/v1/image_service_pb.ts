export * from "@imagegen/client/v1/image_service_pb.js";
