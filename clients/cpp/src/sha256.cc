#include "sha256.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace imagegen::internal {
namespace {

void Check(int succeeded) {
  if (succeeded != 1) throw std::runtime_error("OpenSSL cannot work out a SHA-256");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Check(context_ != nullptr ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

void Sha256::Update(std::string_view data) { Check(EVP_DigestUpdate(context_.get(), data.data(), data.size())); }

std::string Sha256::Hex() {
  constexpr char kDigits[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Check(EVP_DigestFinal_ex(context_.get(), digest, &size));
  std::string hex(std::size_t{2} * size, '0');
  for (unsigned int i = 0; i < size; ++i) {
    hex[2 * i] = kDigits[digest[i] >> 4];
    hex[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return hex;
}

}  // namespace imagegen::internal
