package io.github.imagegen;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.CancelResponse;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.ResumeRequest;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.Status;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * The generation behind a stream: its RPC, what is done when that breaks, and how it is stopped.
 * Its own lock guards its state; the queue's may be taken within it, never the other way round.
 */
final class Generation {
  private static final Duration CANCEL_LIMIT = Duration.ofSeconds(10);
  // A call that brought its result ends by itself, but for a server that forgets to.
  private static final long END_MS = 1000;
  // Messages asked for ahead, so that a large image does not wait for its reader at each piece.
  private static final int WINDOW = 4;

  private final Connection connection;
  private final StreamRequest request;
  private final Lifetime lifetime;
  private final Deadline deadline;
  private final Assembler assembler;
  private final EventQueue queue;
  private final Context context = Context.current();
  private final Backoff backoff;
  private String generationId;
  private String requestId;
  private boolean known; // the server has it: it is resumed, not asked for again
  private boolean ended; // the server told the end, so there is nothing to stop
  private boolean broke; // a call before the one at hand; what that one began nobody told
  private boolean lost; // broken for good; who knows its name may come back to it
  private boolean left;
  private Reading current;
  private CompletableFuture<Void> timer;
  private CompletableFuture<Void> cancelling;

  @SuppressWarnings("UnusedVariable") // what it refers to is not collected
  private Object holder;

  /** Prepares to send {@code request}; {@code limit} is the time for all of it, null = none. */
  Generation(Connection connection, StreamRequest request, Duration limit, Lifetime lifetime) {
    this.connection = connection;
    this.request = request;
    this.lifetime = lifetime;
    deadline = Rpc.deadline(limit);
    backoff = connection.newBackoff();
    generationId = request.generationId();
    requestId = request.requestId();
    known = request.isResume();
    long sequence = request.afterSequence();
    queue = new EventQueue(sequence);
    assembler = new Assembler(request.isChunked(), sequence == 0);
  }

  /** Sends it. Refused if the client is closed. */
  Generation begin() {
    connection.track(this);
    try {
      read(request);
    } catch (RuntimeException | Error broken) {
      connection.untrack(this);
      throw broken;
    }
    return this;
  }

  EventQueue queue() {
    return queue;
  }

  synchronized String generationId() {
    return generationId;
  }

  synchronized String requestId() {
    return requestId;
  }

  /** Keeps {@code stream} from being dropped for as long as this runs. */
  synchronized void hold(ImageStream stream) {
    holder = stream;
  }

  /** The reader has room: more is asked for. */
  synchronized void pull() {
    if (current != null) { // null = left before it began
      current.grant(0);
    }
  }

  /** Goes away. What nobody else can know of is stopped at the server, in the background. */
  void leave(String why) {
    end(why);
    queue.leave(ImageGenException.cancelled(why).withIds(generationId(), requestId()));
  }

  /** Ends what may cost money. Comes before the reader is told, whose code may take its time. */
  private void end(String why) {
    Reading call;
    boolean stop;
    synchronized (this) {
      if (left) {
        return;
      }
      left = true;
      call = ended ? null : current;
      stop = lifetime.owned() && !ended && !lost;
      if (timer != null) {
        timer.complete(null); // finds that there is nothing to do any more
      }
    }
    connection.untrack(this);
    if (call != null) {
      call.call.cancel(why, null);
    }
    if (stop) {
      cancelAtServer();
    }
  }

  /** Goes away, and stops the generation also where it would run on without this reader. */
  CompletableFuture<Void> stop() {
    leave("the generation was aborted");
    boolean tell;
    synchronized (this) {
      tell = lifetime.shared() && !ended;
    }
    return tell ? cancelAtServer() : CompletableFuture.completedFuture(null);
  }

  private CompletableFuture<Void> cancelAtServer() {
    synchronized (this) {
      if (cancelling != null) {
        return cancelling;
      }
      var name = CancelRequest.newBuilder();
      if (generationId.isEmpty()) {
        name.setRequestId(requestId);
      } else {
        name.setGenerationId(generationId);
      }
      cancelling =
          Rpc.apart(() -> cancel(connection, name.build(), CANCEL_LIMIT))
              .handle(
                  (told, error) -> {
                    if (error instanceof ImageGenException failure
                        && failure.reason() != ErrorReason.ERROR_REASON_GENERATION_NOT_FOUND) {
                      throw failure;
                    }
                    return null;
                  });
      connection.inBackground(cancelling);
      return cancelling;
    }
  }

  static CompletableFuture<CancelResponse> cancel(
      Connection connection, CancelRequest name, Duration limit) {
    return Rpc.unary(connection, ImageServiceGrpc.getCancelMethod(), name, Rpc.deadline(limit));
  }

  private synchronized void read(StreamRequest asked) {
    if (!left) {
      // A call belongs to the context of its making.
      context.run(
          () -> {
            current = new Reading(asked);
            current.start();
          });
    }
  }

  /** The events of one RPC, or its end. */
  private final class Reading extends ClientCall.Listener<ImageStreamEvent> {
    private final StreamRequest asked;
    private final ClientCall<?, ImageStreamEvent> call;
    private final Runnable send;
    private final CompletableFuture<Boolean> closed = new CompletableFuture<>();
    private Metadata headers;
    private int owed = WINDOW; // messages that may be asked for once the reader has room

