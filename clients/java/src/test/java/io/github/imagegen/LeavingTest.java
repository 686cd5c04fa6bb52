package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.GenerateRequest;
import io.grpc.Context;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Ways to leave a generation that are not those of every day. */
@Timeout(30)
class LeavingTest {
  private static final CallSettings RESUMABLE = CallSettings.builder().resumable(true).build();

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();
  private final ImageModel model = client.image("p/m");

  @BeforeEach
  void stall() {
    server.draw = (request, nth, out) -> out.onNext(Events.started());
  }

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  private void assertCallEnded() throws InterruptedException {
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  /** A caller whose own gRPC context ends has left: no line broke that one could come back over. */
  @Test
  void aCancelledContextLeaves() throws Exception {
    try (var context = Context.current().withCancellation()) {
      var stream = context.call(() -> model.stream("a boat", RESUMABLE));
      stream.next();
      context.cancel(null);
      var error = assertThrows(ImageGenException.class, stream::result);
      assertEquals(ErrorReason.ERROR_REASON_CANCELLED, error.reason());
    }
    server.next(GenerateRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
  }

  /** A server that forgets to end its call does not keep it open: the result was all of it. */
  @Test
  void aCallThatGoesOnBehindItsResultIsEnded() throws InterruptedException {
    byte[] data = Events.picture(1000, 1);
    var log = Events.log(Events.started(), Events.complete(0, data), Events.result(data));
    server.draw = (request, nth, out) -> log.forEach(out::onNext);
    var future = model.generateAsync("a boat");
    assertCallEnded();
    assertTrue(future.join().image().hasBytes());
  }

  /** Code of the reader that takes its time does not keep the generation running. */
  @Test
  void theCallEndsBeforeItsReaderIsTold() throws Exception {
    var released = new CountDownLatch(1);
    var stream = model.stream("a boat", RESUMABLE);
    stream.next();
    var told =
        stream
            .resultAsync()
            .handle(
                (result, error) -> {
                  try {
                    return released.await(20, TimeUnit.SECONDS);
                  } catch (InterruptedException interrupted) {
                    throw new AssertionError(interrupted);
                  }
                });
    var left = CompletableFuture.runAsync(stream::close);
    try {
      assertCallEnded();
      server.next(GenerateRequest.class);
      server.next(CancelRequest.class);
    } finally {
      released.countDown();
    }
    left.get(10, TimeUnit.SECONDS);
    assertTrue(told.get(10, TimeUnit.SECONDS));
  }

  /** The same where bytes are not the promised ones. */
  @Test
  void aDamagedImageEndsTheCallBeforeItsReaderIsTold() throws Exception {
    var released = new CountDownLatch(1);
    var begun = new CountDownLatch(1);
    server.draw =
        (request, nth, out) -> {
          begun.await(10, TimeUnit.SECONDS);
          out.onNext(Events.chunk(0, 0, 0, Events.picture(10, 1)));
        };
    var told =
        model
            .generateAsync("a boat")
            .handle(
                (result, error) -> {
                  try {
                    return released.await(20, TimeUnit.SECONDS);
                  } catch (InterruptedException interrupted) {
                    throw new AssertionError(interrupted);
                  }
                });
    begun.countDown();
    try {
      assertCallEnded();
    } finally {
      released.countDown();
    }
    assertTrue(told.get(10, TimeUnit.SECONDS));
  }

  /** A client that is closed while a stream begins leaves one that is cancelled, not a fault. */
  @Test
  void leftBeforeItBegan() {
    var connection =
        new Connection(server.address(), null, null, null, List.of(), ConnectLimit.LIMIT);
    var request = new StreamRequest.Generate(GenerateRequest.getDefaultInstance());
    var generation = new Generation(connection, request, null, new Lifetime(false, false, false));
    generation.leave("the client was closed");
    var stream = new ImageStream(generation.begin());
    var error = assertThrows(ImageGenException.class, stream::result);
    assertEquals(ErrorReason.ERROR_REASON_CANCELLED, error.reason());
    connection.close();
    assertTrue(server.asked.isEmpty());
  }

  /** Whoever is interrupted while it waits for the result still learns what it was. */
  @Test
  void anInterruptTellsTheIds() throws Exception {
    var seen = new CompletableFuture<ImageGenException>();
    var thread =
        new Thread(
            () -> {
              var named = CallSettings.builder().requestId("mine").build();
              seen.complete(
                  assertThrows(ImageGenException.class, () -> model.generate("a boat", named)));
            });
    thread.start();
    server.next(GenerateRequest.class);
    thread.interrupt();
    assertTrue(!seen.get(10, TimeUnit.SECONDS).requestId().isEmpty());
  }
}
