package io.github.imagegen;

import io.github.imagegen.v1.ImageEditInput;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** What to change in which image. Immutable. */
public final class ImageEdit {
  private final String prompt;
  private final List<Image> images;
  private final Image mask;

  private ImageEdit(String prompt, List<Image> images, Image mask) {
    this.prompt = Objects.requireNonNull(prompt, "prompt");
    this.images = List.copyOf(images);
    this.mask = mask;
  }

  /**
   * A change in words.
   *
   * @param prompt what to change; may be empty where the model edits without words
   * @param image the picture to change
   * @return the edit
   */
  public static ImageEdit of(String prompt, Image image) {
    return new ImageEdit(prompt, List.of(image), null);
  }

  /**
   * A change in words, with several images.
   *
   * @param prompt what to change; may be empty where the model edits without words
   * @param images the first is the picture to change, the others are references
   * @return the edit
   */
  public static ImageEdit of(String prompt, List<? extends Image> images) {
    return new ImageEdit(prompt, List.copyOf(images), null);
  }

  /**
   * The same with one more image as a reference.
   *
   * @param image the reference
   * @return a new edit
   */
  public ImageEdit withReference(Image image) {
    var more = new ArrayList<>(images);
    more.add(image);
    return new ImageEdit(prompt, more, mask);
  }

  /**
   * The same with a mask: what may change is where the mask is transparent or, if it has no
   * transparency, where it is white.
   *
   * @param image the mask, of the same size in pixels as the first image
   * @return a new edit
   */
  public ImageEdit withMask(Image image) {
    return new ImageEdit(prompt, images, Objects.requireNonNull(image, "mask"));
  }

  ImageEditInput toProto() {
    var input = ImageEditInput.newBuilder().setPrompt(prompt);
    images.forEach(image -> input.addImages(image.toSource()));
    if (mask != null) {
      input.setMask(mask.toSource());
    }
    return input.build();
  }
}
