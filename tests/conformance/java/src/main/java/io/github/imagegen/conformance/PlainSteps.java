package io.github.imagegen.conformance;

import com.google.protobuf.ByteString;
import io.github.imagegen.conformance.v1.Event;
import io.github.imagegen.conformance.v1.Failure;
import io.github.imagegen.conformance.v1.Outcome;
import io.github.imagegen.conformance.v1.Picture;
import io.github.imagegen.conformance.v1.Step;
import io.github.imagegen.v1.GeneratedImage;
import io.github.imagegen.v1.ImageChunk;
import io.github.imagegen.v1.ImageResult;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageServiceGrpc.ImageServiceBlockingStub;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.ReadImageResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/** Does a step with the generated blocking stubs over a stock channel. */
final class PlainSteps {
  private static final Metadata.Key<String> GENERATION_ID = key("imagegen-generation-id");
  private static final Metadata.Key<String> REQUEST_ID = key("imagegen-request-id");
  private static final Metadata.Key<String> REASON = key("imagegen-reason");
  private static final Metadata.Key<String> BILLED = key("imagegen-billed");

  private final Step step;
  private final Outcome.Builder outcome = Outcome.newBuilder();
  private final Map<Integer, GeneratedImage> opened = new TreeMap<>();
  private final Map<Integer, ByteString> whole = new TreeMap<>();
  private Picture.Builder chunks;
  private ByteString bytes = ByteString.EMPTY;

  PlainSteps(Step step) {
    this.step = step;
  }

