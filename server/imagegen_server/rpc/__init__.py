"""The only room that knows grpc and our protobuf."""
