package io.github.imagegen;

import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;

/** Hands events to a subscriber, one after the other and no more than it asks for. */
final class EventSubscription implements Flow.Subscription {
  private final ImageStream stream;
  private final EventQueue queue;
  private final Flow.Subscriber<? super ImageEvent> subscriber;
  private final AtomicInteger turns = new AtomicInteger();
  private long demand;
  private IllegalArgumentException misuse;
  private boolean done;

  EventSubscription(
      ImageStream stream, EventQueue queue, Flow.Subscriber<? super ImageEvent> subscriber) {
    this.stream = stream;
    this.queue = queue;
    this.subscriber = subscriber;
  }

  void begin(boolean first) {
    if (first) {
      subscriber.onSubscribe(this);
      queue.onNews(this::handOut);
    } else {
      done = true;
      subscriber.onSubscribe(this);
      subscriber.onError(new IllegalStateException("this stream has a subscriber already"));
    }
  }

  @Override
  public void request(long n) {
    synchronized (this) {
      if (done) {
        return;
      }
      if (n <= 0) {
        misuse = new IllegalArgumentException("a subscriber asks for 1 event or more, not " + n);
      } else {
        demand = Long.MAX_VALUE - demand < n ? Long.MAX_VALUE : demand + n;
      }
    }
    handOut();
  }

  @Override
  public void cancel() {
    synchronized (this) {
      if (done) {
        return;
      }
      done = true;
    }
    stream.close();
  }

  /** Whoever comes first works; the others have it go round once more. */
  private void handOut() {
    if (turns.getAndIncrement() == 0) {
      int missed = 1;
      do {
        while (tryHandOutOne()) {
          // As long as there are events and demand.
        }
        missed = turns.addAndGet(-missed);
      } while (missed != 0);
    }
  }

  private boolean tryHandOutOne() {
    try {
      return handOutOne();
    } catch (Throwable fault) {
      // A subscriber that throws has cancelled. Thrown on, this would end in gRPC, which takes it
      // for a broken call, or in whoever closes the client.
      cancel();
      var thread = Thread.currentThread();
      thread.getUncaughtExceptionHandler().uncaughtException(thread, fault);
      return false;
    }
  }

  private boolean handOutOne() {
    IllegalArgumentException wrong;
    boolean wanted;
    synchronized (this) {
      if (done) {
        return false;
      }
      wrong = misuse;
      wanted = demand > 0;
    }
    if (wrong != null) {
      end();
      stream.close();
      subscriber.onError(wrong);
      return false;
    }
    // The end needs no demand.
    if (queue.isExhausted()) {
      end();
      ImageGenException error = queue.error();
      if (error == null) {
        subscriber.onComplete();
      } else {
        subscriber.onError(error);
      }
      return false;
    }
    ImageEvent event = wanted ? stream.take() : null;
    if (event == null) {
      return false;
    }
    synchronized (this) {
      demand = demand == Long.MAX_VALUE ? demand : demand - 1;
    }
    subscriber.onNext(event);
    return true;
  }

  private synchronized void end() {
    done = true;
  }
}
