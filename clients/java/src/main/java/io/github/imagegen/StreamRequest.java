package io.github.imagegen;

import io.github.imagegen.v1.Delivery;
import io.github.imagegen.v1.DeliveryMode;
import io.github.imagegen.v1.EditRequest;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.ResumeRequest;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.MethodDescriptor;

/** What a stream is asked for with. */
sealed interface StreamRequest {
  /** A call, and what sends its request once it was started. */
  record Call(ClientCall<?, ImageStreamEvent> call, Runnable send) {}

  Call newCall(Channel channel, CallOptions options);

  Delivery delivery();

  String requestId();

  default String generationId() {
    return "";
  }

  default long afterSequence() {
    return 0;
  }

  default boolean isResume() {
    return false;
  }

  /** Whether the bytes come with the stream. */
  default boolean isChunked() {
    return delivery().getMode() != DeliveryMode.DELIVERY_MODE_REFERENCE;
  }

  private static <Q> Call call(
      Channel channel,
      MethodDescriptor<Q, ImageStreamEvent> method,
      CallOptions options,
      Q request) {
    var call = channel.newCall(method, options);
    return new Call(call, () -> Rpc.send(call, request));
  }

  /** New pictures. */
  record Generate(GenerateRequest request) implements StreamRequest {
    @Override
    public Call newCall(Channel channel, CallOptions options) {
      return call(channel, ImageServiceGrpc.getStreamGenerateMethod(), options, request);
    }

    @Override
    public Delivery delivery() {
      return request.getDelivery();
    }

    @Override
    public String requestId() {
      return request.getRequestId();
    }
  }

  /** Changed pictures. */
  record Edit(EditRequest request) implements StreamRequest {
    @Override
    public Call newCall(Channel channel, CallOptions options) {
      return call(channel, ImageServiceGrpc.getStreamEditMethod(), options, request);
    }

    @Override
    public Delivery delivery() {
      return request.getDelivery();
    }

    @Override
    public String requestId() {
      return request.getRequestId();
    }
  }

  /** A generation that there is. */
  record Resume(ResumeRequest request) implements StreamRequest {
    @Override
    public Call newCall(Channel channel, CallOptions options) {
      return call(channel, ImageServiceGrpc.getResumeMethod(), options, request);
    }

    @Override
    public Delivery delivery() {
      return request.getDelivery();
    }

    @Override
    public String requestId() {
      return request.getRequestId();
    }

    @Override
    public String generationId() {
      return request.getGenerationId();
    }

    @Override
    public long afterSequence() {
      return Integer.toUnsignedLong(request.getAfterSequence());
    }

    @Override
    public boolean isResume() {
      return true;
    }
  }
}
