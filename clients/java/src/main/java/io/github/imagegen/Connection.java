package io.github.imagegen;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The way to a server: one channel, with the token, and what has to end with it. */
final class Connection {
  private static final int HEADROOM_BYTES = 1024 * 1024; // facts and framing around an image
  private static final long CLOSE_MS = 1000; // for what the server is to be told yet
  private static final long GOODBYE_MS = 100; // for calls whose end is on its way

  private final String address;
  private final Duration timeout;
  private final List<Integer> delays;
  private final ManagedChannel managed;
  private final Channel channel;
  private final Set<Generation> generations = ConcurrentHashMap.newKeySet();
  private final Set<CompletableFuture<?>> waiting = ConcurrentHashMap.newKeySet();
  private final Set<CompletableFuture<?>> background = ConcurrentHashMap.newKeySet();
  private boolean closed;

  /**
   * Decides where to connect and how; nothing is sent yet.
   *
   * @param given "host:port" or a gRPC target; null = the environment's, or the default
   * @param credentials null = clear text
   * @param token null = none
   * @param timeout null = none
   * @param delays of {@link Backoff}
   * @param connectLimit of {@link ConnectLimit}
   */
  Connection(
      String given,
      ChannelCredentials credentials,
      String token,
      Duration timeout,
      List<Integer> delays,
      Duration connectLimit) {
    address = Address.resolve(given, System.getenv(Address.VARIABLE));
    this.timeout = timeout;
    this.delays = delays;
    // With call credentials around it clear text is still clear text.
    boolean clear =
        credentials == null
            || credentials.withoutBearerTokens() instanceof InsecureChannelCredentials;
    boolean loopback = Address.isLoopback(address);
    if (token != null && clear && !loopback) {
      throw new IllegalArgumentException(
          "a token is sent over TLS or to this machine only, and "
              + address
              + " is neither: use tls()");
    }
    var builder =
        Grpc.newChannelBuilder(
                address, credentials == null ? InsecureChannelCredentials.create() : credentials)
            .userAgent("imagegen-java/" + Version.current())
            .maxInboundMessageSize(Image.MAX_BYTES + HEADROOM_BYTES)
            // Only while a call runs: a stock server ends connections that ping for nothing.
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .keepAliveWithoutCalls(false)
            .disableServiceConfigLookUp()
            .defaultServiceConfig(ServiceConfig.ofFreeMethods(connectLimit))
            .enableRetry()
            // What is larger than these would not be tried again.
            .perRpcBufferLimit(Long.MAX_VALUE)
            .retryBufferSize(Long.MAX_VALUE);
    if (loopback) {
      // A proxy is no way to one's own machine, and must not see a token sent in clear text.
      builder.proxyDetector(target -> null);
    }
    managed = builder.build();
    channel = token == null ? managed : ClientInterceptors.intercept(managed, bearer(token));
  }

  private static io.grpc.ClientInterceptor bearer(String token) {
    var headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    return MetadataUtils.newAttachHeadersInterceptor(headers);
  }

  String address() {
    return address;
  }

  Channel channel() {
    return channel;
  }

  Backoff newBackoff() {
    return new Backoff(delays);
  }

  /** For a call: its own limit, else the client's, else none. */
  Duration timeout(Duration given) {
    return given == null ? timeout : given;
  }

  /** Lets {@code generation} be left when the connection is closed. */
  synchronized void track(Generation generation) {
    checkOpen();
    generations.add(generation);
  }

  /** Lets {@code answer} fail when the connection is closed. */
  synchronized void track(CompletableFuture<?> answer) {
    // What is done in the background is what closing waits for.
    if (!closed) {
      waiting.add(answer);
    }
  }

  void untrack(Generation generation) {
    generations.remove(generation);
  }

  void untrack(CompletableFuture<?> answer) {
    waiting.remove(answer);
  }

  /** Something that nobody need wait for; closing the connection gives it a moment to end. */
  void inBackground(CompletableFuture<?> work) {
    background.add(work);
    work.whenComplete((done, error) -> background.remove(work));
  }

  synchronized void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the client is closed");
    }
  }

  /** Ends every call and the connection. More than once is fine. */
  void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    var calls = Set.copyOf(waiting);
    generations.forEach(generation -> generation.leave("the client was closed"));
    boolean interrupted = false;
    try {
      CompletableFuture.allOf(background.toArray(CompletableFuture[]::new))
          .get(CLOSE_MS, TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException untold) {
      // The server could not be told; there is nobody left to say so to.
    } catch (InterruptedException hurried) {
      interrupted = true;
    }
    calls.forEach(
        call ->
            call.completeExceptionally(
                ImageGenException.cancelled("the client was closed").free()));
    managed.shutdown();
    try {
      managed.awaitTermination(interrupted ? 0 : GOODBYE_MS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException hurried) {
      interrupted = true;
    }
    managed.shutdownNow();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
