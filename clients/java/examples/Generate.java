import io.github.imagegen.ImageGenClient;
import java.nio.file.Path;

/** Draws a picture and saves it. The server is the one that IMAGEGEN_ADDRESS names. */
final class Generate {
  public static void main(String[] args) throws Exception {
    try (var client = ImageGenClient.connect()) {
      var result = client.image("sandbox/scene").generate("a harbour at dawn");
      System.out.println("wrote " + result.image().save(Path.of("harbour.png")));
    }
  }
}
