package io.github.imagegen;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.CancelResponse;
import io.github.imagegen.v1.Model;
import io.github.imagegen.v1.ResumeRequest;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/**
 * A connection to an imagegen server. It connects on first use, may be shared by threads, and is to
 * be closed.
 *
 * <p>What costs nothing is tried again when the server cannot be reached for a moment. What may
 * cost money is never sent again by the client, unless it is resumable: then under the same id.
 *
 * <p>A call throws {@link IllegalArgumentException} or {@link IllegalStateException} for what this
 * client sees to be wrong before anything is sent, and {@link ImageGenException} for anything that
 * fails afterwards. A thread that is interrupted while it waits leaves the call, throws that with
 * CANCELLED, and stays interrupted.
 */
public final class ImageGenClient implements AutoCloseable {
  private final Connection connection;

  private ImageGenClient(Builder builder) {
    connection =
        new Connection(
            builder.address,
            builder.credentials,
            builder.token,
            builder.timeout,
            builder.delays,
            builder.connectLimit);
  }

  /**
   * Connects in clear text to the server that the environment variable IMAGEGEN_ADDRESS names, else
   * to 127.0.0.1:50051.
   *
   * @return a client
   */
  public static ImageGenClient connect() {
    return builder().build();
  }

  /**
   * Connects in clear text.
   *
   * @param address "host:port", or a gRPC target that begins with its scheme
   * @return a client
   * @throws IllegalArgumentException the address is a URL or has no port
   */
  public static ImageGenClient connect(String address) {
    return builder().address(address).build();
  }

  /**
   * Begins with clear text, no token and no time limit.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Where the server is.
   *
   * @return the address
   */
  public String address() {
    return connection.address();
  }

  /**
   * The connection itself, with the token, for generated stubs: {@code
   * ImageServiceGrpc.newBlockingStub(client.channel())}.
   *
   * @return the channel; it is closed with the client
   */
  public Channel channel() {
    return connection.channel();
  }

  /**
   * Binds a model.
   *
   * @param model "provider/model", or an alias of the server's configuration
   * @return the model
   */
  public ImageModel image(String model) {
    return image(model, CallSettings.none());
  }

  /**
   * Binds a model with what holds for all of its calls.
   *
   * @param model "provider/model", or an alias of the server's configuration
   * @param settings options, params and the rest
   * @return the model
   * @throws IllegalArgumentException the settings have a request id: that is the name of one call
   */
  public ImageModel image(String model, CallSettings settings) {
    if (settings.requestId != null) {
      throw new IllegalArgumentException(
          "a request id is the name of one call: give it to the call, not to the model");
    }
    return new ImageModel(connection, Objects.requireNonNull(model, "model"), settings);
  }

  /**
   * Reads a generation that runs or has ended, from its start, to the same end. Where the
   * connection breaks it is read on. Leaving this stream does not stop the generation, {@link
   * ImageStream#abort} does.
   *
   * @param generationId the server's id for it
   * @return the stream; close it
   */
  public ImageStream resume(String generationId) {
    return resume(ResumeRequest.newBuilder().setGenerationId(generationId).build());
  }

  /**
   * As {@link #resume(String)}, by either id and from any place.
   *
   * @param request which one; with {@code after_sequence} of another stream's {@link
   *     ImageStream#lastSequence} it goes on there, and images whose beginning was before that are
   *     in the result without bytes: {@link #read} fetches them
   * @return the stream; close it
   */
  public ImageStream resume(ResumeRequest request) {
    return resume(request, null);
  }

  /**
   * As {@link #resume(ResumeRequest)}, with a time limit of its own.
   *
   * @param request which one, and from where
   * @param timeout until reading is given up; null: that of the client
   * @return the stream; close it
   */
  public ImageStream resume(ResumeRequest request, Duration timeout) {
    checkNamed(request.getGenerationId(), request.getRequestId());
    var generation =
        new Generation(
            connection,
            new StreamRequest.Resume(request),
            limit(timeout),
            new Lifetime(true, true, false));
    return new ImageStream(generation.begin());
  }

  /**
   * Stops a generation, whoever reads it. Its finished images are kept; the provider may bill what
   * it has begun.
   *
   * @param generationId the server's id for it
   * @return true: it was running and is stopped; false: it had ended already
   * @throws ImageGenException there is no such generation, or the server could not be told
   */
  public boolean cancel(String generationId) {
    return cancel(CancelRequest.newBuilder().setGenerationId(generationId).build());
  }

  /**
   * As {@link #cancel(String)}, by either id.
   *
   * @param request which one
   * @return true: it was running and is stopped; false: it had ended already
   * @throws ImageGenException there is no such generation, or the server could not be told
   */
  public boolean cancel(CancelRequest request) {
    return Rpc.await(cancelAsync(request));
  }

  /**
   * As {@link #cancel(CancelRequest)}, without waiting.
   *
   * @param request which one
   * @return whether it was running
   */
  public CompletableFuture<Boolean> cancelAsync(CancelRequest request) {
    checkNamed(request.getGenerationId(), request.getRequestId());
    connection.checkOpen();
    return Rpc.map(Generation.cancel(connection, request, limit(null)), CancelResponse::getStopped);
  }

  /**
   * Fetches the bytes of an image that was delivered by reference; one that has its bytes is
   * answered as it is. They are checked against size and SHA-256. A read that breaks off goes on
   * once where it broke.
   *
   * @param <T> what kind of image
   * @param image with an id
   * @return the image with its bytes
   * @throws ImageGenException it is gone, or the bytes are not those that were told of
   * @throws IllegalArgumentException it has neither bytes nor an id
   */
  public <T extends Image> T read(T image) {
    return Rpc.await(readAsync(image));
  }

