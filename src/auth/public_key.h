#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ringcast/auth/token.h"

/// The door to librhonabwy: public keys, and the signatures that they check. It never sees a token's header,
/// and is never allowed to fetch.
namespace rc::auth {

/// What algorithms a key can be for.
enum class KeyKind : uint8_t { secret, rsa, p256, p384, ed25519, other };

KeyKind kind_for(Algorithm algorithm);

class PublicKey {
  public:
    /// Of a JSON Web Key that holds nothing but the key. Null if it is no public key.
    static std::unique_ptr<PublicKey> from_jwk(const std::string& json);
    /// Of one PEM block, a public key or a certificate. Null if it is neither.
    static std::unique_ptr<PublicKey> from_pem(std::string_view block);
    ~PublicKey();

    [[nodiscard]] KeyKind kind() const { return kind_; }
    [[nodiscard]] uint32_t bits() const { return bits_; }
    /// Whether it made the claim's signature. The algorithm's kind must be this key's.
    [[nodiscard]] bool made(const UnprovenToken& claim) const;

  private:
    explicit PublicKey(void* key);
    [[nodiscard]] KeyKind read_kind();
    void* key_;  // a jwk_t
    unsigned int bits_ = 0;
    KeyKind kind_;  // by read_kind(), which sets bits_ too
};

}  // namespace rc::auth
