package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.DeliveryMode;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.ResumeRequest;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(30)
class ResumingTest {
  private static final byte[] ONE = Events.picture(500_000, 1);
  private static final byte[] TWO = Events.picture(1000, 2);
  private static final List<ImageStreamEvent> LOG =
      Events.log(
          Events.started(),
          Events.preview(0, 1, TWO),
          Events.complete(0, ONE),
          Events.complete(1, TWO),
          Events.result(ONE, TWO));
  private static final CallSettings RESUMABLE = CallSettings.builder().resumable(true).build();

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();
  private final ImageModel model = client.image("p/m");

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  private static void sendAndBreak(
      StreamObserver<ImageStreamEvent> out, int from, int to, RuntimeException end) {
    LOG.subList(from, to).forEach(out::onNext);
    out.onError(end);
  }

  private void resumesFromTheLog() {
    server.resume =
        (request, nth, out) ->
            FakeServer.send(out, LOG.subList(request.getAfterSequence(), LOG.size()));
  }

  private static void assertWhole(ImageResult result) {
    assertArrayEquals(ONE, result.images().get(0).bytes().toByteArray());
    assertArrayEquals(TWO, result.images().get(1).bytes().toByteArray());
  }

  static Stream<Integer> places() {
    return Stream.iterate(1, place -> place + 1).limit(LOG.size() - 1);
  }

