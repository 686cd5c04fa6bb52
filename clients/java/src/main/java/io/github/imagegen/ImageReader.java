package io.github.imagegen;

import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ReadImageRequest;
import io.github.imagegen.v1.ReadImageResponse;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** Fetches the bytes of an image that the server keeps; goes on once where it was broken off. */
final class ImageReader {
  private static final int WINDOW = 4; // messages asked for ahead

  private final Connection connection;
  private final Image image;
  private final Deadline deadline;
  private final Context context = Context.current();
  private final CompletableFuture<Image> read = new CompletableFuture<>();
  private io.github.imagegen.v1.Image facts;
  private ByteRun run;
  private boolean goneOn;
  private ClientCall<?, ?> current;

  private ImageReader(Connection connection, Image image, Duration limit) {
    this.connection = connection;
    this.image = image;
    deadline = Rpc.deadline(limit);
  }

  /** The image with its bytes; one that has them is answered as it is. */
  static <T extends Image> CompletableFuture<T> read(
      Connection connection, T image, Duration limit) {
    if (image.hasBytes()) {
      return CompletableFuture.completedFuture(image);
    } else if (image.imageId().isEmpty()) {
      throw new IllegalArgumentException(
          "this image has no id by which the server could hand out its bytes");
    }
    @SuppressWarnings("unchecked") // Image.with keeps the class
    var read = (CompletableFuture<T>) new ImageReader(connection, image, limit).begin();
    return read;
  }

  private CompletableFuture<Image> begin() {
    connection.track(read);
    read.whenComplete(
        (whole, error) -> {
          connection.untrack(read);
          stop();
        });
    context.run(this::readOn);
    return read;
  }

  private synchronized void stop() {
    if (current != null) {
      current.cancel("the image is not read any further", null);
    }
  }

  private synchronized void readOn() {
    if (read.isDone()) {
      return;
    }
    var request =
        ReadImageRequest.newBuilder()
            .setImageId(image.imageId())
            .setOffset(run == null ? 0 : run.received())
            .build();
    var call =
        connection.channel().newCall(ImageServiceGrpc.getReadImageMethod(), Rpc.options(deadline));
    current = call;
    call.start(new Pieces(call), new Metadata());
    call.request(WINDOW);
    Rpc.send(call, request);
  }

  private void take(ReadImageResponse piece) {
    if (run == null) {
      facts = piece.getImage();
      run = new ByteRun(facts);
    } else if (piece.hasImage() && !piece.getImage().getSha256().equals(facts.getSha256())) {
      throw ImageGenException.invalidResponse(
          "image " + image.imageId() + " changed while it was read");
    }
    if (!piece.getData().isEmpty()) {
      run.append(piece.getOffset(), piece.getData());
    }
  }

  private Image whole() {
    if (run == null) {
      throw ImageGenException.invalidResponse(
          "the server sent nothing of image " + image.imageId());
    }
    var data = run.join();
    String told = image.facts().getSha256();
    if (!told.isEmpty() && !told.equals(facts.getSha256())) {
      throw ImageGenException.invalidResponse(
          "the server handed out other bytes for image "
              + image.imageId()
              + " than it had told of");
    }
    var full = facts.toBuilder().clearData().setImageId(image.imageId()).build();
    return image.with(full, data);
  }

  private final class Pieces extends ClientCall.Listener<ReadImageResponse> {
    private final ClientCall<?, ?> call;
    private Metadata headers;

    Pieces(ClientCall<?, ?> call) {
      this.call = call;
    }

    @Override
    public void onHeaders(Metadata received) {
      headers = received;
    }

    @Override
    public void onMessage(ReadImageResponse piece) {
      if (read.isDone()) {
        return;
      }
      try {
        take(piece);
      } catch (ImageGenException damaged) {
        read.completeExceptionally(damaged.free());
        return;
      }
      call.request(1);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      try {
        if (status.isOk()) {
          read.complete(whole());
          return;
        }
        var error = ErrorFacts.read(status, trailers, headers, true);
        boolean broken = status.getCode() == Status.Code.UNAVAILABLE || error.isBrokenConnection();
        if (!broken || goneOn || context.isCancelled()) {
          throw error;
        }
        goneOn = true;
        readOn();
      } catch (RuntimeException error) {
        read.completeExceptionally(Rpc.free(error));
      }
    }
  }
}
