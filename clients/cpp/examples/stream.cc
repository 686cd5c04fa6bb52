// Draws a picture and saves each preview as it comes: preview-1.png, ..., harbour.png.
#include <imagegen/client.h>

#include <iostream>

int main() {
  try {
    const imagegen::Client client;
    imagegen::CallSettings settings;
    settings.options.mutable_size()->set_width(512);
    settings.options.mutable_size()->set_height(384);
    settings.options.set_preview_count(3);

    imagegen::ImageStream stream = client.image("sandbox/scene", settings).Stream("a harbour at dawn");
    for (const imagegen::Event& event : stream) {
      if (const auto* preview = std::get_if<imagegen::Preview>(&event)) {
        const auto path = preview->image.Save("preview-" + std::to_string(preview->number));
        std::cout << "wrote " << path.string() << "\n";
      } else if (const auto* failed = std::get_if<imagegen::Failed>(&event)) {
        std::cout << "image " << failed->index() << " will not come: " << failed->message() << "\n";
      }
    }
    std::cout << "wrote " << stream.Result().image().Save("harbour").string() << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
