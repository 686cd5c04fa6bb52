// SHA-256 over bytes that come in pieces.
#ifndef IMAGEGEN_SRC_SHA256_H_
#define IMAGEGEN_SRC_SHA256_H_

#include <memory>
#include <string>
#include <string_view>

extern "C" {
struct evp_md_ctx_st;
}

namespace imagegen::internal {

// A digest in the making.
class Sha256 {
 public:
  Sha256();

  // Takes the next bytes.
  void Update(std::string_view data);

  // The digest of all bytes, 64 lowercase hex digits. Ends it.
  std::string Hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_SHA256_H_