  static ManagedChannel connect(Step step) throws IOException {
    var credentials =
        step.getCaFile().isEmpty()
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(new File(step.getCaFile())).build();
    var builder = Grpc.newChannelBuilder(step.getAddress(), credentials);
    if (step.getRetryingChannel()) {
      Map<String, ?> policy =
          Map.of(
              "maxAttempts",
              5.0,
              "initialBackoff",
              "0.1s",
              "maxBackoff",
              "1s",
              "backoffMultiplier",
              2.0,
              "retryableStatusCodes",
              List.of("UNAVAILABLE"));
      Map<String, ?> all = Map.of("name", List.of(Map.of()), "retryPolicy", policy);
      builder.defaultServiceConfig(Map.of("methodConfig", List.of(all))).enableRetry();
    }
    if (!step.getToken().isEmpty()) {
      var headers = new Metadata();
      headers.put(key("authorization"), "Bearer " + step.getToken());
      builder.intercept(MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    return builder.build();
  }

  Outcome run() throws IOException {
    ManagedChannel channel = connect(step);
    try (var call = Context.current().withCancellation()) {
      var stub = ImageServiceGrpc.newBlockingStub(channel).withInterceptors(new Ids());
      if (step.getTimeoutMs() != 0) {
        stub =
            stub.withDeadlineAfter(
                Integer.toUnsignedLong(step.getTimeoutMs()), TimeUnit.MILLISECONDS);
      }
      var limited = stub;
      call.run(() -> run(limited, call));
    } catch (StatusRuntimeException error) {
      outcome.setFailure(failure(error));
    } finally {
      channel.shutdownNow();
    }
    return outcome.build();
  }

  private void run(ImageServiceBlockingStub stub, Context.CancellableContext call) {
    switch (step.getOperationCase()) {
      case GENERATE -> result(stub.generate(step.getGenerate()));
      case EDIT -> result(stub.edit(step.getEdit()));
      case STREAM -> stream(stub.streamGenerate(step.getStream()), call);
      case STREAM_EDIT -> stream(stub.streamEdit(step.getStreamEdit()), call);
      case RESUME -> stream(stub.resume(step.getResume()), call);
      case CANCEL -> outcome.setStopped(stub.cancel(step.getCancel()).getStopped());
      case EXPLAIN -> outcome.setExplained(stub.explain(step.getExplain()));
      case READ -> read(stub.readImage(step.getRead()));
      default -> outcome.setUnsupported("not asked of plain stubs: " + step.getOperationCase());
    }
  }

  private void result(ImageResult result) {
    outcome.setResult(Pictures.withoutData(result));
    for (var made : result.getImagesList()) {
      var data = made.getImage().getData();
      if (!data.isEmpty()) {
        outcome.addPictures(Pictures.of(made, 0, data));
      }
    }
  }

  private void read(Iterator<ReadImageResponse> pieces) {
    var data = ByteString.EMPTY;
    while (pieces.hasNext()) {
      var piece = pieces.next();
      if (piece.hasImage()) {
        outcome.setImage(Pictures.withoutData(piece.getImage()));
      }
      data = data.concat(piece.getData());
    }
    var made = GeneratedImage.newBuilder().setImage(outcome.getImage()).build();
    outcome.addPictures(Pictures.of(made, 0, data));
  }

  private void stream(Iterator<ImageStreamEvent> messages, Context.CancellableContext call) {
    try {
      int seen = 0;
      while (!(step.hasLeave() && seen >= step.getLeave().getAfterEvents()) && messages.hasNext()) {
        seen++;
        message(messages.next());
      }
      if (step.hasLeave() && seen >= step.getLeave().getAfterEvents()) {
        call.cancel(null);
      }
    } finally {
      endChunks();
    }
    if (outcome.hasResult()) {
      opened.forEach(
          (index, made) -> {
            if (whole.containsKey(index)) {
              outcome.addPictures(Pictures.of(made, 0, whole.get(index)));
            }
          });
    }
  }

  private void message(ImageStreamEvent message) {
    if (Integer.compareUnsigned(message.getSequence(), outcome.getLastSequence()) > 0) {
      outcome.setLastSequence(message.getSequence());
    }
    if (message.hasChunk()) {
      chunk(message.getChunk());
      return;
    }
    if (message.hasProgress()) {
      outcome.setProgressEvents(outcome.getProgressEvents() + 1);
      return;
    }
    endChunks();
    var event = Event.newBuilder();
    switch (message.getEventCase()) {
      case STARTED -> {
        event.setStarted(message.getStarted());
        outcome.setGenerationId(message.getStarted().getGenerationId());
        outcome.setRequestId(message.getStarted().getRequestId());
      }
      case PREVIEW -> {
        var preview = message.getPreview();
        var made =
            GeneratedImage.newBuilder()
                .setImage(preview.getImage())
                .putAllMetadata(preview.getMetadataMap())
                .build();
        event.setPreview(
            Pictures.of(made, preview.getNumber(), (ByteString) null).setIndex(preview.getIndex()));
      }
      case COMPLETE -> {
        var made = message.getComplete();
        opened.put(made.getIndex(), made);
        event.setComplete(Pictures.of(made, 0, (ByteString) null));
      }
      case FAILURE -> event.setFailure(message.getFailure());
      case RESULT -> {
        event.setResult(true);
        result(message.getResult());
      }
      default -> event.setUnknown(true);
    }
    outcome.addEvents(event);
  }

  private void chunk(ImageChunk chunk) {
    if (chunks != null
        && (chunks.getIndex() != chunk.getIndex()
            || chunks.getPreviewNumber() != chunk.getPreviewNumber())) {
      endChunks();
    }
    if (chunks == null) {
      chunks =
          Picture.newBuilder()
              .setIndex(chunk.getIndex())
              .setPreviewNumber(chunk.getPreviewNumber());
    }
    bytes = bytes.concat(chunk.getData());
    if (chunk.getPreviewNumber() == 0) {
      whole.merge(chunk.getIndex(), chunk.getData(), ByteString::concat);
    }
  }

  private void endChunks() {
    if (chunks != null) {
      outcome
          .addEventsBuilder()
          .setChunks(chunks.setSizeBytes(bytes.size()).setSha256(Pictures.sha256(bytes)));
      chunks = null;
      bytes = ByteString.EMPTY;
    }
  }

  private static Failure failure(StatusRuntimeException error) {
    var failure = Failure.newBuilder().setCode(error.getStatus().getCode().value());
    if (error.getStatus().getDescription() != null) {
      failure.setMessage(error.getStatus().getDescription());
    }
    Metadata trailers = error.getTrailers();
    if (trailers != null) {
      failure.setReason(orEmpty(trailers.get(REASON))).setBilled(orEmpty(trailers.get(BILLED)));
    }
    return failure.build();
  }

  private static String orEmpty(String value) {
    return value == null ? "" : value;
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** Notes the ids in the initial metadata of streams. */
  private final class Ids implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(
        MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<R> listener, Metadata headers) {
          super.start(
              new SimpleForwardingClientCallListener<>(listener) {
                @Override
                public void onHeaders(Metadata received) {
                  if (step.hasStream() || step.hasStreamEdit() || step.hasResume()) {
                    outcome.setGenerationId(orEmpty(received.get(GENERATION_ID)));
                    outcome.setRequestId(orEmpty(received.get(REQUEST_ID)));
                  }
                  super.onHeaders(received);
                }
              },
              headers);
        }
      };
    }
  }
}
