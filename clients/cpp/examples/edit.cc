// Changes the part of a picture that a mask allows, saves it as edited.png, and handles an error.
#include <imagegen/client.h>

#include <iostream>

namespace {

constexpr int kSide = 256;  // of picture and mask, in pixels

void Put32(std::string& out, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

// A chunk of a PNG file: length, type, data, CRC.
void PutChunk(std::string& out, const std::string& typed) {
  std::uint32_t crc = 0xffffffff;
  for (const unsigned char byte : typed) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  Put32(out, static_cast<std::uint32_t>(typed.size() - 4));
  out += typed;
  Put32(out, ~crc);
}

// A grey PNG whose lower half is white, which is where the picture may change. Its data are stored uncompressed.
std::string Mask() {
  std::string rows;
  for (int y = 0; y < kSide; ++y) rows += '\0' + std::string(kSide, y < kSide / 2 ? '\0' : '\xff');
  std::string data = "IDAT\x78\x01";
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (std::size_t at = 0; at < rows.size(); at += 65535) {
    const std::string block = rows.substr(at, 65535);
    const auto size = static_cast<std::uint32_t>(block.size());
    data += static_cast<char>(at + size == rows.size());
    for (const std::uint32_t number : {size, ~size}) {
      data += static_cast<char>(number);
      data += static_cast<char>(number >> 8);
    }
    data += block;
  }
  for (const unsigned char byte : rows) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  Put32(data, (b << 16) | a);

  std::string png = "\x89PNG\r\n\x1a\n";
  std::string header = "IHDR";
  Put32(header, kSide);
  Put32(header, kSide);
  header += std::string("\x08\0\0\0\0", 5);  // 8 bits of grey
  PutChunk(png, header);
  PutChunk(png, data);
  PutChunk(png, "IEND");
  return png;
}

// What went wrong, whether it was paid for, and what to do now.
void Explain(const imagegen::Error& error) {
  std::cout << error.reason_name() << ": " << error.message() << "\n";
  std::cout << "paid for: " << (error.billed() == imagegen::v1::BILLED_NO ? "no" : "perhaps") << "\n";
  for (const auto& violation : error.violations()) {
    std::cout << violation.field << ": " << violation.description << "\n";
  }
  if (error.retry_delay()) {
    std::cout << "try again in " << std::chrono::duration<double>(*error.retry_delay()).count() << " s\n";
  } else if (error.billed() == imagegen::v1::BILLED_NO) {
    std::cout << "change the request, or ask another model\n";
  } else {
    std::cout << "do not try again by yourself: it may cost twice\n";
  }
}

}  // namespace

int main() {
  try {
    const imagegen::Client client;
    imagegen::CallSettings settings;
    settings.options.mutable_size()->set_width(kSide);
    settings.options.mutable_size()->set_height(kSide);
    const imagegen::ImageModel painter = client.image("sandbox/scene", settings);

    const imagegen::ImageResult harbour = painter.Generate("a harbour at dawn");
    const imagegen::Image mask = imagegen::Image::FromBytes(Mask(), "image/png");
    const imagegen::ImageResult edited = painter.Edit("a sailing boat", {{harbour.image()}, mask});
    std::cout << "wrote " << edited.image().Save("edited").string() << "\n";

    try {
      client.image("sandbox/fail-rate-limited").Edit("a sailing boat", {{harbour.image()}, mask});
      std::cerr << "this model should have failed\n";
      return 1;
    } catch (const imagegen::Error& error) {
      Explain(error);
      return error.reason() == imagegen::v1::ERROR_REASON_RATE_LIMITED ? 0 : 1;
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
