package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.GenerateRequest;
import java.lang.Thread.UncaughtExceptionHandler;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Subscribers that throw. */
@Timeout(30)
class SubscriberTest {
  private static final CallSettings RESUMABLE = CallSettings.builder().resumable(true).build();

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();
  private final ImageModel model = client.image("p/m");
  private final BlockingQueue<Throwable> uncaught = new LinkedBlockingQueue<>();
  private final UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();

  @BeforeEach
  void watch() {
    Thread.setDefaultUncaughtExceptionHandler((thread, error) -> uncaught.add(error));
    server.draw = (request, nth, out) -> out.onNext(Events.started());
  }

  @AfterEach
  void close() {
    client.close();
    server.close();
    Thread.setDefaultUncaughtExceptionHandler(before);
  }

  private static final class Throwing implements Flow.Subscriber<ImageEvent> {
    private final RuntimeException fault = new IllegalStateException("a fault of the subscriber");
    private final long wanted;
    private Flow.Subscription subscription;

    Throwing(long wanted) {
      this.wanted = wanted;
    }

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
      if (wanted > 0) {
        given.request(wanted);
      }
    }

    @Override
    public void onNext(ImageEvent event) {
      throw fault;
    }

    @Override
    public void onError(Throwable error) {
      throw fault;
    }

    @Override
    public void onComplete() {
      throw fault;
    }
  }

  /** It is left as if it had cancelled, not taken for a line that broke; the fault is shown. */
  @Test
  void aSubscriberThatThrowsLeaves() throws InterruptedException {
    var reader = new Throwing(1);
    model.stream("a boat", RESUMABLE).subscribe(reader);
    assertSame(reader.fault, uncaught.poll(10, TimeUnit.SECONDS));
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
    server.next(GenerateRequest.class);
    assertEquals("gen_1", server.next(CancelRequest.class).getGenerationId());
  }

  /** The same where it throws in the thread that asks for more. */
  @Test
  void aSubscriberThatThrowsWhereItAsks() throws InterruptedException {
    var reader = new Throwing(0);
    var stream = model.stream("a boat");
    assertTrue(stream.hasNext());
    stream.subscribe(reader);
    reader.subscription.request(1);
    assertSame(reader.fault, uncaught.poll(10, TimeUnit.SECONDS));
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  /** What it throws at the end does not keep a client from closing. */
  @Test
  void aSubscriberThatThrowsAtTheEnd() throws InterruptedException {
    var reader = new Throwing(0);
    model.stream("a boat", RESUMABLE).subscribe(reader);
    server.next(GenerateRequest.class);
    client.close();
    assertSame(reader.fault, uncaught.poll(10, TimeUnit.SECONDS));
    server.next(CancelRequest.class);
  }
}