    Reading(StreamRequest asked) {
      this.asked = asked;
      var sender = asked.newCall(connection.channel(), Rpc.options(deadline));
      call = sender.call();
      send = sender.send();
    }

    void start() {
      call.start(this, new Metadata());
      grant(0);
      send.run();
    }

    /** Counts messages that were dealt with, and asks for more if there is room for them. */
    void grant(int done) {
      owed += done;
      if (owed > 0 && queue.wants()) {
        call.request(owed);
        owed = 0;
      }
    }

    @Override
    public void onHeaders(Metadata received) {
      headers = received;
      name(
          ErrorFacts.first(headers, ErrorFacts.GENERATION_ID),
          ErrorFacts.first(headers, ErrorFacts.REQUEST_ID));
    }

    @Override
    public void onMessage(ImageStreamEvent event) {
      synchronized (Generation.this) {
        if (left || current != this) {
          return;
        }
        backoff.renew();
      }
      if (event.hasStarted()) {
        name(event.getStarted().getGenerationId(), event.getStarted().getRequestId());
      }
      queue.saw(Integer.toUnsignedLong(event.getSequence()));
      try {
        ImageEvent made = assembler.feed(event);
        if (made != null) {
          queue.add(made);
        }
      } catch (ImageGenException damaged) {
        fail(damaged); // nobody shall pay for more bytes that are not the promised ones
        return;
      }
      if (assembler.result() != null) {
        synchronized (Generation.this) {
          ended = true;
        }
        closed
            .completeOnTimeout(false, END_MS, TimeUnit.MILLISECONDS)
            .thenAccept(inTime -> cancelUnless(inTime));
        queue.finish(assembler.result());
        connection.untrack(Generation.this);
      }
      synchronized (Generation.this) {
        grant(1);
      }
    }

    private void cancelUnless(boolean inTime) {
      if (!inTime) {
        call.cancel("the server did not end the call behind its result", null);
      }
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      closed.complete(true);
      var told =
          status.isOk()
              ? ImageGenException.invalidResponse("the stream ended without a result")
              : ErrorFacts.read(status, trailers, headers, false);
      ImageGenException error;
      Optional<Duration> delay;
      synchronized (Generation.this) {
        if (left || ended || current != this) {
          return;
        }
        error = broke ? told.afterABreak() : told;
        // What a Resume or a repeated wish is refused for says nothing of the generation, and
        // CANCELLED may be said to this reader alone, who took nothing for too long. To stop what
        // has ended does no harm.
        ended =
            error.isFromServer()
                && error.reason() != ErrorReason.ERROR_REASON_CANCELLED
                && !asked.isResume()
                && !broke;
        name(error.generationId(), "");
        delay = ended || !isBreak(error, asked) ? Optional.empty() : backoff.next();
        broke |= delay.isPresent();
        // A caller whose context was cancelled has left, and does not come back.
        lost = delay.isEmpty() && error.isBrokenConnection() && !context.isCancelled();
      }
      if (delay.isPresent()) {
        readOnAfter(delay.get());
      } else {
        fail(error);
      }
    }
  }

  /** Whether the call broke on its way, so that it is worth reading on. */
  private boolean isBreak(ImageGenException error, StreamRequest asked) {
    // A busy server has no place for another reader right now; the generation goes on.
    boolean busy = asked.isResume() && error.reason() == ErrorReason.ERROR_REASON_SERVER_BUSY;
    // An end in good order that brought no result is a proxy's doing too.
    boolean cutShort = error.getCause() == null;
    return lifetime.resumable()
        && (busy || cutShort || error.isBrokenConnection())
        && !context.isCancelled();
  }

  private void readOnAfter(Duration delay) {
    long wait = delay.toNanos();
    if (deadline != null) {
      wait = Math.max(0, Math.min(wait, deadline.timeRemaining(TimeUnit.NANOSECONDS)));
    }
    CompletableFuture<Void> waiting;
    synchronized (this) {
      if (left) {
        return;
      }
      waiting = new CompletableFuture<>();
      timer = waiting;
    }
    waiting.thenRunAsync(() -> read(continuation()));
    waiting.completeOnTimeout(null, wait, TimeUnit.NANOSECONDS);
  }

  /** What reads on: the generation where it broke or, if the server may not have it, the wish. */
  private synchronized StreamRequest continuation() {
    if (!known) {
      return request;
    }
    var rest =
        ResumeRequest.newBuilder()
            .setAfterSequence((int) queue.seen())
            .setDelivery(request.delivery());
    if (generationId.isEmpty()) {
      rest.setRequestId(requestId);
    } else {
      rest.setGenerationId(generationId);
    }
    return new StreamRequest.Resume(rest.build());
  }

  private void fail(ImageGenException error) {
    end("the generation failed");
    queue.finish(error.withIds(generationId(), requestId()));
  }

  private synchronized void name(String generation, String wish) {
    if (!generation.isEmpty()) {
      generationId = generation;
      known = true;
    }
    if (!wish.isEmpty()) {
      requestId = wish;
    }
  }
}