  /** Wherever a stream breaks, also in mid-image, the reader gets the same, bought once. */
  @ParameterizedTest
  @MethodSource("places")
  void aBreakAnywhereIsNotSeen(int place) throws InterruptedException {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, place, FakeServer.breaks());
    resumesFromTheLog();
    try (var stream = model.stream("a boat", RESUMABLE)) {
      int events = 0;
      while (stream.hasNext()) {
        stream.next();
        events++;
      }
      assertEquals(4, events);
      assertWhole(stream.result());
      assertEquals(LOG.size(), stream.lastSequence());
    }
    assertFalse(server.next(GenerateRequest.class).getRequestId().isEmpty());
    var resumed = server.next(ResumeRequest.class);
    assertEquals("gen_1", resumed.getGenerationId());
    assertTrue(resumed.getAfterSequence() >= 1 && resumed.getAfterSequence() <= place);
    assertTrue(server.asked.isEmpty());
  }

  /** If nothing had come, the same request is sent again, under the same id. */
  @ParameterizedTest
  @ValueSource(strings = {"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED"})
  void aBreakBeforeAnythingSendsTheSameAgain(Status.Code code) throws InterruptedException {
    server.draw =
        (request, nth, out) -> {
          if (nth == 1) {
            throw code.toStatus().asRuntimeException();
          }
          FakeServer.send(out, LOG);
        };
    assertWhole(model.generate("a boat", RESUMABLE));
    var first = server.next(GenerateRequest.class);
    assertEquals(first, server.next(GenerateRequest.class));
    assertFalse(first.getRequestId().isEmpty());
  }

  /** An end in good order without a result is a break too. */
  @Test
  void anEndWithoutResultIsABreak() {
    server.draw = (request, nth, out) -> FakeServer.send(out, LOG.subList(0, 3));
    resumesFromTheLog();
    assertWhole(model.generate("a boat", RESUMABLE));
  }

  /** A line that carries one message at a time is slow and no more: each renews the patience. */
  @Test
  void breaksAfterEveryEvent() {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 1, FakeServer.breaks());
    server.resume =
        (request, nth, out) -> {
          int from = request.getAfterSequence();
          sendAndBreak(out, from, from + 1, FakeServer.breaks());
        };
    assertWhole(model.generate("a boat", RESUMABLE));
  }

  /** Each break behind a message is waited for from the first delay on, not from the next one. */
  @Test
  void theWaitBeginsAnew() {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 1, FakeServer.breaks());
    server.resume =
        (request, nth, out) -> {
          int from = request.getAfterSequence();
          sendAndBreak(out, from, from + 1, FakeServer.breaks());
        };
    try (var impatient = server.builder().delays(List.of(1, 3_600_000)).build()) {
      assertWhole(impatient.image("p/m").generate("a boat", RESUMABLE));
    }
  }

  /** A busy server is asked to resume again; and delivery stays as it was. */
  @Test
  void aBusyServerIsAskedAgain() throws InterruptedException {
    var log = Events.log(Events.started(), Events.opening(0, TWO), Events.result(TWO));
    server.draw =
        (request, nth, out) -> {
          out.onNext(log.get(0));
          out.onError(FakeServer.breaks());
        };
    server.resume =
        (request, nth, out) -> {
          if (nth == 1) {
            throw FakeServer.says(Status.Code.RESOURCE_EXHAUSTED, "SERVER_BUSY");
          }
          FakeServer.send(out, log.subList(1, 3));
        };
    var settings =
        CallSettings.builder()
            .resumable(true)
            .delivery(DeliveryMode.DELIVERY_MODE_REFERENCE)
            .build();
    assertFalse(model.generate("a boat", settings).image().hasBytes());
    server.next(GenerateRequest.class);
    assertEquals(
        DeliveryMode.DELIVERY_MODE_REFERENCE,
        server.next(ResumeRequest.class).getDelivery().getMode());
  }

  /** What the server itself says is final, to a start as to a resume. */
  @Test
  void whatTheServerSaysIsFinal() {
    server.draw =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.UNAVAILABLE, "PROVIDER_UNAVAILABLE");
        };
    var error = assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    assertEquals(ErrorReason.ERROR_REASON_PROVIDER_UNAVAILABLE, error.reason());
    assertEquals(1, server.asked.size());
  }

  /** A resume that is refused ends it, and as nobody else has the name it is stopped. */
  @Test
  void aRefusedResumeIsTheEnd() throws InterruptedException {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 1, FakeServer.breaks());
    server.resume =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.FAILED_PRECONDITION, "WRONG_INSTANCE");
        };
    var error = assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    assertEquals(ErrorReason.ERROR_REASON_WRONG_INSTANCE, error.reason());
    assertEquals("gen_1", error.generationId());
    server.next(GenerateRequest.class);
    server.next(ResumeRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
  }

  /** After seven tries in vain the break is an error, with the ids; nothing is stopped. */
  @Test
  void aLineThatStaysBrokenIsAnError() throws InterruptedException {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 1, FakeServer.breaks());
    server.resume =
        (request, nth, out) -> {
          throw FakeServer.breaks();
        };
    var error = assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    assertEquals(Status.Code.INTERNAL, error.code());
    assertEquals("gen_1", error.generationId());
    server.next(GenerateRequest.class);
    for (int i = 0; i < 7; i++) {
      server.next(ResumeRequest.class);
    }
    assertTrue(server.asked.isEmpty());
  }

  /** What a wish that is sent again is refused for says nothing of what the first one began. */
  @Test
  void aRefusedRepetitionIsStopped() throws InterruptedException {
    server.draw =
        (request, nth, out) -> {
          throw nth == 1
              ? FakeServer.breaks()
              : FakeServer.says(Status.Code.RESOURCE_EXHAUSTED, "SERVER_BUSY");
        };
    assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    String name = server.next(GenerateRequest.class).getRequestId();
    server.next(GenerateRequest.class);
    assertEquals(name, server.next(CancelRequest.class).getRequestId());
  }

  /** That a server is gone by now does not mean that it has spent nothing. */
  @Test
  void aServerThatIsGoneMayHaveSpent() {
    server.draw =
        (request, nth, out) -> {
          out.onNext(LOG.get(0));
          server.close();
        };
    var error = assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    assertEquals(ErrorReason.ERROR_REASON_NETWORK_ERROR, error.reason());
    assertTrue(error.getMessage().contains("refused"), error.getMessage());
    assertEquals(Billed.BILLED_UNKNOWN, error.billed());
  }

  /** Nobody resumes, or buys again, who did not ask for it; the error has the ids to do so. */
  @Test
  void withoutResumableABreakIsAnError() {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 4, FakeServer.breaks());
    try (var stream = model.stream("a boat")) {
      var error = assertThrows(ImageGenException.class, stream::result);
      assertEquals("gen_1", error.generationId());
      assertEquals("req_1", error.requestId());
      assertEquals(4, stream.lastSequence());
    }
    assertEquals(1, server.asked.size());
  }

  /** Bytes are checked over a break like any others. */
  @Test
  void bytesAreCheckedOverABreak() {
    server.draw = (request, nth, out) -> sendAndBreak(out, 0, 5, FakeServer.breaks());
    server.resume =
        (request, nth, out) -> {
          var rest = Events.chunks(0, 0, Events.picture(ONE.length, 9), Events.CHUNK);
          FakeServer.send(out, rest.subList(1, rest.size()));
        };
    var error = assertThrows(ImageGenException.class, () -> model.generate("x", RESUMABLE));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
  }

  /** client.resume reads on where it breaks, from the place where another stream was left. */
  @Test
  void resumeGoesOnWhereAnotherStreamWasLeft() throws InterruptedException {
    server.resume =
        (request, nth, out) -> {
          int from = request.getAfterSequence();
          sendAndBreak(out, from, Math.min(from + 2, LOG.size()), FakeServer.breaks());
        };
    var request = ResumeRequest.newBuilder().setRequestId("r").setAfterSequence(5);
    try (var stream = client.resume(request.build())) {
      var result = stream.result();
      assertFalse(result.images().get(0).hasBytes());
      assertArrayEquals(TWO, result.images().get(1).bytes().toByteArray());
    }
    assertEquals("r", server.next(ResumeRequest.class).getRequestId());
    assertEquals(7, server.next(ResumeRequest.class).getAfterSequence());
  }

  /** Each wait is between half of its delay and all of it; after the last there is none. */
  @Test
  void waitsAreThoseOfTheContract() {
    var backoff = new Backoff(Backoff.DELAYS);
    for (int most : List.of(100, 200, 400, 800, 1600, 3200, 5000)) {
      long wait = backoff.next().orElseThrow().toMillis();
      assertTrue(wait >= most / 2 && wait <= most, most + ": " + wait);
    }
    assertTrue(backoff.next().isEmpty());
    backoff.renew();
    assertTrue(backoff.next().orElseThrow().toMillis() <= 100);
  }
}
