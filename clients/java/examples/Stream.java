import io.github.imagegen.ImageEvent;
import io.github.imagegen.ImageGenClient;
import java.nio.file.Path;

/** Draws a picture, and saves each preview as it comes. */
final class Stream {
  public static void main(String[] args) throws Exception {
    try (var client = ImageGenClient.connect();
        var stream = client.image("sandbox/scene").stream("a harbour at dawn")) {
      for (ImageEvent event : stream) {
        if (event instanceof ImageEvent.Preview preview) {
          var file = Path.of("preview-" + preview.number() + ".png");
          System.out.println("wrote " + preview.image().save(file));
        }
      }
      System.out.println("wrote " + stream.result().image().save(Path.of("harbour.png")));
    }
  }
}
