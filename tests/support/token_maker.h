#pragma once

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/auth/token.h"

/// Makes keys and tokens by libcrypto, which the server does not check signatures with: the two agree, or a
/// test fails.
namespace rc::test {

using auth::encode_base64url;

inline const EVP_MD* digest_named(std::string_view algorithm) {
    if (algorithm.ends_with("256")) return EVP_sha256();
    if (algorithm.ends_with("384")) return EVP_sha384();
    return EVP_sha512();
}

/// A private key of one kind: "RSA", "P-256", "P-384", "P-521" or "Ed25519".
class SigningKey {
  public:
    explicit SigningKey(std::string_view kind, unsigned int rsa_bits = 2048)
        : kind_(kind),
          key_(kind == "RSA"       ? EVP_RSA_gen(rsa_bits)
               : kind == "Ed25519" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                   : EVP_EC_gen(kind_.c_str()),
               &EVP_PKEY_free) {
        EXPECT_TRUE(key_);
    }

    /// As JWS has it: r and s side by side for a curve.
    [[nodiscard]] std::string sign(std::string_view algorithm, std::string_view text) const {
        auto der = sign_der(algorithm, text);
        if (kind_[0] != 'P') return der;
        std::size_t const part = kind_ == "P-256" ? 32 : kind_ == "P-384" ? 48 : 66;
        const auto* at = reinterpret_cast<const unsigned char*>(der.data());
        std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> const sig(
            d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), &ECDSA_SIG_free);
        std::string out(2 * part, '\0');
        auto* bytes = reinterpret_cast<unsigned char*>(out.data());
        BN_bn2binpad(ECDSA_SIG_get0_r(sig.get()), bytes, static_cast<int>(part));
        BN_bn2binpad(ECDSA_SIG_get0_s(sig.get()), bytes + part, static_cast<int>(part));
        return out;
    }
    /// As X.509 has it.
    [[nodiscard]] std::string sign_der(std::string_view algorithm, std::string_view text) const {
        std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> const context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
        std::string out(1024, '\0');
        std::size_t size = out.size();
        EXPECT_EQ(
            EVP_DigestSignInit(context.get(), nullptr, kind_ == "Ed25519" ? nullptr : digest_named(algorithm),
                               nullptr, key_.get()),
            1);
        EXPECT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                                 reinterpret_cast<const unsigned char*>(text.data()), text.size()),
                  1);
        out.resize(size);
        return out;
    }

    [[nodiscard]] std::string public_pem() const { return written(&PEM_write_bio_PUBKEY); }
    [[nodiscard]] std::string private_pem() const {
        return written([](BIO* out, EVP_PKEY* key) {
            return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    [[nodiscard]] std::string public_der() const { return written(&i2d_PUBKEY_bio); }

    /// The public key as a JSON Web Key. @param more  further members, each with a comma before it
    [[nodiscard]] std::string jwk(std::string_view more = "") const {
        std::string out;
        if (kind_ == "RSA") {
            out = R"({"kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" +
                  number(OSSL_PKEY_PARAM_RSA_E) + '"';
        } else if (kind_ == "Ed25519") {
            std::string raw(32, '\0');
            std::size_t size = raw.size();
            EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size);
            out = R"({"kty":"OKP","crv":"Ed25519","x":")" + encode_base64url(raw) + '"';
        } else {
            std::size_t const part = kind_ == "P-256" ? 32 : kind_ == "P-384" ? 48 : 66;
            out = R"({"kty":"EC","crv":")" + kind_ + R"(","x":")" + number(OSSL_PKEY_PARAM_EC_PUB_X, part) +
                  R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y, part) + '"';
        }
        return out.append(more) + '}';
    }

  private:
    template <class Write>
    [[nodiscard]] std::string written(Write&& write) const {
        std::unique_ptr<BIO, int (*)(BIO*)> const out(BIO_new(BIO_s_mem()), &BIO_free);
        EXPECT_EQ(write(out.get(), key_.get()), 1);
        char* data = nullptr;
        auto const size = BIO_get_mem_data(out.get(), &data);
        return {data, static_cast<std::size_t>(size)};
    }
    [[nodiscard]] std::string number(const char* name, std::size_t bytes = 0) const {
        BIGNUM* value = nullptr;
        EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &value), 1);
        std::string out(bytes > 0 ? bytes : static_cast<std::size_t>(BN_num_bytes(value)), '\0');
        BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
        BN_free(value);
        return encode_base64url(out);
    }

    std::string kind_;
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
};

inline std::string hmac(std::string_view algorithm, std::string_view secret, std::string_view text) {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    HMAC(digest_named(algorithm), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(out.data()), &size);
    out.resize(size);
    return out;
}

inline std::string header_of(std::string_view algorithm, std::string_view more = "") {
    return std::string(R"({"alg":")").append(algorithm).append(R"(","typ":"JWT")").append(more) + '}';
}

/// @param sign  from header, dot and claims to the signature's bytes
template <std::invocable<std::string_view> Sign>
std::string make_token(std::string_view header, std::string_view claims, Sign&& sign) {
    auto const text = encode_base64url(header) + '.' + encode_base64url(claims);
    return text + '.' + encode_base64url(sign(text));
}
inline std::string make_token(std::string_view algorithm, const SigningKey& key, std::string_view claims,
                              std::string_view header_more = "") {
    return make_token(header_of(algorithm, header_more), claims,
                      [&](std::string_view text) { return key.sign(algorithm, text); });
}
inline std::string make_token(std::string_view algorithm, std::string_view secret, std::string_view claims,
                              std::string_view header_more = "") {
    return make_token(header_of(algorithm, header_more), claims,
                      [&](std::string_view text) { return hmac(algorithm, secret, text); });
}

}  // namespace rc::test
