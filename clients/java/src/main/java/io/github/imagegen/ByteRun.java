package io.github.imagegen;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.github.imagegen.v1.Image;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/** Bytes of one image that arrive in order, in pieces of any length, and are checked at the end. */
final class ByteRun {
  // What a server merely says is not worth more memory than this; then the size it told is.
  private static final int FIRST_BYTES = 4 * 1024 * 1024;

  private final int size;
  private final String sha256;
  private final MessageDigest digest;
  private byte[] buffer;
  private int received;

  /** Expects the image that {@code facts} tell of; refuses one that is empty or too large. */
  ByteRun(Image facts) {
    size = facts.getSizeBytes();
    sha256 = facts.getSha256();
    if (size <= 0 || size > io.github.imagegen.Image.MAX_BYTES) {
      throw ImageGenException.invalidResponse(
          "the server told of an image of " + Integer.toUnsignedString(size) + " bytes");
    }
    digest = sha256.isEmpty() ? null : newDigest();
  }

  static MessageDigest newDigest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError("every Java platform has SHA-256", impossible);
    }
  }

  /** Bytes so far: where the next piece must start. */
  int received() {
    return received;
  }

  /** Whether nothing is missing. */
  boolean isWhole() {
    return received == size;
  }

  /** Takes the next piece; refuses one that does not follow, or is more than the image has. */
  void append(int offset, ByteString data) {
    if (offset != received) {
      throw ImageGenException.invalidResponse(
          "a piece of the image starts at byte "
              + Integer.toUnsignedString(offset)
              + " where byte "
              + received
              + " was due");
    }
    int end = received + data.size();
    if (data.size() > size - received) {
      throw ImageGenException.invalidResponse(
          "the image is longer than the " + size + " bytes that the server told");
    }
    if (buffer == null) {
      buffer = new byte[Math.min(size, Math.max(FIRST_BYTES, end))];
    } else if (end > buffer.length) {
      buffer = Arrays.copyOf(buffer, size);
    }
    data.copyTo(buffer, received);
    if (digest != null) {
      digest.update(buffer, received, data.size());
    }
    received = end;
  }

  /** All bytes, checked against size and, where the server told one, SHA-256. Call it once. */
  ByteString join() {
    if (!isWhole()) {
      throw ImageGenException.invalidResponse(
          "the image ended after " + received + " of " + size + " bytes");
    }
    if (digest != null && !HexFormat.of().formatHex(digest.digest()).equals(sha256)) {
      throw ImageGenException.invalidResponse(
          "the bytes of the image do not have the SHA-256 that the server told");
    }
    // Nothing writes to the buffer any more.
    return UnsafeByteOperations.unsafeWrap(buffer);
  }
}
