package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.imagegen.v1.Attempt;
import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.GenerationFailure;
import io.github.imagegen.v1.ImageFailure;
import io.github.imagegen.v1.ImageUsage;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(30)
class ErrorsTest {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private static Metadata metadata(Map<String, String> values) {
    var metadata = new Metadata();
    values.forEach(
        (key, value) ->
            metadata.put(Metadata.Key.of(key, Metadata.ASCII_STRING_MARSHALLER), value));
    return metadata;
  }

  private static ImageGenException read(Status.Code code, Metadata trailers) {
    return ErrorFacts.read(code.toStatus().withDescription("told"), trailers, null, false);
  }

  /** Everything that the server tells of a failure can be read from the exception. */
  @Test
  void allDetailsArrive() {
    var failure =
        GenerationFailure.newBuilder()
            .setGenerationId("gen_1")
            .setRequestId("req_1")
            .addFailures(ImageFailure.newBuilder().setIndex(2))
            .addAttempts(Attempt.newBuilder().setProvider("p"))
            .setUsage(ImageUsage.newBuilder().setInputTokens(5))
            .build();
    var violation = FieldViolation.newBuilder().setField("options.seed").setDescription("no");
    var wait = com.google.protobuf.Duration.newBuilder().setSeconds(2).setNanos(500_000_000);
    try (var server = new FakeServer();
        var client = server.client()) {
      server.draw =
          (request, nth, out) -> {
            var info = Map.of("provider", "p", "model", "p/m", "stage", "input");
            throw FakeServer.says(
                Status.Code.RESOURCE_EXHAUSTED,
                "RATE_LIMITED",
                ErrorInfo.newBuilder().putAllMetadata(info).build(),
                RetryInfo.newBuilder().setRetryDelay(wait).build(),
                BadRequest.newBuilder().addFieldViolations(violation).build(),
                failure);
          };
      var error =
          assertThrows(ImageGenException.class, () -> client.image("p/m").generate("a boat"));
      assertEquals("scripted", error.getMessage());
      assertEquals(Status.Code.RESOURCE_EXHAUSTED, error.code());
      assertEquals(ErrorReason.ERROR_REASON_RATE_LIMITED, error.reason());
      assertEquals("ERROR_REASON_RATE_LIMITED", error.reasonName());
      assertEquals(Billed.BILLED_NO, error.billed());
      assertEquals(Duration.ofMillis(2500), error.retryDelay().orElseThrow());
      assertEquals("options.seed", error.violations().get(0).getField());
      assertEquals(2, error.failures().get(0).getIndex());
      assertEquals("p", error.attempts().get(0).getProvider());
      assertEquals(5, error.usage().orElseThrow().getInputTokens());
      assertEquals(Map.of("billed", "no"), error.metadata());
      assertEquals("gen_1", error.generationId());
      assertEquals("req_1", error.requestId());
      assertInstanceOf(StatusRuntimeException.class, error.getCause());
      assertTrue(error.toString().contains("RATE_LIMITED: scripted (options.seed: no)"));
      // It was thrown in this thread, and its stack trace says so.
      assertTrue(
          java.util.Arrays.stream(error.getStackTrace())
              .anyMatch(frame -> frame.getMethodName().equals("generate")));
    }
  }

  /** Provider and model are those of ErrorInfo. */
  @Test
  void providerAndModelAreTold() {
    var info =
        ErrorInfo.newBuilder()
            .setDomain("imagegen")
            .setReason("ERROR_REASON_TIMEOUT")
            .putMetadata("provider", "p")
            .putMetadata("model", "p/m")
            .putMetadata("billed", "yes");
    var error = read(Status.Code.INTERNAL, details(Status.Code.INTERNAL, info));
    assertEquals("p", error.provider());
    assertEquals("p/m", error.model());
    assertEquals(Billed.BILLED_YES, error.billed());
  }

  private static Metadata details(Status.Code code, ErrorInfo.Builder info) {
    var status =
        com.google.rpc.Status.newBuilder().setCode(code.value()).addDetails(Any.pack(info.build()));
    var trailers = new Metadata();
    trailers.put(DETAILS, status.build().toByteArray());
    return trailers;
  }

  /** Where a proxy took the details away, reason and money are still told. */
  @Test
  void plainTrailersAreEnough() {
    var trailers =
        metadata(Map.of("imagegen-reason", "ERROR_REASON_RATE_LIMITED", "imagegen-billed", "no"));
    var error = read(Status.Code.INTERNAL, trailers);
    assertEquals(ErrorReason.ERROR_REASON_RATE_LIMITED, error.reason());
    assertEquals(Billed.BILLED_NO, error.billed());
    assertTrue(error.isFromServer());
    assertFalse(error.isBrokenConnection());
  }

