package io.github.imagegen;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;

/** Calls with one answer, all of them free; and how this client waits for anything. */
final class Rpc {
  private Rpc() {}

  /** Asks once. Whatever ends the future ends the call. */
  static <Q, R> CompletableFuture<R> unary(
      Connection connection, MethodDescriptor<Q, R> method, Q request, Deadline deadline) {
    var call = connection.channel().newCall(method, options(deadline));
    var answer = new CompletableFuture<R>();
    call.start(new Answer<>(answer), new Metadata());
    call.request(2);
    send(call, request);
    connection.track(answer);
    answer.whenComplete(
        (message, error) -> {
          connection.untrack(answer);
          if (error != null) {
            call.cancel("nobody waits for the answer any more", null);
          }
        });
    return answer;
  }

  /** Begins the sending half of a call that has one request. */
  static <Q> void send(ClientCall<Q, ?> call, Q request) {
    try {
      call.sendMessage(request);
      call.halfClose();
    } catch (RuntimeException | Error broken) {
      call.cancel("the request could not be sent", broken);
      throw broken;
    }
  }

  static CallOptions options(Deadline deadline) {
    return deadline == null ? CallOptions.DEFAULT : CallOptions.DEFAULT.withDeadline(deadline);
  }

  /** From now on; null = never. */
  static Deadline deadline(Duration limit) {
    if (limit == null) {
      return null;
    }
    // What a long cannot hold is as good as never.
    return limit.toSeconds() > Integer.MAX_VALUE
        ? null
        : Deadline.after(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  /** A future of its own that ends as {@code source} does; ending it leaves the source alone. */
  static <T> CompletableFuture<T> relay(CompletableFuture<T> source) {
    var relay = new CompletableFuture<T>();
    source.whenComplete((value, error) -> settle(relay, value, error));
    return relay;
  }

  /** What {@code change} makes of the answer; whatever ends this future ends the call. */
  static <R, T> CompletableFuture<T> map(CompletableFuture<R> answer, Function<R, T> change) {
    return chain(steps -> steps.hold(answer).thenApply(change));
  }

  /** Several steps as one future; whatever ends it ends the step at hand. */
  static <T> CompletableFuture<T> chain(Function<Chain, CompletableFuture<T>> begin) {
    var steps = new Chain();
    var whole = new CompletableFuture<T>();
    whole.whenComplete((value, error) -> steps.stop());
    begin.apply(steps).whenComplete((value, error) -> settle(whole, value, free(error)));
    return whole;
  }

  /** What something free failed with, also where this client itself found the fault. */
  static Throwable free(Throwable error) {
    return unwrapped(error) instanceof ImageGenException failure && failure.getCause() == null
        ? failure.free()
        : error;
  }

  private static <T> void settle(CompletableFuture<T> future, T value, Throwable error) {
    if (error == null) {
      future.complete(value);
    } else {
      future.completeExceptionally(unwrapped(error));
    }
  }

  /** The steps of something that takes several calls. */
  static final class Chain {
    private CompletableFuture<?> current;
    private boolean stopped;

    <Q, R> CompletableFuture<R> call(
        Connection connection, MethodDescriptor<Q, R> method, Q request, Deadline deadline) {
      synchronized (this) {
        if (stopped) {
          return CompletableFuture.failedFuture(
              ImageGenException.cancelled("the call was stopped on this side"));
        }
      }
      return hold(unary(connection, method, request, deadline));
    }

    /** Waits, but not beyond the deadline. */
    CompletableFuture<Void> delay(Duration wait, Deadline deadline) {
      long nanos = wait.toNanos();
      if (deadline != null) {
        nanos = Math.max(0, Math.min(nanos, deadline.timeRemaining(TimeUnit.NANOSECONDS)));
      }
      var waiting = new CompletableFuture<Void>();
      waiting.completeOnTimeout(null, nanos, TimeUnit.NANOSECONDS);
      return hold(waiting);
    }

    <T> CompletableFuture<T> hold(CompletableFuture<T> step) {
      boolean late;
      synchronized (this) {
        current = step;
        late = stopped;
      }
      if (late) {
        step.cancel(false);
      }
      return step;
    }

    private void stop() {
      CompletableFuture<?> step;
      synchronized (this) {
        stopped = true;
        step = current;
      }
      if (step != null) {
        step.cancel(false);
      }
    }
  }

  /** Runs something that shall not end with the context of whoever began it. */
  static <T> T apart(Supplier<T> work) {
    Context before = Context.ROOT.attach();
    try {
      return work.get();
    } finally {
      Context.ROOT.detach(before);
    }
  }

  /**
   * Waits for something that is free. An interrupt cancels it, and is kept for the caller to see.
   */
  static <T> T await(CompletableFuture<T> future) {
    try {
      return future.get();
    } catch (InterruptedException interrupted) {
      future.cancel(false);
      Thread.currentThread().interrupt();
      throw ImageGenException.cancelled("the thread that waited was interrupted").free();
    } catch (CancellationException cancelled) {
      throw ImageGenException.cancelled("the call was stopped on this side").free();
    } catch (ExecutionException failed) {
      throw thrownHere(failed.getCause());
    }
  }

  /** What a stage failed with, without the wrapping of the stages before it. */
  static Throwable unwrapped(Throwable error) {
    return error instanceof CompletionException && error.getCause() != null
        ? error.getCause()
        : error;
  }

  static RuntimeException thrownHere(Throwable error) {
    if (error instanceof ImageGenException failure) {
      return failure.here();
    } else if (error instanceof Error fault) {
      throw fault;
    }
    return error instanceof RuntimeException fault ? fault : new IllegalStateException(error);
  }

  private static final class Answer<R> extends ClientCall.Listener<R> {
    private final CompletableFuture<R> answer;
    private Metadata headers;
    private R message;

    Answer(CompletableFuture<R> answer) {
      this.answer = answer;
    }

    @Override
    public void onHeaders(Metadata received) {
      headers = received;
    }

    @Override
    public void onMessage(R received) {
      message = received;
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      if (!status.isOk()) {
        answer.completeExceptionally(ErrorFacts.read(status, trailers, headers, true));
      } else if (message == null) {
        answer.completeExceptionally(
            ImageGenException.invalidResponse("the server gave no answer").free());
      } else {
        answer.complete(message);
      }
    }
  }
}