  /**
   * As {@link #read(Image)}, without waiting.
   *
   * @param <T> what kind of image
   * @param image with an id
   * @return the image with its bytes
   */
  public <T extends Image> CompletableFuture<T> readAsync(T image) {
    connection.checkOpen();
    return ImageReader.read(connection, image, limit(null));
  }

  /**
   * Gives an image to the server once, for as many edits as wanted. Only what it does not have yet
   * is sent.
   *
   * @param image with bytes
   * @return a reference without bytes, good in edits until its {@code expireTime}
   * @throws ImageGenException it could not be given, or is no image
   * @throws IllegalArgumentException it has no bytes
   */
  public Image upload(Image image) {
    return Rpc.await(uploadAsync(image));
  }

  /**
   * As {@link #upload}, without waiting.
   *
   * @param image with bytes
   * @return the reference
   */
  public CompletableFuture<Image> uploadAsync(Image image) {
    connection.checkOpen();
    return ImageUpload.upload(connection, image, limit(null));
  }

  /**
   * All models that the caller may use.
   *
   * @return the models, and which providers could not be asked
   * @throws ImageGenException the server could not be asked
   */
  public ModelList models() {
    return models("");
  }

  /**
   * The models of one provider.
   *
   * @param provider its name in the server's configuration; empty: all of them
   * @return the models, and which providers could not be asked
   * @throws ImageGenException the server could not be asked
   */
  public ModelList models(String provider) {
    return Rpc.await(modelsAsync(provider));
  }

  /**
   * As {@link #models(String)}, without waiting.
   *
   * @param provider its name in the server's configuration; empty: all of them
   * @return the models
   */
  public CompletableFuture<ModelList> modelsAsync(String provider) {
    connection.checkOpen();
    return ModelList.all(connection, provider, limit(null));
  }

  /**
   * One model, or the first candidate of an alias.
   *
   * @param name "provider/model" or an alias
   * @return the model
   * @throws ImageGenException there is none, or the server could not be asked
   */
  public Model model(String name) {
    return Rpc.await(modelAsync(name));
  }

  /**
   * As {@link #model}, without waiting.
   *
   * @param name "provider/model" or an alias
   * @return the model
   */
  public CompletableFuture<Model> modelAsync(String name) {
    connection.checkOpen();
    return ModelList.model(connection, name, limit(null));
  }

  /**
   * Ends every call and the connection. Streams are left; where that means that the server must be
   * told to stop one, this waits for it for up to a second. More than once is fine.
   */
  @Override
  public void close() {
    connection.close();
  }

  private Duration limit(Duration given) {
    return connection.timeout(given == null ? null : CallSettings.checkTimeout(given));
  }

  private static void checkNamed(String generationId, String requestId) {
    if (generationId.isEmpty() && requestId.isEmpty()) {
      throw new IllegalArgumentException("say which generation: by generation id or request id");
    }
  }

  /** Collects where to connect and how. */
  public static final class Builder {
    private String address;
    private ChannelCredentials credentials;
    private String token;
    private Duration timeout;
    private List<Integer> delays = Backoff.DELAYS;
    private Duration connectLimit = ConnectLimit.LIMIT;

    private Builder() {}

    /**
     * Where the server is.
     *
     * @param value "host:port", or a gRPC target that begins with its scheme; unset: that of the
     *     environment variable IMAGEGEN_ADDRESS, else "127.0.0.1:50051"
     * @return this
     */
    public Builder address(String value) {
      address = value;
      return this;
    }

    /**
     * Speaks TLS and trusts what this Java trusts.
     *
     * @return this
     */
    public Builder tls() {
      return tls(TlsChannelCredentials.create());
    }

    /**
     * Speaks TLS with roots or a client certificate of your own.
     *
     * @param value such as {@code TlsChannelCredentials.newBuilder().trustManager(file).build()}
     * @return this
     */
    public Builder tls(ChannelCredentials value) {
      credentials = Objects.requireNonNull(value, "credentials"); // null is no wish for clear text
      return this;
    }

    /**
     * Sent with every call as {@code authorization: Bearer}, over TLS or to this machine only.
     *
     * @param value visible ASCII characters; null or empty: none
     * @return this
     * @throws IllegalArgumentException it has other characters
     */
    public Builder token(String value) {
      token = value == null || value.isEmpty() ? null : value;
      if (token != null && !token.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
        throw new IllegalArgumentException("a token is of visible ASCII characters");
      }
      return this;
    }

    /**
     * The time limit of each call that has none of its own.
     *
     * @param value more than nothing; unset: as long as it takes
     * @return this
     */
    public Builder timeout(Duration value) {
      timeout = CallSettings.checkTimeout(value);
      return this;
    }

    /** For tests: how long to wait before each try after a break, in milliseconds. */
    Builder delays(List<Integer> value) {
      delays = value;
      return this;
    }

    /** For tests: how long connecting to one address may take. */
    Builder connectLimit(Duration value) {
      connectLimit = value;
      return this;
    }

    /**
     * The client. Nothing is sent yet.
     *
     * @return a client
     * @throws IllegalArgumentException the address is a URL or has no port, or the token would
     *     travel in clear text beyond this machine
     */
    public ImageGenClient build() {
      return new ImageGenClient(this);
    }
  }
}
