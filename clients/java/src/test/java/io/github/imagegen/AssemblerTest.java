package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.ErrorReason;
import io.github.imagegen.v1.ImageStreamEvent;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class AssemblerTest {
  private static final byte[] ONE = Events.picture(300_000, 1);
  private static final byte[] TWO = Events.picture(1000, 2);

  private static List<ImageEvent> feed(Assembler assembler, List<ImageStreamEvent> log) {
    return new ArrayList<>(log.stream().map(assembler::feed).filter(Objects::nonNull).toList());
  }

  private static void assertInvalid(Assembler assembler, List<ImageStreamEvent> log) {
    var error = assertThrows(ImageGenException.class, () -> feed(assembler, log));
    assertEquals(ErrorReason.ERROR_REASON_INVALID_RESPONSE, error.reason());
    assertEquals(Status.Code.INTERNAL, error.code());
  }

  /** Each kind of event arrives as its own type, with images whole. */
  @Test
  void eventsComeTypedAndInOrder() {
    var log =
        Events.log(
            Events.started(),
            Events.progress(),
            Events.preview(0, 1, TWO),
            Events.complete(0, ONE),
            Events.failed(1),
            Events.result(ONE));
    var assembler = new Assembler(true, true);
    var events = feed(assembler, log);
    assertEquals(
        List.of("Started", "Progress", "Preview", "Complete", "Failed"),
        events.stream().map(event -> event.getClass().getSimpleName()).toList());
    var preview = (ImageEvent.Preview) events.get(2);
    assertArrayEquals(TWO, preview.image().bytes().toByteArray());
    assertArrayEquals(ONE, assembler.result().image().bytes().toByteArray());
    assertEquals(7, assembler.result().image().seed().orElseThrow());
  }

  /** Bytes that stand where none belong were checked by nobody, and are not handed out. */
  @Test
  void bytesAmongTheFactsAreNotTaken() {
    var made = Events.made(0, ONE).toBuilder();
    made.getImageBuilder().setData(ByteString.copyFrom(TWO));
    var told = ImageStreamEvent.newBuilder();
    var result = io.github.imagegen.v1.ImageResult.newBuilder().addImages(made);
    var assembler = new Assembler(false, true);
    var events =
        feed(assembler, Events.log(told.setComplete(made).build(), told.setResult(result).build()));
    assertFalse(((ImageEvent.Complete) events.get(0)).image().hasBytes());
    assertFalse(assembler.result().image().hasBytes());
  }

  /** However an image is cut into chunks, it arrives as it was. */
  @ParameterizedTest
  @ValueSource(ints = {7919, 100_000, 196_608, 299_999, 300_000, 1_000_000})
  void anySplitGivesTheSameImage(int size) {
    var assembler = new Assembler(true, true);
    feed(
        assembler,
        Events.log(Events.opening(0, ONE), Events.chunks(0, 0, ONE, size), Events.result(ONE)));
    assertArrayEquals(ONE, assembler.result().image().bytes().toByteArray());
  }

  /** An image larger than what is trusted at first is put together all the same. */
  @Test
  void largeImage() {
    byte[] large = Events.picture(9_000_001, 3);
    var assembler = new Assembler(true, true);
    feed(assembler, Events.log(Events.complete(0, large), Events.result(large)));
    assertArrayEquals(large, assembler.result().image().bytes().toByteArray());
  }

  static List<List<ImageStreamEvent>> brokenPromises() {
    var chunks = Events.chunks(0, 0, ONE, Events.CHUNK);
    var otherDigest = Events.chunks(0, 0, Events.picture(ONE.length, 9), Events.CHUNK);
    var other = Events.complete(1, TWO);
    return List.of(
        Events.log(Events.opening(0, ONE), otherDigest),
        Events.log(Events.opening(0, ONE), chunks.get(1)),
        Events.log(Events.opening(0, ONE), chunks.get(0), chunks.get(0)),
        Events.log(Events.opening(0, TWO), Events.chunk(0, 0, 0, ONE)),
        Events.log(Events.opening(0, ONE), chunks.get(0), other),
        Events.log(Events.opening(0, ONE), chunks.get(0), Events.result(ONE)),
        Events.log(Events.opening(0, ONE), Events.chunk(1, 0, 0, TWO)),
        Events.log(chunks),
        Events.log(Events.opening(0, new byte[0])),
        Events.log(Events.result()),
        Events.log(Events.complete(0, ONE), Events.result(ONE, TWO)));
  }

  /** A finished image is handed out whole, or the stream fails. */
  @ParameterizedTest
  @MethodSource("brokenPromises")
  void brokenPromisesAboutFinishedImagesAreErrors(List<ImageStreamEvent> log) {
    assertInvalid(new Assembler(true, true), log);
  }

  /** A server cannot make the client collect bytes without bound. */
  @ParameterizedTest
  @ValueSource(ints = {Image.MAX_BYTES + 1, -1})
  void largerImageThanTheApiAllowsIsRefusedAtItsOpening(int size) {
    var opening = Events.opening(0, ONE).toBuilder();
    opening.getCompleteBuilder().getImageBuilder().setSizeBytes(size);
    assertInvalid(new Assembler(true, true), List.of(opening.build()));
  }

  /** A damaged or unfinished preview is left out; the finished image still comes. */
  @Test
  void damagedPreviewDoesNotCostTheImage() {
    var chunks = Events.chunks(0, 1, ONE, Events.CHUNK);
    var log =
        Events.log(
            Events.openingOfPreview(0, 1, ONE),
            chunks.get(1),
            chunks.get(0),
            Events.openingOfPreview(0, 2, new byte[0]),
            Events.openingOfPreview(0, 3, ONE),
            Events.complete(0, TWO),
            Events.result(TWO));
    var assembler = new Assembler(true, true);
    assertEquals(1, feed(assembler, log).size());
    assertArrayEquals(TWO, assembler.result().image().bytes().toByteArray());
  }

  /** An event that is newer than this client, or behind the result, changes nothing. */
  @Test
  void eventsOfTheFutureAreIgnored() {
    var log =
        Events.log(
            ImageStreamEvent.getDefaultInstance(),
            Events.opening(0, TWO),
            ImageStreamEvent.getDefaultInstance(),
            Events.chunks(0, 0, TWO, 500),
            Events.result(TWO),
            Events.failed(3));
    var assembler = new Assembler(true, true);
    assertEquals(1, feed(assembler, log).size());
    assertEquals(1, assembler.result().images().size());
  }

  /** By reference an opening is all there is to an image. */
  @Test
  void byReferenceImagesAreFacts() {
    var assembler = new Assembler(false, true);
    var events = feed(assembler, Events.log(Events.opening(0, ONE), Events.result(ONE)));
    assertEquals(1, events.size());
    var image = assembler.result().image();
    assertFalse(image.hasBytes());
    assertEquals(ONE.length, image.sizeBytes());
  }

  /** What began before the place that a stream is read from is left to its id. */
  @Test
  void imageWhoseOpeningWasNotSeenIsWithoutBytes() {
    var chunks = Events.chunks(0, 0, ONE, Events.CHUNK);
    var assembler = new Assembler(true, false);
    feed(assembler, Events.log(chunks.get(1), Events.complete(1, TWO), Events.result(ONE, TWO)));
    assertFalse(assembler.result().images().get(0).hasBytes());
    assertArrayEquals(TWO, assembler.result().images().get(1).bytes().toByteArray());
  }
}
