package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.ImageStreamEvent;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class StreamTest {
  private static final byte[] ONE = Events.picture(500_000, 1);
  private static final byte[] TWO = Events.picture(1000, 2);
  private static final List<ImageStreamEvent> LOG =
      Events.log(
          Events.started(), Events.preview(0, 1, TWO), Events.complete(0, ONE), Events.result(ONE));

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();
  private final ImageModel model = client.image("p/m");

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  private static List<String> names(Iterable<ImageEvent> events) {
    List<String> names = new ArrayList<>();
    events.forEach(event -> names.add(event.getClass().getSimpleName()));
    return names;
  }

  /** Events come as they happen, then the result has the images. */
  @Test
  void iterateThenResult() {
    server.draws(LOG);
    try (var stream = model.stream("a boat")) {
      assertEquals(List.of("Started", "Preview", "Complete"), names(stream));
      assertThrows(NoSuchElementException.class, stream::next);
      assertArrayEquals(ONE, stream.result().image().bytes().toByteArray());
      assertEquals("gen_1", stream.generationId());
      assertEquals("req_1", stream.requestId());
      assertEquals(LOG.size(), stream.lastSequence());
    }
  }

  /** The result can be had without reading, more than once, and the events are still there. */
  @Test
  void resultThenIterate() {
    server.draws(LOG);
    try (var stream = model.stream("a boat")) {
      assertSame(stream.result(), stream.result());
      assertEquals(List.of("Started", "Preview", "Complete"), names(stream));
    }
  }

  /** Where a reader stopped is where another one goes on, whatever was fetched ahead. */
  @Test
  void lastSequenceIsThatOfTheEventHandedOut() {
    server.draws(LOG);
    try (var stream = model.stream("a boat")) {
      assertEquals(0, stream.lastSequence());
      stream.next();
      assertEquals(1, stream.lastSequence());
      stream.next();
      assertEquals(3, stream.lastSequence());
    }
  }

  /** Once the result is there, a connection that breaks changes nothing. */
  @Test
  void failureAfterTheResultDoesNotLoseIt() {
    server.draw =
        (request, nth, out) -> {
          LOG.forEach(out::onNext);
          out.onError(FakeServer.breaks());
        };
    assertArrayEquals(ONE, model.generate("a boat").image().bytes().toByteArray());
  }

  /** An iteration gets everything that came before the error, then the error, again and again. */
  @Test
  void eventsBeforeAFailureAreDelivered() {
    server.draw =
        (request, nth, out) -> {
          LOG.subList(0, 3).forEach(out::onNext);
          out.onError(FakeServer.says(Status.Code.INTERNAL, "PROVIDER_ERROR"));
        };
    try (var stream = model.stream("a boat")) {
      assertThrows(ImageGenException.class, stream::result);
      stream.next();
      stream.next();
      assertThrows(ImageGenException.class, stream::hasNext);
      var error = assertThrows(ImageGenException.class, stream::next);
      assertEquals(ErrorReason.ERROR_REASON_PROVIDER_ERROR, error.reason());
    }
  }

  /** A stream that ends well but brings no result is no success. */
  @Test
  void endWithoutResultIsAnError() {
    server.draws(LOG.subList(0, LOG.size() - 1));
    var error = assertThrows(ImageGenException.class, () -> model.generate("a boat"));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
    assertEquals("gen_1", error.generationId());
  }

  /** Bytes that are not the promised ones fail the call and stop the generation. */
  @Test
  void brokenPromiseEndsTheCall() throws InterruptedException {
    server.draw = (request, nth, out) -> out.onNext(Events.chunk(0, 0, 0, TWO));
    var error = assertThrows(ImageGenException.class, () -> model.generate("a boat"));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  /** A stream that nobody reads holds the server back; the reader then gets everything. */
  @Test
  void anUnreadStreamIsNotFetched() throws Exception {
    int images = 100;
    byte[] data = Events.picture(1_000_000, 3);
    List<ImageStreamEvent> log = new ArrayList<>();
    for (int index = 0; index < images; index++) {
      log.addAll(Events.complete(index, data));
    }
    log.add(Events.result(data));
    var sent = new AtomicInteger();
    var heldBack = new CountDownLatch(1);
    server.draw =
        (request, nth, out) -> {
          Runnable more =
              () -> {
                while (out.isReady() && sent.get() < log.size()) {
                  out.onNext(log.get(sent.getAndIncrement()));
                  if (sent.get() == log.size()) {
                    out.onCompleted();
                  }
                }
                if (sent.get() > 1) {
                  heldBack.countDown();
                }
              };
          out.setOnReadyHandler(more);
        };
    try (var stream = model.stream("a boat")) {
      assertTrue(heldBack.await(10, TimeUnit.SECONDS));
      // A further call makes a round trip over the same connection, so what flows has flown.
      for (int i = 0; i < 20; i++) {
        client.cancel("gen_1");
      }
      assertTrue(sent.get() < log.size() / 2, "sent " + sent.get() + " of " + log.size());
      assertEquals(images, names(stream).size());
    }
  }

  /** The largest image that the API carries arrives whole. */
  @Test
  void largestImage() {
    byte[] data = Events.picture(Image.MAX_BYTES, 4);
    server.draws(Events.log(Events.complete(0, data), Events.result(data)));
    assertEquals(Image.MAX_BYTES, model.generate("a boat").image().bytes().size());
  }

  /** A message of 64 MiB is received, whatever the defaults of gRPC are. */
  @Test
  void largestMessage() {
    byte[] data = Events.picture(Image.MAX_BYTES, 4);
    server.draws(
        Events.log(Events.opening(0, data), Events.chunk(0, 0, 0, data), Events.result(data)));
    assertTrue(model.generate("a boat").image().hasBytes());
  }

  /** Two threads may wait, one for events and one for the result. */
  @Test
  void twoReaders() throws Exception {
    server.draws(LOG);
    try (var stream = model.stream("a boat")) {
      var result = CompletableFuture.supplyAsync(stream::result);
      assertEquals(3, names(stream).size());
      assertArrayEquals(ONE, result.get().image().bytes().toByteArray());
    }
  }

  private static final class Collecting implements Flow.Subscriber<ImageEvent> {
    private final BlockingQueue<Object> told = new LinkedBlockingQueue<>();
    private Flow.Subscription subscription;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(ImageEvent event) {
      told.add(event);
    }

    @Override
    public void onError(Throwable error) {
      told.add(error);
    }

    @Override
    public void onComplete() {
      told.add("complete");
    }

    Object next() throws InterruptedException {
      return told.poll(10, TimeUnit.SECONDS);
    }
  }

  /** A subscriber gets what it asks for and no more, then the end. */
  @Test
  void aSubscriberGetsWhatItAsksFor() throws Exception {
    server.draws(LOG);
    var reader = new Collecting();
    var stream = model.stream("a boat");
    stream.subscribe(reader);
    reader.subscription.request(1);
    assertEquals(ImageEvent.Started.class, reader.next().getClass());
    assertArrayEquals(
        ONE, stream.resultAsync().get(10, TimeUnit.SECONDS).image().bytes().toByteArray());
    assertTrue(reader.told.isEmpty());
    reader.subscription.request(Long.MAX_VALUE);
    assertEquals(ImageEvent.Preview.class, reader.next().getClass());
    assertEquals(ImageEvent.Complete.class, reader.next().getClass());
    assertEquals("complete", reader.next());
    var second = new Collecting();
    stream.subscribe(second);
    assertEquals(IllegalStateException.class, second.next().getClass());
  }

  /** A failed generation is the subscriber's error, and asking for nothing is its mistake. */
  @Test
  void errorsOfASubscriber() throws Exception {
    server.draw =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.INTERNAL, "PROVIDER_ERROR");
        };
    var reader = new Collecting();
    model.stream("a boat").subscribe(reader);
    assertEquals(ImageGenException.class, reader.next().getClass());
    server.draw = (request, nth, out) -> out.onNext(Events.started());
    var wrong = new Collecting();
    model.stream("a boat").subscribe(wrong);
    wrong.subscription.request(1);
    assertEquals(ImageEvent.Started.class, wrong.next().getClass());
    wrong.subscription.request(0);
    assertEquals(IllegalArgumentException.class, wrong.next().getClass());
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  /** Cancelling the subscription leaves the generation, and nothing more is told. */
  @Test
  void aCancelledSubscriptionLeaves() throws Exception {
    server.draw = (request, nth, out) -> out.onNext(Events.started());
    var reader = new Collecting();
    model.stream("a boat").subscribe(reader);
    reader.subscription.request(5);
    assertEquals(ImageEvent.Started.class, reader.next().getClass());
    reader.subscription.cancel();
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
    assertTrue(reader.told.isEmpty());
  }

  /** The asynchronous forms end with the error itself, unwrapped. */
  @Test
  void asynchronousForms() throws Exception {
    server.draws(LOG);
    assertTrue(model.generateAsync("a boat").get(10, TimeUnit.SECONDS).image().hasBytes());
    server.draw =
        (request, nth, out) -> {
          throw FakeServer.says(Status.Code.INTERNAL, "PROVIDER_ERROR");
        };
    var failed = new CompletableFuture<Throwable>();
    model.generateAsync("a boat").whenComplete((result, error) -> failed.complete(error));
    assertEquals(ImageGenException.class, failed.get(10, TimeUnit.SECONDS).getClass());
    assertFalse(failed.isCompletedExceptionally());
  }
}
