package io.github.imagegen;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.ImageChunk;
import io.github.imagegen.v1.ImagePreview;
import io.github.imagegen.v1.ImageStreamEvent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Puts a stream of API events together: chunks become whole images, and the end a result. Takes the
 * events of one stream in order; knows nothing of networks and threads.
 */
final class Assembler {
  // The preview number of chunks that belong to a finished image.
  private static final int FINISHED = 0;

  private final boolean chunked;
  private final boolean whole;
  private final Map<Integer, GeneratedImage> images = new HashMap<>();
  private Opening open;
  private ImageResult result;

  /**
   * Expects a stream, which may come over several connections one after the other.
   *
   * @param chunked the bytes of images follow as chunks; false: images are facts and an id
   * @param whole the events come from the start; false: an image whose beginning is missing is left
   *     to its id
   */
  Assembler(boolean chunked, boolean whole) {
    this.chunked = chunked;
    this.whole = whole;
  }

  /** What the stream came to; null = not told yet. */
  ImageResult result() {
    return result;
  }

  /**
   * Takes the next event; what it completes is returned, or null. Throws INVALID_RESPONSE where the
   * stream breaks a promise that a finished image depends on; a damaged preview is left out.
   */
  ImageEvent feed(ImageStreamEvent event) {
    if (result != null) {
      return null;
    }
    return switch (event.getEventCase()) {
      case STARTED -> new ImageEvent.Started(event.getStarted());
      case PROGRESS -> new ImageEvent.Progress(event.getProgress());
      case PREVIEW -> preview(event.getPreview());
      case COMPLETE -> complete(event.getComplete());
      case CHUNK -> chunk(event.getChunk());
      case FAILURE -> new ImageEvent.Failed(event.getFailure());
      case RESULT -> {
        endOpen();
        result = result(event.getResult());
        yield null;
      }
      case EVENT_NOT_SET -> null; // newer than this client
    };
  }

  private ImageEvent preview(ImagePreview preview) {
    endOpen();
    if (!chunked) {
      return previewEvent(preview, null);
    }
    try {
      open = new Opening(preview, null, new ByteRun(preview.getImage()));
    } catch (ImageGenException damaged) {
      // Left out.
    }
    return null;
  }

  private ImageEvent complete(io.github.imagegen.v1.GeneratedImage made) {
    endOpen();
    if (!chunked) {
      return completeEvent(made, null);
    }
    open = new Opening(null, made, new ByteRun(made.getImage()));
    return null;
  }

  private ImageEvent chunk(ImageChunk chunk) {
    Opening opening = open;
    if (opening == null || !opening.takes(chunk)) {
      boolean begunBefore = !whole && opening == null && !images.containsKey(chunk.getIndex());
      if (chunk.getPreviewNumber() != FINISHED || begunBefore) {
        return null; // the rest of a preview that was given up, or of what was begun before
      }
      throw ImageGenException.invalidResponse(
          "bytes of image " + index(chunk.getIndex()) + " came outside of their place");
    }
    ByteString data;
    try {
      opening.run.append(chunk.getOffset(), chunk.getData());
      if (!opening.run.isWhole()) {
        return null;
      }
      data = opening.run.join();
    } catch (ImageGenException damaged) {
      open = null;
      if (opening.preview != null) {
        return null; // no reason to lose the image
      }
      throw damaged;
    }
    open = null;
    return opening.preview != null
        ? previewEvent(opening.preview, data)
        : completeEvent(opening.made, data);
  }

  private static ImageEvent previewEvent(ImagePreview preview, ByteString data) {
    return new ImageEvent.Preview(
        preview.getIndex(),
        preview.getNumber(),
        Image.received(preview.getImage(), data),
        preview.getMetadataMap());
  }

  private ImageEvent completeEvent(io.github.imagegen.v1.GeneratedImage made, ByteString data) {
    var image = GeneratedImage.of(made, data);
    images.put(image.index(), image);
    return new ImageEvent.Complete(image);
  }

  /** An opening ends an unfinished preview; a finished image may not be cut short. */
  private void endOpen() {
    Opening opening = open;
    open = null;
    if (opening != null && opening.made != null) {
      throw ImageGenException.invalidResponse(
          "image " + index(opening.made.getIndex()) + " was cut short");
    }
  }

  private ImageResult result(io.github.imagegen.v1.ImageResult told) {
    if (told.getImagesCount() == 0) {
      throw ImageGenException.invalidResponse(
          "the server ended the generation without an image and without an error");
    }
    List<GeneratedImage> whole = new ArrayList<>(told.getImagesCount());
    for (var made : told.getImagesList()) {
      whole.add(withBytes(made));
    }
    // Rebuilt only where it has bytes that nobody has checked.
    if (told.getImagesList().stream().allMatch(made -> made.getImage().getData().isEmpty())) {
      return new ImageResult(told, whole);
    }
    var facts = told.toBuilder().clearImages();
    whole.forEach(image -> facts.addImages(image.toProto()));
    return new ImageResult(facts.build(), whole);
  }

  private GeneratedImage withBytes(io.github.imagegen.v1.GeneratedImage made) {
    GeneratedImage received = images.get(made.getIndex());
    if (chunked && whole && received == null) {
      throw ImageGenException.invalidResponse(
          "the result names image " + index(made.getIndex()) + ", which never came");
    }
    return GeneratedImage.of(
        made, received != null && received.hasBytes() ? received.bytes() : null);
  }

  private static String index(int told) {
    return Integer.toUnsignedString(told);
  }

  /** The image opened last: a preview, or a finished one. */
  private record Opening(
      ImagePreview preview, io.github.imagegen.v1.GeneratedImage made, ByteRun run) {
    boolean takes(ImageChunk chunk) {
      return preview != null
          ? preview.getIndex() == chunk.getIndex()
              && preview.getNumber() == chunk.getPreviewNumber()
          : made.getIndex() == chunk.getIndex() && chunk.getPreviewNumber() == FINISHED;
    }
  }
}
