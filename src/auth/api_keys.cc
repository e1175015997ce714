#include "ringcast/auth/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <memory>

#include "ringcast/base/assert.h"

namespace rc::auth {
namespace {

constexpr std::array<std::string_view, 3> kRightNames{"publish", "read", "admin"};
static_assert(sizeof(Sha256) == SHA256_DIGEST_LENGTH);

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string_view right_name(Right right) {
    return kRightNames[static_cast<std::size_t>(right)];
}

std::optional<Right> right_named(std::string_view name) {
    for (std::size_t i = 0; i < kRightNames.size(); ++i)
        if (kRightNames[i] == name) return static_cast<Right>(i);
    return std::nullopt;
}

Sha256 sha256(std::string_view text) {
    // SHA256() looks the algorithm up each time, which costs ten times the digest of a key.
    static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    thread_local std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(),
                                                                                       &EVP_MD_CTX_free);
    Sha256 digest;
    RC_ASSERT(EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr) == 1 &&
              EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1 &&
              EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
    return digest;
}

std::string hex(const Sha256& digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(2 * digest.size());
    for (uint8_t byte : digest) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

std::optional<Sha256> parse_sha256(std::string_view text) {
    Sha256 digest;
    if (text.size() != 2 * digest.size()) return std::nullopt;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        int const high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        digest[i] = static_cast<uint8_t>(high << 4 | low);
    }
    return digest;
}

const ApiKey* ApiKeys::find(std::string_view presented) const {
    auto const digest = sha256(presented);
    const ApiKey* found = nullptr;
    for (const auto& key : keys_)
        if (CRYPTO_memcmp(key.digest.data(), digest.data(), digest.size()) == 0) found = &key;
    return found;
}

}  // namespace rc::auth
