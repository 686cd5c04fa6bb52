package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageTest {
  private static final byte[] DATA = Events.picture(1000, 1);

  @TempDir Path folder;

  private static Image png() {
    return Image.fromBytes(ByteString.copyFrom(DATA), "image/png");
  }

  /** A name without a suffix gets that of the type; one that has a suffix keeps it. */
  @Test
  void saveAddsTheSuffix() throws IOException {
    assertEquals(folder.resolve("a.png"), png().save(folder.resolve("a")));
    assertEquals(folder.resolve("b.jpeg"), png().save(folder.resolve("b.jpeg")));
    assertEquals(folder.resolve(".c.png"), png().save(folder.resolve(".c")));
    assertEquals(folder.resolve("d"), Image.fromBytes(DATA).save(folder.resolve("d")));
    assertArrayEquals(DATA, Files.readAllBytes(folder.resolve("a.png")));
  }

  /** A file is replaced as a whole, keeps its permissions, and a link to it stays a link. */
  @Test
  void saveReplaces() throws IOException {
    Path file = Files.writeString(folder.resolve("a.png"), "old");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    Path link = Files.createSymbolicLink(folder.resolve("link.png"), file);
    assertEquals(link, png().save(link));
    assertArrayEquals(DATA, Files.readAllBytes(file));
    assertTrue(Files.isSymbolicLink(link));
    assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
  }

  /** A link to a file that is yet to be stays a link too. */
  @Test
  void saveThroughALinkToNothing() throws IOException {
    Path file = folder.resolve("sub").resolve("new.png");
    Files.createDirectory(file.getParent());
    Path link = Files.createSymbolicLink(folder.resolve("link.png"), Path.of("sub", "new.png"));
    assertEquals(link, png().save(link));
    assertTrue(Files.isSymbolicLink(link));
    assertArrayEquals(DATA, Files.readAllBytes(file));
    Path circle = Files.createSymbolicLink(folder.resolve("circle.png"), Path.of("circle.png"));
    assertThrows(IOException.class, () -> png().save(circle));
  }

  /** What cannot be written leaves nothing behind. */
  @Test
  void saveWholeOrNotAtAll() throws IOException {
    Path taken = Files.createDirectories(folder.resolve("taken.png").resolve("full")).getParent();
    assertThrows(IOException.class, () -> png().save(taken));
    assertThrows(IOException.class, () -> png().save(folder.resolve("none").resolve("a.png")));
    try (var files = Files.list(folder)) {
      assertEquals(1, files.count());
    }
  }

  /** A device is written to directly. */
  @Test
  void saveToADevice() throws IOException {
    assertEquals(Path.of("/dev/null"), png().save(Path.of("/dev/null")));
    assertFalse(Files.isRegularFile(Path.of("/dev/null")));
  }

  /** A file becomes an image with its digest, and with the type that its name hints at. */
  @Test
  void fromPath() throws IOException {
    Path file = Files.write(folder.resolve("a.JPG"), DATA);
    var image = Image.fromPath(file);
    assertEquals("image/jpeg", image.mediaType());
    assertEquals(DATA.length, image.sizeBytes());
    assertEquals(Events.sha256(DATA), image.sha256());
    Path empty = Files.createFile(folder.resolve("empty.png"));
    assertThrows(IllegalArgumentException.class, () -> Image.fromPath(empty));
  }

  /** Bytes, addresses and ids that are none are refused. */
  @Test
  void imagesThatAreNone() {
    assertThrows(IllegalArgumentException.class, () -> Image.fromBytes(new byte[0]));
    byte[] large = new byte[Image.MAX_BYTES + 1];
    assertThrows(IllegalArgumentException.class, () -> Image.fromBytes(large));
    assertThrows(IllegalArgumentException.class, () -> Image.fromUrl(""));
    assertThrows(IllegalArgumentException.class, () -> Image.fromId(""));
  }

  /** An image does not change with the array that it was made of. */
  @Test
  void imagesAreImmutable() {
    byte[] data = DATA.clone();
    var image = Image.fromBytes(data);
    data[0]++;
    assertArrayEquals(DATA, image.bytes().toByteArray());
  }

  /** Bytes that are elsewhere are not there, and the error says where they are. */
  @Test
  void bytesElsewhere() {
    var image = Image.fromId("img_1");
    assertFalse(image.hasBytes());
    var error = assertThrows(IllegalStateException.class, image::bytes);
    assertTrue(error.getMessage().contains("img_1"));
    assertTrue(image.width().isEmpty());
    assertTrue(image.expireTime().isEmpty());
    assertThrows(IllegalStateException.class, () -> Image.fromUrl("https://x.example/").bytes());
  }

  /** A data URL has type and bytes. */
  @Test
  void dataUrl() {
    var image = Image.fromBytes(ByteString.copyFromUtf8("abc"), "image/png");
    assertEquals("data:image/png;base64,YWJj", image.dataUrl());
  }
}