  /** Garbled details, and those of another failure, do not hide the error at hand. */
  @Test
  void detailsThatDoNotFitAreLeftAside() {
    var garbled = new Metadata();
    garbled.put(DETAILS, "no message".getBytes(StandardCharsets.UTF_8));
    var info = ErrorInfo.newBuilder().setDomain("imagegen").setReason("ERROR_REASON_TIMEOUT");
    for (var trailers :
        java.util.List.of(garbled, details(Status.Code.NOT_FOUND, info), new Metadata())) {
      var error = read(Status.Code.INTERNAL, trailers);
      assertEquals("", error.reasonName());
      assertEquals(ErrorReason.ERROR_REASON_UNSPECIFIED, error.reason());
      assertEquals("told", error.getMessage());
      assertEquals(Billed.BILLED_UNKNOWN, error.billed());
    }
  }

  /** An ErrorInfo of another domain gives neither a reason nor a word about money. */
  @Test
  void detailsOfOthersAreNotOurs() {
    var info = ErrorInfo.newBuilder().setDomain("proxy").setReason("X").putMetadata("billed", "no");
    var error = read(Status.Code.INTERNAL, details(Status.Code.INTERNAL, info));
    assertEquals("", error.reasonName());
    assertEquals(Billed.BILLED_UNKNOWN, error.billed());
    assertTrue(error.metadata().isEmpty());
    assertTrue(error.isBrokenConnection());
  }

  /** A reason that a newer server sends can be read and compared. */
  @Test
  void unknownReasonKeepsItsName() {
    var error =
        read(
            Status.Code.INTERNAL, metadata(Map.of("imagegen-reason", "ERROR_REASON_OUT_OF_PAINT")));
    assertEquals("ERROR_REASON_OUT_OF_PAINT", error.reasonName());
    assertEquals(ErrorReason.UNRECOGNIZED, error.reason());
  }

  /** A status that a proxy or the transport made says what can be taken from its code. */
  @ParameterizedTest
  @CsvSource({
    "CANCELLED,ERROR_REASON_CANCELLED",
    "DEADLINE_EXCEEDED,ERROR_REASON_TIMEOUT",
    "UNAVAILABLE,ERROR_REASON_NETWORK_ERROR",
    "UNAUTHENTICATED,ERROR_REASON_CALLER_UNAUTHENTICATED",
    "PERMISSION_DENIED,ERROR_REASON_CALLER_NOT_ALLOWED",
    "UNKNOWN,''",
    "RESOURCE_EXHAUSTED,''"
  })
  void bareStatus(Status.Code code, String reason) {
    var error = read(code, new Metadata());
    assertEquals(reason, error.reasonName());
    assertEquals(Billed.BILLED_UNKNOWN, error.billed());
    assertFalse(error.isFromServer());
  }

  /** A call that died without details still leaves its ids. */
  @Test
  void idsComeFromInitialMetadata() {
    var headers =
        metadata(Map.of("imagegen-generation-id", "gen_9", "imagegen-request-id", "req_9"));
    var error = ErrorFacts.read(Status.INTERNAL, new Metadata(), headers, false);
    assertEquals("gen_9", error.generationId());
    assertEquals("req_9", error.requestId());
  }

  /** Where there never was a connection nothing was sent and nothing paid; the message says why. */
  @Test
  void nothingListeningCannotHaveBeenBilled() {
    try (var client = ImageGenClient.connect("127.0.0.1:1")) {
      var error =
          assertThrows(ImageGenException.class, () -> client.image("p/m").generate("a boat"));
      assertEquals(ErrorReason.ERROR_REASON_NETWORK_ERROR, error.reason());
      assertEquals(Billed.BILLED_NO, error.billed());
      assertTrue(error.getMessage().contains("refused"), error.getMessage());
    }
  }

  /** A call that takes longer than it may is a TIMEOUT that may have cost money. */
  @Test
  void deadlineOfTheClient() throws InterruptedException {
    try (var server = new FakeServer();
        var client = server.builder().timeout(Duration.ofMillis(300)).build()) {
      server.draw = (request, nth, out) -> out.onNext(Events.started());
      var error =
          assertThrows(ImageGenException.class, () -> client.image("p/m").generate("a boat"));
      assertEquals(ErrorReason.ERROR_REASON_TIMEOUT, error.reason());
      assertEquals(Billed.BILLED_UNKNOWN, error.billed());
      assertEquals("gen_1", error.generationId());
      assertTrue(server.callCancelled.await(10, java.util.concurrent.TimeUnit.SECONDS));
    }
  }

  /** What a free method fails with has cost nothing. */
  @Test
  void freeMethodsCostNothing() {
    try (var server = new FakeServer();
        var client = server.client()) {
      server.getModel =
          (request, nth, out) -> {
            throw Status.INTERNAL.asRuntimeException();
          };
      var error = assertThrows(ImageGenException.class, () -> client.model("p/m"));
      assertEquals(Billed.BILLED_NO, error.billed());
    }
  }
}
