package io.github.imagegen;

import com.google.protobuf.Struct;
import io.github.imagegen.v1.GenerationStarted;
import io.github.imagegen.v1.ImageFailure;
import java.util.Map;

/** One step of a generation, as the reader of an {@link ImageStream} gets it: images are whole. */
public sealed interface ImageEvent {
  /**
   * The generation exists, and nothing was spent before this.
   *
   * @param started its ids, the model tried first, and warnings
   */
  record Started(GenerationStarted started) implements ImageEvent {}

  /**
   * News without pixels; also the heartbeat, at least every 10 seconds.
   *
   * @param progress phase, and fraction, steps, queue position or time where they are known
   */
  record Progress(io.github.imagegen.v1.Progress progress) implements ImageEvent {}

  /**
   * A picture that is not finished.
   *
   * @param index the image that it is a preview of, from 0 on
   * @param number counts the previews of this index from 1
   * @param image the picture; without id, digest and expiry, as it cannot be read again
   * @param metadata what else the provider said of it, by provider name; numbers are doubles
   */
  record Preview(int index, int number, Image image, Map<String, Struct> metadata)
      implements ImageEvent {}

  /**
   * A finished image; its size and SHA-256 were checked if its bytes came with it.
   *
   * @param image the image
   */
  record Complete(GeneratedImage image) implements ImageEvent {}

  /**
   * One image will not come; others may.
   *
   * @param failure which one, and why
   */
  record Failed(ImageFailure failure) implements ImageEvent {}
}
