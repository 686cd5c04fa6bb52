export * from "@imagegen/client/v1/model_service_pb.js";
