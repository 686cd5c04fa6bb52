package io.github.imagegen;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.lang.ref.WeakReference;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;

/**
 * A generation that runs. Iterate it for events, ask for the {@link #result} for the whole, in
 * either order or both; or {@link #subscribe} to the events without blocking a thread.
 *
 * <p>{@link #abort} stops it. So does leaving it ({@link #close}, an interrupt of a thread that
 * waits for it, a cancelled subscription or future, dropping the last reference to it), unless it
 * was meant to go on without its reader: one with a {@code requestId} of yours or {@code
 * ON_DISCONNECT_DETACH}, or one that was resumed by its id.
 *
 * <p>What nobody reads is not fetched, but for one event ahead and a few messages. Events that
 * {@code result} passes by are kept for an iteration after it. A stream may be used by several
 * threads; each event goes to one of them.
 */
@SuppressWarnings("IterableAndIterator") // it can be read once, and says so
public final class ImageStream
    implements Iterable<ImageEvent>,
        Iterator<ImageEvent>,
        Flow.Publisher<ImageEvent>,
        AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final Generation generation;
  private final EventQueue queue;
  private boolean subscribed;

  ImageStream(Generation generation) {
    this.generation = generation;
    queue = generation.queue();
    // Nobody will ever read on, so nobody shall pay on. Must not hold on to this stream, as a
    // generation may do; one that runs is held by its call.
    var running = new WeakReference<>(generation);
    CLEANER.register(this, () -> leaveDropped(running));
  }

  private static void leaveDropped(WeakReference<Generation> running) {
    Generation generation = running.get();
    if (generation != null) {
      generation.leave("the stream was dropped");
    }
  }

  /**
   * The server's id for it, for {@code resume}, {@code cancel} and support.
   *
   * @return the id; empty until something was received
   */
  public String generationId() {
    return generation.generationId();
  }

  /**
   * The id of the wish, good for the same.
   *
   * @return the id; empty if none was sent and nothing was received yet
   */
  public String requestId() {
    return generation.requestId();
  }

  /**
   * Where the generation's log was read to: {@code after_sequence} for a {@code resume} that goes
   * on from here.
   *
   * @return the sequence of the event handed out last or, once the generation has ended, of the
   *     last message
   */
  public long lastSequence() {
    return queue.lastSequence();
  }

  /**
   * This stream itself: a second iteration goes on where the first one stopped.
   *
   * @return this
   */
  @Override
  public Iterator<ImageEvent> iterator() {
    return this;
  }

  /**
   * Waits for the next event or the end.
   *
   * @return false: the result is there
   * @throws ImageGenException the generation failed or was stopped, or this thread was interrupted
   */
  @Override
  public boolean hasNext() {
    try {
      if (queue.awaitNext()) {
        return true;
      }
    } catch (InterruptedException interrupted) {
      throw interrupted();
    } catch (ExecutionException impossible) {
      throw new AssertionError(impossible);
    } finally {
      Reference.reachabilityFence(this);
    }
    ImageGenException error = queue.error();
    if (error != null) {
      throw error.here();
    }
    return false;
  }

  private ImageGenException interrupted() {
    generation.leave("the thread that waited was interrupted");
    Thread.currentThread().interrupt();
    return ImageGenException.cancelled("the thread that waited was interrupted")
        .withIds(generationId(), requestId());
  }

  /**
   * The next event.
   *
   * @return the event
   * @throws ImageGenException as in {@link #hasNext}
   * @throws NoSuchElementException the result is there
   */
  @Override
  public ImageEvent next() {
    while (hasNext()) {
      ImageEvent event = take();
      if (event != null) {
        return event;
      }
    }
    throw new NoSuchElementException("the result is there");
  }

  /** The next event if one is here, else null; makes room for more. */
  ImageEvent take() {
    ImageEvent event = queue.poll();
    if (event != null) {
      generation.pull();
    }
    return event;
  }

  /**
   * Waits for the end; asked again, answers the same again.
   *
   * @return what came of it
   * @throws ImageGenException the generation failed or was stopped, or this thread was interrupted
   */
  public ImageResult result() {
    readOn();
    try {
      return queue.outcome().get();
    } catch (InterruptedException interrupted) {
      throw interrupted();
    } catch (ExecutionException failed) {
      throw Rpc.thrownHere(failed.getCause());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * As {@link #result}, without waiting.
   *
   * @return what comes of it, or an {@link ImageGenException}; ending the future in any other way,
   *     such as by cancelling it or {@code orTimeout}, leaves the stream
   */
  public CompletableFuture<ImageResult> resultAsync() {
    readOn();
    return leaving(Rpc.relay(queue.outcome()));
  }

  private CompletableFuture<ImageResult> leaving(CompletableFuture<ImageResult> future) {
    // The future holds this stream for as long as somebody waits for it.
    future.whenComplete(
        (result, error) -> {
          if (error != null) {
            close();
          }
        });
    generation.hold(this);
    return future;
  }

  private void readOn() {
    queue.readOn();
    generation.pull();
  }

  /** As {@link #result}, for somebody who will never ask for the events. */
  ImageResult resultAlone() {
    queue.readOnWithoutEvents();
    return result();
  }

  /** As {@link #resultAsync}, for somebody who will never ask for the events. */
  CompletableFuture<ImageResult> resultAloneAsync() {
    queue.readOnWithoutEvents();
    return resultAsync();
  }

  /**
   * Hands the events to {@code subscriber} as it asks for them, on threads of gRPC; cancelling the
   * subscription leaves the stream, and so does a subscriber that throws: what it threw goes to the
   * thread's handler of uncaught exceptions. One subscriber is taken; what it reads is not
   * iterated.
   *
   * @param subscriber is told {@code onError} with an {@link ImageGenException} if the generation
   *     fails or is stopped, and an {@link IllegalStateException} if it is not the first
   */
  @Override
  public void subscribe(Flow.Subscriber<? super ImageEvent> subscriber) {
    boolean first;
    synchronized (this) {
      first = !subscribed;
      subscribed = true;
    }
    new EventSubscription(this, queue, subscriber).begin(first);
    if (first) {
      generation.hold(this);
    }
  }

  /**
   * Stops the generation at once. No event follows. The provider may bill what it has begun. Does
   * nothing once the result is there. Where the generation would run on without its reader, the
   * server is told to stop it.
   *
   * @throws ImageGenException the server could not be told, so the generation may run on
   */
  public void abort() {
    Rpc.await(abortAsync());
  }

  /**
   * As {@link #abort}, without waiting.
   *
   * @return done when the server has been told
   */
  public CompletableFuture<Void> abortAsync() {
    return Rpc.relay(generation.stop());
  }

  /**
   * Leaves the stream: reads no more and, unless it was meant to go on without its reader, stops
   * the generation. Does not wait for the server to hear of it.
   */
  @Override
  public void close() {
    generation.leave("the stream was left");
  }
}
