package io.github.imagegen;

import com.google.protobuf.ByteString;
import com.google.protobuf.Struct;
import io.github.imagegen.v1.ImageSource;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** A finished image of a generation: an {@link Image} with what is known of its making. */
public final class GeneratedImage extends Image {
  private final io.github.imagegen.v1.GeneratedImage made;

  private GeneratedImage(
      io.github.imagegen.v1.GeneratedImage made,
      io.github.imagegen.v1.Image facts,
      ByteString data) {
    super(facts, data, "");
    this.made = made;
  }

  /** An image of a generation; {@code data} null = its bytes did not come. */
  static GeneratedImage of(io.github.imagegen.v1.GeneratedImage told, ByteString data) {
    var facts = Image.withoutData(told.getImage());
    boolean asTold = told.getImage().getData().isEmpty();
    var made = asTold ? told : told.toBuilder().setImage(facts).build();
    return new GeneratedImage(made, facts, data);
  }

  /**
   * Which one it is.
   *
   * @return from 0 on, below the count asked for; the same in all events and in the result
   */
  public int index() {
    return made.getIndex();
  }

  /**
   * The prompt as the provider rewrote it.
   *
   * @return the prompt; empty: not told
   */
  public Optional<String> revisedPrompt() {
    return made.hasRevisedPrompt() ? Optional.of(made.getRevisedPrompt()) : Optional.empty();
  }

  /**
   * The seed as it was used.
   *
   * @return the seed; empty: not told
   */
  public OptionalLong seed() {
    return made.hasSeed() ? OptionalLong.of(made.getSeed()) : OptionalLong.empty();
  }

  /**
   * What else the provider said of this image.
   *
   * @return by provider name; numbers are doubles
   */
  public Map<String, Struct> metadata() {
    return made.getMetadataMap();
  }

  /**
   * The message as it was told.
   *
   * @return the message, without data
   */
  public io.github.imagegen.v1.GeneratedImage toProto() {
    return made;
  }

  @Override
  ImageSource toSource() {
    var source = super.toSource();
    return source.hasData()
        ? source.toBuilder().putAllMetadata(made.getMetadataMap()).build()
        : source;
  }

  @Override
  GeneratedImage with(io.github.imagegen.v1.Image newFacts, ByteString newData) {
    return new GeneratedImage(made.toBuilder().setImage(newFacts).build(), newFacts, newData);
  }
}
