package io.github.imagegen.conformance;

import com.google.protobuf.ByteString;
import io.github.imagegen.Image;
import io.github.imagegen.conformance.v1.Picture;
import io.github.imagegen.v1.GeneratedImage;
import io.github.imagegen.v1.ImageResult;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Bytes as an outcome tells of them. */
final class Pictures {
  private Pictures() {}

  static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError(impossible);
    }
  }

  static String sha256(ByteString data) {
    var digest = digest();
    data.asReadOnlyByteBufferList().forEach(digest::update);
    return HexFormat.of().formatHex(digest.digest());
  }

  /** A picture with the bytes at hand; null = none are. */
  static Picture.Builder of(GeneratedImage made, int previewNumber, ByteString data) {
    var picture =
        Picture.newBuilder()
            .setIndex(made.getIndex())
            .setPreviewNumber(previewNumber)
            .setMediaType(made.getImage().getMediaType())
            .setMade(withoutData(made));
    if (data != null) {
      picture.setSizeBytes(data.size()).setSha256(sha256(data));
    }
    return picture;
  }

  static Picture.Builder of(GeneratedImage made, int previewNumber, Image image) {
    return of(made, previewNumber, image.hasBytes() ? image.bytes() : null);
  }

  static GeneratedImage withoutData(GeneratedImage made) {
    if (!made.hasImage()) {
      return made;
    }
    return made.toBuilder().setImage(withoutData(made.getImage())).build();
  }

  static io.github.imagegen.v1.Image withoutData(io.github.imagegen.v1.Image image) {
    return image.toBuilder().clearData().build();
  }

  static ImageResult withoutData(ImageResult result) {
    var bare = result.toBuilder().clearImages();
    result.getImagesList().forEach(made -> bare.addImages(withoutData(made)));
    return bare.build();
  }
}
