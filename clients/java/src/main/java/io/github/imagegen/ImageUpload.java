package io.github.imagegen;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.UploadImageRequest;
import io.github.imagegen.v1.UploadImageResponse;
import io.grpc.Deadline;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** Gives an image to the server in pieces, once for as many edits as wanted. */
final class ImageUpload {
  // With what goes around it, a piece stays under the 1 MB that proxies take by default.
  private static final int PIECE_BYTES = 786_432;

  private final Rpc.Chain steps;
  private final Connection connection;
  private final ByteString data;
  private final String sha256;
  private final Deadline deadline;
  private final Backoff backoff;

  private ImageUpload(Rpc.Chain steps, Connection connection, Image image, Duration limit) {
    this.steps = steps;
    this.connection = connection;
    data = image.bytes();
    sha256 = image.sha256();
    deadline = Rpc.deadline(limit);
    backoff = connection.newBackoff();
  }

  /** A reference to {@code image} at the server, after giving it what it did not have yet. */
  static CompletableFuture<Image> upload(Connection connection, Image image, Duration limit) {
    if (!image.hasBytes()) {
      throw new IllegalArgumentException("an image without bytes cannot be uploaded: " + image);
    }
    CompletableFuture<Image> whole =
        Rpc.chain(
            steps -> {
              var upload = new ImageUpload(steps, connection, image, limit);
              return upload.ask().thenCompose(upload::goOn).thenApply(upload::reference);
            });
    connection.track(whole); // also the waits between its calls end with the client
    whole.whenComplete((reference, error) -> connection.untrack(whole));
    return whole;
  }

  private CompletableFuture<UploadImageResponse> ask() {
    return send(ByteString.EMPTY, 0);
  }

  /** Sends what is missing, until the server tells of an image. */
  private CompletableFuture<UploadImageResponse> goOn(UploadImageResponse there) {
    if (there.hasImage()) {
      return CompletableFuture.completedFuture(there);
    }
    long told = Integer.toUnsignedLong(there.getCommittedBytes());
    if (told >= data.size()) {
      throw ImageGenException.invalidResponse(
          "the server has the whole upload and tells of no image");
    }
    int offset = (int) told;
    var piece = data.substring(offset, Math.min(data.size(), offset + PIECE_BYTES));
    return send(piece, offset)
        .thenCompose(
            answer -> {
              if (Integer.toUnsignedLong(answer.getCommittedBytes()) > told) {
                backoff.renew();
              } else if (!answer.hasImage()) {
                return waitAfter(
                        ImageGenException.invalidResponse("the server takes no more of the upload"))
                    .thenCompose(waited -> goOn(answer));
              }
              return goOn(answer);
            });
  }

  private CompletableFuture<UploadImageResponse> send(ByteString piece, int offset) {
    var request =
        UploadImageRequest.newBuilder()
            .setSha256(sha256)
            .setSizeBytes(data.size())
            .setOffset(offset)
            .setData(piece)
            .build();
    return steps
        .call(connection, ImageServiceGrpc.getUploadImageMethod(), request, deadline)
        .exceptionallyCompose(
            error -> {
              if (Rpc.unwrapped(error) instanceof ImageGenException failure
                  && failure.isBrokenConnection()) {
                // The piece may have arrived: ask.
                return waitAfter(failure).thenCompose(waited -> ask());
              }
              return CompletableFuture.failedFuture(error);
            });
  }

  private CompletableFuture<Void> waitAfter(ImageGenException error) {
    var delay = backoff.next();
    return delay.isPresent()
        ? steps.delay(delay.get(), deadline)
        : CompletableFuture.failedFuture(error);
  }

  private Image reference(UploadImageResponse answer) {
    var facts = answer.getImage();
    if (!facts.getSha256().equals(sha256) || facts.getImageId().isEmpty()) {
      throw ImageGenException.invalidResponse(
          "the server told of another image than the one that was uploaded");
    }
    return new Image(facts.toBuilder().clearData().build(), null, "");
  }
}
