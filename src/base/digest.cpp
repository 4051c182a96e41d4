#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace glossa {
namespace {

EVP_MD_CTX* of(void* context) {
  return static_cast<EVP_MD_CTX*>(context);
}

}  // namespace

void Digest::Free::operator()(void* context) const {
  EVP_MD_CTX_free(of(context));
}

Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* const algorithm = kind == Kind::sha1 ? EVP_sha1() : EVP_sha256();
  check(context_ && EVP_DigestInit_ex(of(context_.get()), algorithm, nullptr) == 1, Code::internal,
        "{} is not available in libcrypto", kind == Kind::sha1 ? "SHA-1" : "SHA-256");
}

void Digest::update(Bytes bytes) {
  EVP_DigestUpdate(of(context_.get()), bytes.data(), bytes.size());
}

std::string Digest::hexadecimal() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_DigestFinal_ex(of(context_.get()), digest.data(), &size);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace glossa
