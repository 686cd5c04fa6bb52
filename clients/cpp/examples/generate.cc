// Draws a picture and saves it: harbour.png.
#include <imagegen/client.h>

#include <iostream>

int main() {
  try {
    const imagegen::Client client;  // at IMAGEGEN_ADDRESS, else at 127.0.0.1:50051
    imagegen::CallSettings settings;
    settings.options.mutable_size()->set_width(512);
    settings.options.mutable_size()->set_height(384);
    const imagegen::ImageModel painter = client.image("sandbox/scene", settings);

    const imagegen::ImageResult result = painter.Generate("a harbour at dawn");
    std::cout << "wrote " << result.image().Save("harbour").string() << "\n";
    for (const auto& warning : result.warnings()) std::cout << warning.field() << ": " << warning.message() << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
