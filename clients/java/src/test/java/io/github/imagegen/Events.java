package io.github.imagegen;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.GenerationStarted;
import io.github.imagegen.v1.ImageChunk;
import io.github.imagegen.v1.ImageFailure;
import io.github.imagegen.v1.ImagePreview;
import io.github.imagegen.v1.ImageStreamEvent;
import io.github.imagegen.v1.Phase;
import io.github.imagegen.v1.Progress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** Events that a server is scripted with. */
final class Events {
  static final int CHUNK = 196_608;

  private Events() {}

  /** Bytes that stand for an image; which ones depends on both numbers. */
  static byte[] picture(int size, int salt) {
    byte[] data = new byte[size];
    new java.util.Random(salt).nextBytes(data);
    return data;
  }

  static String sha256(byte[] data) {
    return HexFormat.of().formatHex(ByteRun.newDigest().digest(data));
  }

  static io.github.imagegen.v1.Image facts(byte[] data) {
    return io.github.imagegen.v1.Image.newBuilder()
        .setImageId("img_" + sha256(data).substring(0, 8))
        .setMediaType("image/png")
        .setWidth(640)
        .setHeight(480)
        .setSizeBytes(data.length)
        .setSha256(sha256(data))
        .build();
  }

  static ImageStreamEvent started() {
    var started =
        GenerationStarted.newBuilder().setGenerationId("gen_1").setRequestId("req_1").build();
    return ImageStreamEvent.newBuilder().setStarted(started).build();
  }

  static ImageStreamEvent progress() {
    var progress = Progress.newBuilder().setPhase(Phase.PHASE_GENERATING);
    return ImageStreamEvent.newBuilder().setProgress(progress).build();
  }

  static io.github.imagegen.v1.GeneratedImage made(int index, byte[] data) {
    return io.github.imagegen.v1.GeneratedImage.newBuilder()
        .setIndex(index)
        .setImage(facts(data))
        .setSeed(7)
        .build();
  }

  static ImageStreamEvent opening(int index, byte[] data) {
    return ImageStreamEvent.newBuilder().setComplete(made(index, data)).build();
  }

  static ImageStreamEvent openingOfPreview(int index, int number, byte[] data) {
    var facts =
        io.github.imagegen.v1.Image.newBuilder()
            .setMediaType("image/png")
            .setSizeBytes(data.length);
    var preview = ImagePreview.newBuilder().setIndex(index).setNumber(number).setImage(facts);
    return ImageStreamEvent.newBuilder().setPreview(preview).build();
  }

  static ImageStreamEvent chunk(int index, int number, int offset, byte[] data) {
    var chunk =
        ImageChunk.newBuilder()
            .setIndex(index)
            .setPreviewNumber(number)
            .setOffset(offset)
            .setData(ByteString.copyFrom(data));
    return ImageStreamEvent.newBuilder().setChunk(chunk).build();
  }

  static List<ImageStreamEvent> chunks(int index, int number, byte[] data, int size) {
    List<ImageStreamEvent> events = new ArrayList<>();
    for (int offset = 0; offset < data.length; offset += size) {
      int end = Math.min(data.length, offset + size);
      events.add(chunk(index, number, offset, Arrays.copyOfRange(data, offset, end)));
    }
    return events;
  }

  static List<ImageStreamEvent> preview(int index, int number, byte[] data) {
    return join(openingOfPreview(index, number, data), chunks(index, number, data, CHUNK));
  }

  static List<ImageStreamEvent> complete(int index, byte[] data) {
    return join(opening(index, data), chunks(index, 0, data, CHUNK));
  }

  static ImageStreamEvent failed(int index) {
    return ImageStreamEvent.newBuilder()
        .setFailure(ImageFailure.newBuilder().setIndex(index))
        .build();
  }

  static ImageStreamEvent result(byte[]... images) {
    var result =
        io.github.imagegen.v1.ImageResult.newBuilder()
            .setGenerationId("gen_1")
            .setRequestId("req_1")
            .setModel("sandbox/scene");
    for (byte[] data : images) {
      result.addImages(made(result.getImagesCount(), data));
    }
    return ImageStreamEvent.newBuilder().setResult(result).build();
  }

  /** Single events and lists of them in a row, numbered from 1 on. */
  static List<ImageStreamEvent> log(Object... parts) {
    List<ImageStreamEvent> events = new ArrayList<>();
    for (Object part : parts) {
      List<?> some = part instanceof List<?> list ? list : List.of(part);
      for (Object event : some) {
        int sequence = events.size() + 1;
        events.add(((ImageStreamEvent) event).toBuilder().setSequence(sequence).build());
      }
    }
    return events;
  }

  private static List<ImageStreamEvent> join(
      ImageStreamEvent first, List<ImageStreamEvent> others) {
    List<ImageStreamEvent> events = new ArrayList<>(List.of(first));
    events.addAll(others);
    return events;
  }
}
