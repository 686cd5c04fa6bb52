package io.github.imagegen;

import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/**
 * The events of a generation between the call that brings them and whoever reads them, and what the
 * generation came to. At most one whole event waits here unless somebody waits for the result.
 */
final class EventQueue {
  /** An event, and the sequence that the log had come to with it. */
  private record Entry(ImageEvent event, long sequence) {}

  private final ArrayDeque<Entry> events = new ArrayDeque<>();
  private final CompletableFuture<ImageResult> outcome = new CompletableFuture<>();
  private ImageResult result;
  private ImageGenException error;
  private boolean ended;
  private boolean readingOn;
  private boolean keeping = true;
  private boolean left;
  private long seen;
  private long handedOut;
  private CompletableFuture<Void> news = new CompletableFuture<>();
  private Runnable reader = () -> {};

  /** Begins behind {@code sequence} of the generation's log. */
  EventQueue(long sequence) {
    seen = sequence;
    handedOut = sequence;
  }

  // The side of the call.

  /** Whether more is to be taken in. */
  synchronized boolean wants() {
    return !ended && (readingOn || events.isEmpty());
  }

  /** The log was received up to here. */
  synchronized void saw(long sequence) {
    seen = Math.max(seen, sequence);
  }

  /** Up to where the log was received. */
  synchronized long seen() {
    return seen;
  }

  void add(ImageEvent event) {
    synchronized (this) {
      if (ended || !keeping) {
        return;
      }
      events.add(new Entry(event, seen));
    }
    wakeReaders();
  }

  /** The generation came to its end. What was told first stands. */
  void finish(ImageResult made) {
    if (end(made, null)) {
      outcome.complete(made);
    }
  }

  /** As the other, for a failure. Events that came before it are still to be read. */
  void finish(ImageGenException failure) {
    if (end(null, failure)) {
      outcome.completeExceptionally(failure);
    }
  }

  /** The reader goes away: nothing more is to be read. */
  void leave(ImageGenException why) {
    synchronized (this) {
      if (ended) {
        return;
      }
      left = true;
      events.clear();
    }
    finish(why);
  }

  private boolean end(ImageResult made, ImageGenException failure) {
    synchronized (this) {
      if (ended) {
        return false;
      }
      ended = true;
      result = made;
      error = failure;
    }
    wakeReaders();
    return true;
  }

  // The side of the reader.

  /** What it came to. */
  CompletableFuture<ImageResult> outcome() {
    return outcome;
  }

  /** From now on everything is taken in; events that nobody has read yet are kept. */
  synchronized void readOn() {
    readingOn = true;
  }

  /** As {@link #readOn}, for somebody who will never ask for the events. */
  synchronized void readOnWithoutEvents() {
    readingOn = true;
    keeping = false;
  }

  /** Waits until there is an event or an end; whether there is an event. */
  boolean awaitNext() throws InterruptedException, ExecutionException {
    while (true) {
      CompletableFuture<Void> waiting;
      synchronized (this) {
        if (!events.isEmpty() || ended) {
          return !events.isEmpty();
        }
        waiting = news;
      }
      waiting.get(); // parks outside of the lock, so that virtual threads may wait here
    }
  }

  /** The next event; null = none is here. */
  synchronized ImageEvent poll() {
    Entry next = events.poll();
    if (next == null) {
      return null;
    }
    handedOut = next.sequence;
    return next.event;
  }

  /** Whether the end is there and all events were read. */
  synchronized boolean isExhausted() {
    return ended && events.isEmpty();
  }

  /** Why it failed; null = it did not, or not yet. */
  synchronized ImageGenException error() {
    return error;
  }

  /**
   * Where another reader goes on without losing anything: behind the event that was handed out last
   * or, once the generation has come to an end of its own, behind everything.
   */
  synchronized long lastSequence() {
    return (result != null || error != null) && !left ? seen : handedOut;
  }

  /** Runs whenever there is something new. */
  void onNews(Runnable task) {
    synchronized (this) {
      reader = task;
    }
    task.run();
  }

  private void wakeReaders() {
    Runnable task;
    CompletableFuture<Void> waiting;
    synchronized (this) {
      task = reader;
      waiting = news;
      news = new CompletableFuture<>();
    }
    waiting.complete(null);
    task.run();
  }
}
