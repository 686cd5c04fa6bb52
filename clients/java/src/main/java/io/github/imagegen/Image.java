package io.github.imagegen;

import com.google.protobuf.ByteString;
import io.github.imagegen.v1.ImageSource;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * An image: bytes, or a reference to bytes elsewhere. Immutable.
 *
 * <p>Those that you give are made by {@link #fromPath}, {@link #fromBytes}, {@link #fromUrl} and
 * {@link #fromId}; those in events and results are made by the client. Facts that nobody told are
 * empty, never guessed.
 */
public sealed class Image permits GeneratedImage {
  /** The largest image that the API carries, in bytes: 64 MiB. */
  public static final int MAX_BYTES = 64 * 1024 * 1024;

  private final io.github.imagegen.v1.Image facts;
  private final ByteString data;
  private final String url;
  private String digest;

  /**
   * Internal.
   *
   * @param facts without data
   * @param data null = elsewhere
   * @param url empty = none
   */
  Image(io.github.imagegen.v1.Image facts, ByteString data, String url) {
    this.facts = facts;
    this.data = data;
    this.url = url;
  }

  /**
   * An image handed out by the server; {@code data} null = its bytes did not come. Bytes among the
   * facts have no place there, and nobody has checked them.
   */
  static Image received(io.github.imagegen.v1.Image told, ByteString data) {
    return new Image(withoutData(told), data, "");
  }

  /** The message itself where it has none, as it should be: nothing is built anew. */
  static io.github.imagegen.v1.Image withoutData(io.github.imagegen.v1.Image told) {
    return told.getData().isEmpty() ? told : told.toBuilder().clearData().build();
  }

  /**
   * Reads a file. The media type follows from the name and is a hint: the bytes decide.
   *
   * @param path the file: PNG, JPEG, WebP or GIF
   * @return the image
   * @throws IOException it cannot be read
   * @throws IllegalArgumentException it is empty or larger than 64 MiB
   */
  public static Image fromPath(Path path) throws IOException {
    return fromBytes(ImageFile.read(path), ImageFile.mediaType(path));
  }

  /**
   * Takes the bytes of an image file: PNG, JPEG, WebP or GIF.
   *
   * @param data the bytes; they are copied
   * @return the image
   * @throws IllegalArgumentException there are no bytes, or more than 64 MiB
   */
  public static Image fromBytes(byte[] data) {
    return fromBytes(ByteString.copyFrom(data), "");
  }

  /**
   * Takes the bytes of an image file: PNG, JPEG, WebP or GIF.
   *
   * @param data the bytes
   * @param mediaType a hint such as "image/png"; empty: none
   * @return the image
   * @throws IllegalArgumentException there are no bytes, or more than 64 MiB
   */
  public static Image fromBytes(ByteString data, String mediaType) {
    if (data.isEmpty() || data.size() > MAX_BYTES) {
      throw new IllegalArgumentException(
          "an image has from 1 to " + MAX_BYTES + " bytes (64 MiB), this one has " + data.size());
    }
    var facts =
        io.github.imagegen.v1.Image.newBuilder()
            .setMediaType(mediaType)
            .setSizeBytes(data.size())
            .build();
    return new Image(facts, data, "");
  }

  /**
   * Refers to an image at an http or https address of a public host. The server fetches it.
   *
   * @param url the address
   * @return the image
   * @throws IllegalArgumentException it is empty
   */
  public static Image fromUrl(String url) {
    if (url.isEmpty()) {
      throw new IllegalArgumentException("the address of an image cannot be empty");
    }
    return new Image(io.github.imagegen.v1.Image.getDefaultInstance(), null, url);
  }

  /**
   * Refers to an image that the server keeps: an upload or an earlier result of the same caller.
   *
   * @param imageId its id
   * @return the image
   * @throws IllegalArgumentException it is empty
   */
  public static Image fromId(String imageId) {
    if (imageId.isEmpty()) {
      throw new IllegalArgumentException("an image id cannot be empty");
    }
    return new Image(
        io.github.imagegen.v1.Image.newBuilder().setImageId(imageId).build(), null, "");
  }

  /**
   * What kind of file it is.
   *
   * @return such as "image/png"; of a result as the server read it from the bytes, of an image of
   *     your own a hint; empty: not told
   */
  public String mediaType() {
    return facts.getMediaType();
  }

  /**
   * The width.
   *
   * @return in pixels; empty: not told
   */
  public OptionalInt width() {
    return facts.hasWidth() ? OptionalInt.of(facts.getWidth()) : OptionalInt.empty();
  }

  /**
   * The height.
   *
   * @return in pixels; empty: not told
   */
  public OptionalInt height() {
    return facts.hasHeight() ? OptionalInt.of(facts.getHeight()) : OptionalInt.empty();
  }

  /**
   * The length of the whole image, also when its bytes are elsewhere.
   *
   * @return in bytes; 0: not known
   */
  public int sizeBytes() {
    return facts.getSizeBytes();
  }

  /**
   * The SHA-256 of the whole image: as told, else of the bytes that are here.
   *
   * @return 64 lowercase hex digits; empty: not told, and the bytes are elsewhere
   */
  public String sha256() {
    if (!facts.getSha256().isEmpty() || data == null) {
      return facts.getSha256();
    }
    String known = digest;
    if (known == null) {
      var made = ByteRun.newDigest();
      data.asReadOnlyByteBufferList().forEach(made::update);
      known = HexFormat.of().formatHex(made.digest());
      digest = known;
    }
    return known;
  }

  /**
   * The server's name for it, good until {@link #expireTime}.
   *
   * @return the id; empty: none
   */
  public String imageId() {
    return facts.getImageId();
  }

  /**
   * When the server forgets it.
   *
   * @return the time; empty: not told
   */
  public Optional<Instant> expireTime() {
    if (!facts.hasExpireTime()) {
      return Optional.empty();
    }
    var time = facts.getExpireTime();
    return Optional.of(Instant.ofEpochSecond(time.getSeconds(), time.getNanos()));
  }

  /**
   * Where the server is to fetch it.
   *
   * @return the address; empty: not made by {@link #fromUrl}
   */
  public String url() {
    return url;
  }

  /**
   * Whether the bytes are here.
   *
   * @return false: {@link #bytes} throws
   */
  public boolean hasBytes() {
    return data != null;
  }

  /**
   * The whole file. Nothing is copied.
   *
   * @return the bytes
   * @throws IllegalStateException they are elsewhere: at a URL, or at the server ({@link
   *     ImageGenClient#read(Image)} fetches them)
   */
  public ByteString bytes() {
    if (data != null) {
      return data;
    } else if (!imageId().isEmpty()) {
      throw new IllegalStateException(
          "the bytes of image " + imageId() + " are at the server: fetch them with client.read");
    } else if (!url.isEmpty()) {
      throw new IllegalStateException(
          "the bytes of this image are at its URL, and are fetched by the server only");
    }
    throw new IllegalStateException(
        "this image came without bytes: previews delivered by reference have facts only");
  }

  /**
   * The image as a {@code data:} URL, for HTML and JSON.
   *
   * @return the URL
   * @throws IllegalStateException the bytes are elsewhere
   */
  public String dataUrl() {
    String type = mediaType().isEmpty() ? "application/octet-stream" : mediaType();
    return "data:" + type + ";base64," + Base64.getEncoder().encodeToString(bytes().toByteArray());
  }

  /**
   * Writes the image to a file, whole or not at all. A name without a suffix gets that of the media
   * type: "harbour" becomes "harbour.png". A pipe or a device is written to directly.
   *
   * @param path where to
   * @return the path that was written
   * @throws IOException it cannot be written
   * @throws IllegalStateException the bytes are elsewhere
   */
  public Path save(Path path) throws IOException {
    return ImageFile.save(bytes(), mediaType(), path);
  }

  /** The facts as told, without data. */
  io.github.imagegen.v1.Image facts() {
    return facts;
  }

  /** What a request carries: the bytes if they are here, else the id, else the address. */
  ImageSource toSource() {
    var source = ImageSource.newBuilder().setMediaType(mediaType());
    if (data != null) {
      return source.setData(data).build();
    } else if (!imageId().isEmpty()) {
      return source.setImageId(imageId()).build();
    } else if (!url.isEmpty()) {
      return source.setUrl(url).build();
    }
    throw new IllegalArgumentException(
        "this image has no bytes, no id and no URL, so it cannot be given to the server");
  }

  /** This image with facts and bytes that were fetched or told later. */
  Image with(io.github.imagegen.v1.Image newFacts, ByteString newData) {
    return new Image(newFacts, newData, "");
  }

  @Override
  public String toString() {
    String name = imageId().isEmpty() ? url : imageId();
    return "Image["
        + (mediaType().isEmpty() ? "" : mediaType() + ", ")
        + (sizeBytes() == 0 ? "" : sizeBytes() + " bytes, ")
        + (name.isEmpty() ? "" : name + ", ")
        + (hasBytes() ? "with bytes]" : "bytes elsewhere]");
  }
}
