package io.github.imagegen;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.CancelResponse;
import io.github.imagegen.v1.EditRequest;
import io.github.imagegen.v1.ExplainRequest;
import io.github.imagegen.v1.ExplainResponse;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.GetModelRequest;
import io.github.imagegen.v1.GetModelResponse;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.ListModelsRequest;
import io.github.imagegen.v1.ListModelsResponse;
import io.github.imagegen.v1.ModelServiceGrpc;
import io.github.imagegen.v1.ReadImageRequest;
import io.github.imagegen.v1.ReadImageResponse;
import io.github.imagegen.v1.ResumeRequest;
import io.github.imagegen.v1.UploadImageRequest;
import io.github.imagegen.v1.UploadImageResponse;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A server on loopback that does what a test says, and remembers what it was asked. */
final class FakeServer implements AutoCloseable {
  /** What a call is answered with; {@code nth} counts the calls of its method from 1. */
  interface Script<Q, R> {
    void answer(Q request, int nth, ServerCallStreamObserver<R> out) throws Exception;
  }

  final BlockingQueue<Message> asked = new LinkedBlockingQueue<>();
  final BlockingQueue<Metadata> headers = new LinkedBlockingQueue<>();
  final CountDownLatch callCancelled = new CountDownLatch(1);
  Script<Message, ImageStreamEvent> draw = FakeServer::unexpected;
  Script<ResumeRequest, ImageStreamEvent> resume = FakeServer::unexpected;
  Script<CancelRequest, CancelResponse> cancel =
      (request, nth, out) -> answer(out, CancelResponse.newBuilder().setStopped(true).build());
  Script<ReadImageRequest, ReadImageResponse> read = FakeServer::unexpected;
  Script<UploadImageRequest, UploadImageResponse> upload = FakeServer::unexpected;
  Script<ExplainRequest, ExplainResponse> explain = FakeServer::unexpected;
  Script<GetModelRequest, GetModelResponse> getModel = FakeServer::unexpected;
  Script<ListModelsRequest, ListModelsResponse> listModels = FakeServer::unexpected;
  private final Server server;

  FakeServer() {
    try {
      server =
          Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
              .addService(new Images())
              .addService(new Models())
              .intercept(new Noting())
              .build()
              .start();
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
  }

  int port() {
    return server.getPort();
  }

  String address() {
    return "127.0.0.1:" + port();
  }

  /** A client of it that does not wait long before it tries again. */
  ImageGenClient client() {
    return builder().build();
  }

  ImageGenClient.Builder builder() {
    return ImageGenClient.builder()
        .address(address())
        .delays(List.of(1, 2, 4, 8, 8, 8, 8))
        .timeout(Duration.ofSeconds(20));
  }

  /** Every stream is this log and a good end. */
  FakeServer draws(List<ImageStreamEvent> log) {
    draw = (request, nth, out) -> send(out, log);
    return this;
  }

  /** The next request, which has to be of this kind. */
  <T extends Message> T next(Class<T> kind) throws InterruptedException {
    Message message = asked.poll(10, TimeUnit.SECONDS);
    if (message == null) {
      throw new AssertionError("nothing was asked; expected " + kind.getSimpleName());
    }
    return kind.cast(message);
  }

  static <R> void answer(StreamObserver<R> out, R message) {
    out.onNext(message);
    out.onCompleted();
  }

  static <R> void send(StreamObserver<R> out, List<R> messages) {
    messages.forEach(out::onNext);
    out.onCompleted();
  }

  /** What the server itself says, with its details. */
  static StatusRuntimeException says(Status.Code code, String reason, Message... more) {
    var info = ErrorInfo.newBuilder().setDomain("imagegen").setReason("ERROR_REASON_" + reason);
    var status =
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage("scripted")
            .addDetails(Any.pack(info.putMetadata("billed", "no").build()));
    for (Message detail : more) {
      status.addDetails(Any.pack(detail));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  /** What a proxy makes of a line that breaks. */
  static StatusRuntimeException breaks() {
    return Status.INTERNAL.withDescription("the line broke").asRuntimeException();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  private static <Q, R> void unexpected(Q request, int nth, ServerCallStreamObserver<R> out) {
    out.onError(Status.UNIMPLEMENTED.withDescription("not in the script").asException());
  }

  private <Q extends Message, R> void run(
      Script<? super Q, R> script, Q request, AtomicInteger count, StreamObserver<R> out) {
    var observer = (ServerCallStreamObserver<R>) out;
    observer.setOnCancelHandler(callCancelled::countDown);
    asked.add(request);
    try {
      script.answer(request, count.incrementAndGet(), observer);
    } catch (StatusRuntimeException end) {
      observer.onError(end);
    } catch (Exception fault) {
      observer.onError(Status.DATA_LOSS.withCause(fault).asException());
    }
  }

  private final class Noting implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata received, ServerCallHandler<Q, R> next) {
      headers.add(received);
      return next.startCall(call, received);
    }
  }

  private final class Images extends ImageServiceGrpc.ImageServiceImplBase {
    private final AtomicInteger draws = new AtomicInteger();
    private final AtomicInteger resumes = new AtomicInteger();
    private final AtomicInteger others = new AtomicInteger();

    @Override
    public void streamGenerate(GenerateRequest request, StreamObserver<ImageStreamEvent> out) {
      run(draw, request, draws, out);
    }

    @Override
    public void streamEdit(EditRequest request, StreamObserver<ImageStreamEvent> out) {
      run(draw, request, draws, out);
    }

    @Override
    public void resume(ResumeRequest request, StreamObserver<ImageStreamEvent> out) {
      run(resume, request, resumes, out);
    }

    @Override
    public void cancel(CancelRequest request, StreamObserver<CancelResponse> out) {
      run(cancel, request, others, out);
    }

    @Override
    public void readImage(ReadImageRequest request, StreamObserver<ReadImageResponse> out) {
      run(read, request, others, out);
    }

    @Override
    public void uploadImage(UploadImageRequest request, StreamObserver<UploadImageResponse> out) {
      run(upload, request, others, out);
    }

    @Override
    public void explain(ExplainRequest request, StreamObserver<ExplainResponse> out) {
      run(explain, request, others, out);
    }
  }

  private final class Models extends ModelServiceGrpc.ModelServiceImplBase {
    private final AtomicInteger calls = new AtomicInteger();

    @Override
    public void getModel(GetModelRequest request, StreamObserver<GetModelResponse> out) {
      run(getModel, request, calls, out);
    }

    @Override
    public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> out) {
      run(listModels, request, calls, out);
    }
  }
}
