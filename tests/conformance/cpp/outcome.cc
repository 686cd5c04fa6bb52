#include "outcome.h"

#include <openssl/evp.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace conformance {

std::string Sha256(std::string_view data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("no SHA-256");
  }
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) throw std::runtime_error("cannot read " + path);
  return content.str();
}

std::string BilledText(imagegen::v1::Billed billed) {
  switch (billed) {
    case imagegen::v1::BILLED_NO:
      return "no";
    case imagegen::v1::BILLED_YES:
      return "yes";
    default:
      return "unknown";
  }
}

void SetBytes(v1::Picture& picture, std::string_view bytes) {
  picture.set_size_bytes(static_cast<std::uint32_t>(bytes.size()));
  picture.set_sha256(Sha256(bytes));
}

}  // namespace conformance
