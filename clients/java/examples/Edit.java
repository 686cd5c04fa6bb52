import io.github.imagegen.Image;
import io.github.imagegen.ImageEdit;
import io.github.imagegen.ImageGenClient;
import io.github.imagegen.ImageGenException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Changes a part of a picture, and tells what to do when that fails. */
final class Edit {
  public static void main(String[] args) throws Exception {
    try (var client = ImageGenClient.connect()) {
      var harbour = client.image("sandbox/scene").generate("a harbour at dawn").image();
      int width = harbour.width().orElseThrow();
      int height = harbour.height().orElseThrow();
      var edit = ImageEdit.of("a starry night", harbour).withMask(upperHalf(width, height));

      var result = client.image("sandbox/scene").edit(edit);
      System.out.println("wrote " + result.image().save(Path.of("edited.png")));

      try {
        client.image("sandbox/fail-rate-limited").edit(edit);
      } catch (ImageGenException error) {
        System.out.println(error.reasonName() + ": " + error.getMessage());
        System.out.println("paid for: " + error.billed());
        error.retryDelay().ifPresent(wait -> System.out.println("try again in " + wait));
      }
    }
  }

  /** A mask that lets the upper half change: white there, black below. */
  private static Image upperHalf(int width, int height) throws IOException {
    var mask = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_GRAY);
    mask.createGraphics().fillRect(0, 0, width, height / 2);
    var png = new ByteArrayOutputStream();
    ImageIO.write(mask, "png", png);
    return Image.fromBytes(png.toByteArray());
  }
}
