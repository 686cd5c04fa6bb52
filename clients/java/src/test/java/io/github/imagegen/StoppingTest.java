package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.OnDisconnect;
import io.github.imagegen.v1.ResumeRequest;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@Timeout(30)
class StoppingTest {
  private static final CallSettings PLAIN = CallSettings.none();
  private static final CallSettings RESUMABLE = CallSettings.builder().resumable(true).build();
  private static final CallSettings NAMED = CallSettings.builder().requestId("mine").build();
  private static final CallSettings RESUMABLE_NAMED =
      CallSettings.builder().resumable(true).requestId("mine").build();
  private static final CallSettings DETACHED =
      CallSettings.builder().onDisconnect(OnDisconnect.ON_DISCONNECT_DETACH).build();

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();
  private final ImageModel model = client.image("p/m");

  /** A generation that begins and then says nothing. */
  @BeforeEach
  void stall() {
    server.draw = (request, nth, out) -> out.onNext(Events.started());
    server.resume = (request, nth, out) -> out.onNext(Events.started());
  }

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  private void assertCallEnded() throws InterruptedException {
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  static List<CallSettings> shared() {
    return List.of(RESUMABLE, NAMED, DETACHED, RESUMABLE_NAMED);
  }

  /** What may run on without this reader is cancelled by its id, and the call ends. */
  @ParameterizedTest
  @MethodSource("shared")
  void abortTellsTheServer(CallSettings settings) throws InterruptedException {
    var stream = model.stream("a boat", settings);
    stream.next();
    stream.abort();
    server.next(GenerateRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
    assertCallEnded();
    var error = assertThrows(ImageGenException.class, stream::result);
    assertEquals(ErrorReason.ERROR_REASON_CANCELLED, error.reason());
    assertThrows(ImageGenException.class, stream::hasNext);
  }

  /** Without the server's id the request's own is used, which such a call always has. */
  @Test
  void abortBeforeTheStartIsKnown() throws InterruptedException {
    server.draw = (request, nth, out) -> {};
    var stream = model.stream("a boat", DETACHED);
    String name = server.next(GenerateRequest.class).getRequestId();
    assertEquals(name, stream.requestId());
    stream.abort();
    assertEquals(name, server.next(CancelRequest.class).getRequestId());
  }

  /** Nothing outlives a plain call, so ending it is all. */
  @Test
  void abortOfAPlainStreamIsTheEndOfItsCall() throws InterruptedException {
    var stream = model.stream("a boat", PLAIN);
    stream.next();
    stream.abort();
    assertCallEnded();
    assertEquals(1, server.asked.size());
  }

  /** If the server could not be told the generation may run on; if it has none, all is well. */
  @Test
  void abortThatDoesNotArriveIsTold() {
    server.cancel =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.FAILED_PRECONDITION, "WRONG_INSTANCE");
        };
    var error = assertThrows(ImageGenException.class, () -> model.stream("a boat", NAMED).abort());
    assertEquals(ErrorReason.ERROR_REASON_WRONG_INSTANCE, error.reason());
    server.cancel =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.NOT_FOUND, "GENERATION_NOT_FOUND");
        };
    model.stream("a boat", NAMED).abort();
  }

  /** Leaving a resumable stream that nobody else can name stops it in the background. */
  @Test
  void leavingWhatNobodyCanNameStopsIt() throws InterruptedException {
    try (var stream = model.stream("a boat", RESUMABLE)) {
      stream.next();
    }
    server.next(GenerateRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
  }

  static List<CallSettings> withoutCancel() {
    return List.of(PLAIN, NAMED, DETACHED, RESUMABLE_NAMED);
  }

  /** Leaving anything else ends its call, and asks the server for nothing. */
  @ParameterizedTest
  @MethodSource("withoutCancel")
  void leaving(CallSettings settings) throws InterruptedException {
    try (var stream = model.stream("a boat", settings)) {
      stream.next();
    }
    assertCallEnded();
    client.close(); // waits for what the server is to be told
    assertEquals(1, server.asked.size());
  }

  /** Who resumes by id may leave without harm, and may stop it. */
  @Test
  void aResumedStream() throws InterruptedException {
    try (var stream = client.resume("gen_1")) {
      stream.next();
    }
    assertCallEnded();
    server.next(ResumeRequest.class);
    var stream = client.resume("gen_1");
    stream.next();
    stream.abort();
    server.next(ResumeRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
  }

  /** Neither a failure nor a result is cancelled once the server has told of it. */
  @Test
  void nothingIsCancelledAfterTheEnd() {
    byte[] data = Events.picture(1000, 1);
    server.draws(Events.log(Events.started(), Events.complete(0, data), Events.result(data)));
    try (var stream = model.stream("a boat", RESUMABLE)) {
      stream.result();
      stream.abort();
      stream.result();
    }
    server.draw =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.INTERNAL, "PROVIDER_ERROR");
        };
    try (var stream = model.stream("a boat", RESUMABLE)) {
      assertThrows(ImageGenException.class, stream::result);
      stream.abort();
    }
    client.close();
    assertEquals(2, server.asked.size());
  }

  /** An interrupt leaves the generation, is thrown as CANCELLED, and stays visible. */
  @Test
  void anInterruptLeaves() throws Exception {
    var seen = new CompletableFuture<Boolean>();
    var thread =
        new Thread(
            () -> {
              try {
                model.generate("a boat", RESUMABLE);
                seen.complete(false);
              } catch (ImageGenException error) {
                boolean cancelled = error.reason() == ErrorReason.ERROR_REASON_CANCELLED;
                seen.complete(cancelled && Thread.currentThread().isInterrupted());
              }
            });
    thread.start();
    server.next(GenerateRequest.class);
    thread.interrupt();
    assertTrue(seen.get(10, TimeUnit.SECONDS));
    server.next(CancelRequest.class);
    assertCallEnded();
  }

  /** Cancelling the future of generateAsync leaves the generation, and so does its time limit. */
  @Test
  void aCancelledFutureLeaves() throws InterruptedException {
    var future = model.generateAsync("a boat", RESUMABLE);
    server.next(GenerateRequest.class);
    future.cancel(false);
    server.next(CancelRequest.class);
    assertCallEnded();
    model.generateAsync("a boat", RESUMABLE).orTimeout(50, TimeUnit.MILLISECONDS);
    server.next(GenerateRequest.class);
    server.next(CancelRequest.class);
  }

  /** A stream that nobody holds any more does not leave a generation running. */
  @Test
  void aDroppedStreamStopsTheGeneration() throws InterruptedException {
    model.stream("a boat", PLAIN).next();
    while (!server.callCancelled.await(20, TimeUnit.MILLISECONDS)) {
      System.gc();
    }
    assertEquals(1, server.asked.size());
  }

  /** A stream between two tries is aborted at once, and whoever waits for it is told. */
  @Test
  void abortBetweenTwoTries() throws Exception {
    server.draw =
        (request, nth, out) -> {
          throw FakeServer.breaks();
        };
    try (var patient = server.builder().delays(List.of(60_000)).build()) {
      var stream = patient.image("p/m").stream("a boat", RESUMABLE);
      var result = stream.resultAsync();
      server.next(GenerateRequest.class);
      stream.abort();
      var error = assertThrows(Exception.class, () -> result.get(5, TimeUnit.SECONDS));
      assertEquals(ImageGenException.class, error.getCause().getClass());
    }
    server.next(CancelRequest.class);
  }

  /** Closing the client leaves its streams and ends their readers. */
  @Test
  void closingTheClientEndsEverything() throws Exception {
    var result = model.stream("a boat", RESUMABLE).resultAsync();
    server.next(GenerateRequest.class);
    client.close();
    server.next(CancelRequest.class);
    assertTrue(result.isCompletedExceptionally());
    assertThrows(IllegalStateException.class, () -> model.stream("a boat"));
    assertThrows(IllegalStateException.class, () -> client.model("p/m"));
    client.close();
  }

  /** cancel() answers whether there was something to stop, and wants one id. */
  @Test
  void cancelByEitherId() throws InterruptedException {
    assertTrue(client.cancel("gen_7"));
    assertEquals("gen_7", server.next(CancelRequest.class).getGenerationId());
    assertTrue(client.cancel(CancelRequest.newBuilder().setRequestId("r").build()));
    assertEquals("r", server.next(CancelRequest.class).getRequestId());
    assertThrows(IllegalArgumentException.class, () -> client.cancel(""));
    assertThrows(IllegalArgumentException.class, () -> client.resume(""));
    assertFalse(server.asked.iterator().hasNext());
  }
}
