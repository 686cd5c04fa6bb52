package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.ReadImageRequest;
import io.github.imagegen.v1.ReadImageResponse;
import io.github.imagegen.v1.UploadImageRequest;
import io.github.imagegen.v1.UploadImageResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Reading images from the server, and giving it some. */
@Timeout(30)
class TransferTest {
  private static final byte[] DATA = Events.picture(2_000_000, 1);

  private final FakeServer server = new FakeServer();
  private final ImageGenClient client = server.client();

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  /** The pieces from an offset on, at most so many. */
  private static List<ReadImageResponse> pieces(byte[] data, int offset, int most) {
    List<ReadImageResponse> pieces = new ArrayList<>();
    int at = offset;
    do {
      int end = Math.min(data.length, at + Events.CHUNK);
      var piece =
          ReadImageResponse.newBuilder()
              .setOffset(at)
              .setData(ByteString.copyFrom(Arrays.copyOfRange(data, at, end)));
      if (at == offset) {
        piece.setImage(Events.facts(data));
      }
      pieces.add(piece.build());
      at = end;
    } while (at < data.length && pieces.size() < most);
    return pieces;
  }

  /** An id becomes an image with bytes and facts. */
  @Test
  void readById() {
    server.read = (request, nth, out) -> FakeServer.send(out, pieces(DATA, 0, 99));
    var image = client.read(Image.fromId("img_1"));
    assertArrayEquals(DATA, image.bytes().toByteArray());
    assertEquals("image/png", image.mediaType());
    assertEquals(640, image.width().orElseThrow());
    assertEquals("img_1", image.imageId());
  }

  /** A result that came by reference keeps what is known of its making. */
  @Test
  void readKeepsWhatIsKnown() {
    server.read = (request, nth, out) -> FakeServer.send(out, pieces(DATA, 0, 99));
    GeneratedImage read = client.read(GeneratedImage.of(Events.made(3, DATA), null));
    assertEquals(3, read.index());
    assertEquals(7, read.seed().orElseThrow());
    assertSame(read, client.read(read));
    assertEquals(1, server.asked.size());
  }

  /** A read that breaks off goes on where it broke, once; then it is an error that cost nothing. */
  @Test
  void brokenReadGoesOnOnce() throws InterruptedException {
    server.read =
        (request, nth, out) -> {
          pieces(DATA, request.getOffset(), 2).forEach(out::onNext);
          if (nth != 2) {
            throw FakeServer.breaks();
          }
          var rest = pieces(DATA, request.getOffset(), 99);
          FakeServer.send(out, rest.subList(2, rest.size()));
        };
    assertArrayEquals(DATA, client.read(Image.fromId("i")).bytes().toByteArray());
    assertEquals(0, server.next(ReadImageRequest.class).getOffset());
    assertTrue(server.next(ReadImageRequest.class).getOffset() % Events.CHUNK == 0);
    var error = assertThrows(ImageGenException.class, () -> client.read(Image.fromId("i")));
    assertEquals(Billed.BILLED_NO, error.billed());
    assertEquals(2, server.asked.size());
  }

  /** Bytes must be those of the read's own facts, and of the result that named the image. */
  @Test
  void otherBytesThanToldAreAnError() {
    byte[] other = Events.picture(DATA.length, 9);
    server.read = (request, nth, out) -> FakeServer.send(out, pieces(other, 0, 99));
    var told = GeneratedImage.of(Events.made(0, DATA), null);
    var error = assertThrows(ImageGenException.class, () -> client.read(told));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
    assertEquals(Billed.BILLED_NO, error.billed());
  }

  /** A stream that ends well before the image does, or says nothing, gives no image. */
  @Test
  void shortReadIsAnError() {
    for (int most : new int[] {0, 3}) {
      server.read =
          (request, nth, out) -> FakeServer.send(out, pieces(DATA, 0, 3).subList(0, most));
      var error = assertThrows(ImageGenException.class, () -> client.read(Image.fromId("i")));
      assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
      assertEquals(Billed.BILLED_NO, error.billed());
    }
  }

  /** A read that is cancelled ends on the server too. */
  @Test
  void cancelledRead() throws InterruptedException {
    server.read = (request, nth, out) -> out.onNext(pieces(DATA, 0, 1).get(0));
    var read = client.readAsync(Image.fromId("i"));
    server.next(ReadImageRequest.class);
    read.cancel(false);
    assertTrue(server.callCancelled.await(10, TimeUnit.SECONDS));
  }

