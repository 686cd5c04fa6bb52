package io.github.imagegen;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;

/** Images as files. */
final class ImageFile {
  private static final Map<String, String> SUFFIXES =
      Map.of(
          "image/png", ".png",
          "image/jpeg", ".jpg",
          "image/webp", ".webp",
          "image/gif", ".gif",
          "image/avif", ".avif",
          "image/svg+xml", ".svg",
          "image/bmp", ".bmp",
          "image/tiff", ".tiff");
  private static final Map<String, String> TYPES =
      Map.of(
          ".png", "image/png",
          ".jpg", "image/jpeg",
          ".jpeg", "image/jpeg",
          ".webp", "image/webp",
          ".gif", "image/gif");

  private static final int MOST_LINKS = 40; // as Linux has it

  private ImageFile() {}

  /** The whole file; of one that is too large no more than shows that it is. */
  static ByteString read(Path path) throws IOException {
    try (var file = Files.newInputStream(path)) {
      return UnsafeByteOperations.unsafeWrap(file.readNBytes(Image.MAX_BYTES + 1));
    }
  }

  /** What the name says; empty = nothing that is known. */
  static String mediaType(Path path) {
    return TYPES.getOrDefault(suffix(path).toLowerCase(Locale.ROOT), "");
  }

  /** Writes {@code content} whole or not at all, and tells where. */
  static Path save(ByteString content, String mediaType, Path path) throws IOException {
    Path target = path;
    if (suffix(target).isEmpty() && !isSpecial(target)) {
      target = target.resolveSibling(target.getFileName() + SUFFIXES.getOrDefault(mediaType, ""));
    }
    if (isSpecial(target)) {
      try (var out = Files.newOutputStream(target)) {
        content.writeTo(out);
      }
    } else {
      // A link stays one: what it leads to is replaced.
      replace(followed(target), content);
    }
    return target;
  }

  /** Where links lead to, also if there is nothing yet. */
  private static Path followed(Path target) throws IOException {
    Path place = target.toAbsolutePath();
    for (int links = 0; Files.isSymbolicLink(place); links++) {
      if (links == MOST_LINKS) {
        throw new FileSystemLoopException(target.toString());
      }
      place = place.resolveSibling(Files.readSymbolicLink(place));
    }
    return place;
  }

  private static void replace(Path target, ByteString content) throws IOException {
    Path unfinished = target.resolveSibling(".imagegen-" + UUID.randomUUID());
    try {
      try (OutputStream out = Files.newOutputStream(unfinished, StandardOpenOption.CREATE_NEW)) {
        if (Files.exists(target)) {
          keepPermissions(target, unfinished); // before there is anything to be read
        }
        content.writeTo(out);
      }
      Files.move(
          unfinished, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private static void keepPermissions(Path from, Path to) throws IOException {
    var before = Files.getFileAttributeView(from, PosixFileAttributeView.class);
    var after = Files.getFileAttributeView(to, PosixFileAttributeView.class);
    if (before != null && after != null) {
      after.setPermissions(before.readAttributes().permissions());
    }
  }

  /** With its dot; a name that only begins with one has none. */
  private static String suffix(Path path) {
    String name = path.getFileName() == null ? "" : path.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot > 0 && dot < name.length() - 1 ? name.substring(dot) : "";
  }

  /** A pipe or a device, rather than a file or a place for one. */
  private static boolean isSpecial(Path target) {
    return Files.exists(target, new LinkOption[0])
        && !Files.isRegularFile(target)
        && !Files.isDirectory(target);
  }
}
