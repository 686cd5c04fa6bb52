package io.github.imagegen;

import com.google.protobuf.Struct;
import io.github.imagegen.v1.Attempt;
import io.github.imagegen.v1.ImageFailure;
import io.github.imagegen.v1.ImageUsage;
import io.github.imagegen.v1.Warning;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What came of a generation: at least one image. Immutable. */
public final class ImageResult {
  private final io.github.imagegen.v1.ImageResult told;
  private final List<GeneratedImage> images;

  ImageResult(io.github.imagegen.v1.ImageResult told, List<GeneratedImage> images) {
    this.told = told;
    this.images = List.copyOf(images);
  }

  /**
   * The images, with their bytes unless they were asked for by reference.
   *
   * @return at least one, ordered by index
   */
  public List<GeneratedImage> images() {
    return images;
  }

  /**
   * The first image: all there is when one was asked for.
   *
   * @return the image
   */
  public GeneratedImage image() {
    return images.get(0);
  }

  /**
   * The generation, for support.
   *
   * @return the server's id
   */
  public String generationId() {
    return told.getGenerationId();
  }

  /**
   * The id of the wish.
   *
   * @return as given, or made by the server
   */
  public String requestId() {
    return told.getRequestId();
  }

  /**
   * The model that made the images.
   *
   * @return as "provider/model"
   */
  public String model() {
    return told.getModel();
  }

  /**
   * The images that did not come while others did.
   *
   * @return ordered by index
   */
  public List<ImageFailure> failures() {
    return told.getFailuresList();
  }

  /**
   * What is known of use and cost.
   *
   * @return the use; empty: nothing is known
   */
  public Optional<ImageUsage> usage() {
    return told.hasUsage() ? Optional.of(told.getUsage()) : Optional.empty();
  }

  /**
   * What was not done as asked.
   *
   * @return the server's warnings
   */
  public List<Warning> warnings() {
    return told.getWarningsList();
  }

  /**
   * All provider calls.
   *
   * @return the oldest first
   */
  public List<Attempt> attempts() {
    return told.getAttemptsList();
  }

  /**
   * What else the provider said of the whole answer.
   *
   * @return by provider name; numbers are doubles
   */
  public Map<String, Struct> metadata() {
    return told.getMetadataMap();
  }

  /**
   * The message as it was told.
   *
   * @return the message, without data
   */
  public io.github.imagegen.v1.ImageResult toProto() {
    return told;
  }
}