  /** Who is interrupted while it waits for what is free has paid nothing. */
  @Test
  void interruptedRead() {
    server.read = (request, nth, out) -> out.onNext(pieces(DATA, 0, 1).get(0));
    Thread.currentThread().interrupt();
    var error = assertThrows(ImageGenException.class, () -> client.read(Image.fromId("i")));
    assertTrue(Thread.interrupted());
    assertEquals(Billed.BILLED_NO, error.billed());
  }

  /** A URL is for the server to fetch. */
  @Test
  void imageWithoutIdCannotBeRead() {
    var image = Image.fromUrl("https://example.com/a.png");
    assertThrows(IllegalArgumentException.class, () -> client.read(image));
  }

  /** A server that takes an upload piece by piece, from {@code there} on. */
  private void takesUpload(AtomicInteger there) {
    server.upload =
        (request, nth, out) -> {
          if (request.getOffset() == there.get()) {
            there.addAndGet(request.getData().size());
          }
          var answer = UploadImageResponse.newBuilder().setCommittedBytes(there.get());
          if (there.get() == DATA.length) {
            answer.setImage(Events.facts(DATA));
          }
          FakeServer.answer(out, answer.build());
        };
  }

  /** What is there is asked first; the rest goes in pieces; the reference has no bytes. */
  @Test
  void uploadSendsWhatIsMissing() throws InterruptedException {
    takesUpload(new AtomicInteger(500_000));
    var image = client.upload(Image.fromBytes(DATA));
    assertFalse(image.hasBytes());
    assertEquals(Events.facts(DATA).getImageId(), image.imageId());
    var question = server.next(UploadImageRequest.class);
    assertTrue(question.getData().isEmpty());
    assertEquals(Events.sha256(DATA), question.getSha256());
    assertEquals(DATA.length, question.getSizeBytes());
    var first = server.next(UploadImageRequest.class);
    assertEquals(500_000, first.getOffset());
    assertEquals(786_432, first.getData().size());
    assertEquals(713_568, server.next(UploadImageRequest.class).getData().size());
    assertTrue(server.asked.isEmpty());
  }

  /** Where the line breaks the client asks again, and goes on from what has arrived. */
  @Test
  void brokenUploadAsksAgain() {
    var there = new AtomicInteger();
    takesUpload(there);
    var takes = server.upload;
    server.upload =
        (request, nth, out) -> {
          if (nth == 3) {
            there.set(DATA.length - 10);
            throw FakeServer.breaks();
          }
          takes.answer(request, nth, out);
        };
    client.upload(Image.fromBytes(DATA));
    assertEquals(5, server.asked.size());
  }

  /** Another image than the one that was given is an error, and so is no image at all. */
  @Test
  void uploadOfAnotherImage() {
    byte[] other = Events.picture(10, 2);
    server.upload =
        (request, nth, out) ->
            FakeServer.answer(
                out, UploadImageResponse.newBuilder().setImage(Events.facts(other)).build());
    var image = Image.fromBytes(DATA);
    var error = assertThrows(ImageGenException.class, () -> client.upload(image));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
    assertEquals(Billed.BILLED_NO, error.billed());
    server.upload =
        (request, nth, out) ->
            FakeServer.answer(
                out, UploadImageResponse.newBuilder().setCommittedBytes(DATA.length).build());
    assertThrows(ImageGenException.class, () -> client.upload(image));
    server.upload =
        (request, nth, out) -> FakeServer.answer(out, UploadImageResponse.getDefaultInstance());
    assertThrows(ImageGenException.class, () -> client.upload(image));
    var elsewhere = Image.fromId("i");
    assertThrows(IllegalArgumentException.class, () -> client.upload(elsewhere));
  }

  /** Closing the client ends an upload at once, also between two tries. */
  @Test
  void closingTheClientEndsAnUpload() throws Exception {
    server.upload =
        (request, nth, out) -> {
          throw FakeServer.breaks();
        };
    var patient = server.builder().delays(List.of(60_000)).build();
    var upload = patient.uploadAsync(Image.fromBytes(DATA));
    server.next(UploadImageRequest.class);
    for (int i = 0; i < 20; i++) {
      patient.cancel("gen_1"); // by now the upload has heard of the break
    }
    patient.close();
    var error = assertThrows(ExecutionException.class, () -> upload.get(5, TimeUnit.SECONDS));
    var cancelled = assertInstanceOf(ImageGenException.class, error.getCause());
    assertEquals(ErrorReason.ERROR_REASON_CANCELLED, cancelled.reason());
    assertEquals(Billed.BILLED_NO, cancelled.billed());
  }
}
