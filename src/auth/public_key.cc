#include "public_key.h"

#include <rhonabwy.h>

#include <cstring>

#include "ringcast/base/assert.h"

namespace rc::auth {
namespace {

// A key that names its certificates by address is never followed there.
constexpr int kFlags = R_FLAG_IGNORE_REMOTE;

jwa_alg jwa(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::rs256: return R_JWA_ALG_RS256;
        case Algorithm::rs384: return R_JWA_ALG_RS384;
        case Algorithm::rs512: return R_JWA_ALG_RS512;
        case Algorithm::es256: return R_JWA_ALG_ES256;
        case Algorithm::es384: return R_JWA_ALG_ES384;
        case Algorithm::eddsa: return R_JWA_ALG_EDDSA;
        case Algorithm::hs256:
        case Algorithm::hs384:
        case Algorithm::hs512: break;
    }
    RC_ASSERT(false);
    return R_JWA_ALG_NONE;
}

bool ready() {
    static bool const done = r_global_init() == RHN_OK;
    return done;
}

struct FreeJwk {
    void operator()(jwk_t* key) const { r_jwk_free(key); }
};
using Jwk = std::unique_ptr<jwk_t, FreeJwk>;

Jwk new_jwk() {
    jwk_t* key = nullptr;
    RC_ASSERT(ready() && r_jwk_init(&key) == RHN_OK);
    return Jwk(key);
}

// rhonabwy frees these parts of a jws_t by its own allocator, which is malloc's.
unsigned char* copy_of(std::string_view text) {
    auto* copy = static_cast<unsigned char*>(std::malloc(text.size() + 1));
    RC_ASSERT(copy);
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
    return copy;
}

}  // namespace

KeyKind kind_for(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::hs256:
        case Algorithm::hs384:
        case Algorithm::hs512: return KeyKind::secret;
        case Algorithm::rs256:
        case Algorithm::rs384:
        case Algorithm::rs512: return KeyKind::rsa;
        case Algorithm::es256: return KeyKind::p256;
        case Algorithm::es384: return KeyKind::p384;
        case Algorithm::eddsa: return KeyKind::ed25519;
    }
    return KeyKind::other;
}

PublicKey::PublicKey(void* key) : key_(key), kind_(read_kind()) {}
PublicKey::~PublicKey() {
    r_jwk_free(static_cast<jwk_t*>(key_));
}

KeyKind PublicKey::read_kind() {
    int const type = r_jwk_key_type(static_cast<jwk_t*>(key_), &bits_, kFlags);
    if (!(type & R_KEY_TYPE_PUBLIC)) return KeyKind::other;
    if (type & R_KEY_TYPE_RSA) return KeyKind::rsa;
    if (type & R_KEY_TYPE_EC) {
        return bits_ == 256 ? KeyKind::p256 : bits_ == 384 ? KeyKind::p384 : KeyKind::other;
    }
    return type & R_KEY_TYPE_EDDSA && bits_ == 256 ? KeyKind::ed25519 : KeyKind::other;
}

std::unique_ptr<PublicKey> PublicKey::from_jwk(const std::string& json) {
    auto key = new_jwk();
    if (r_jwk_import_from_json_str(key.get(), json.c_str()) != RHN_OK) return nullptr;
    return std::unique_ptr<PublicKey>(new PublicKey(key.release()));
}

std::unique_ptr<PublicKey> PublicKey::from_pem(std::string_view block) {
    for (int type : {R_X509_TYPE_PUBKEY, R_X509_TYPE_CERTIFICATE}) {
        auto key = new_jwk();
        if (r_jwk_import_from_pem_der(key.get(), type, R_FORMAT_PEM,
                                      reinterpret_cast<const unsigned char*>(block.data()),
                                      block.size()) == RHN_OK)
            return std::unique_ptr<PublicKey>(new PublicKey(key.release()));
    }
    return nullptr;
}

// The library is given a signature over bytes, and no header: what it reads in one (`jwk`, `jku`, `x5c`,
// `x5u`, `zip`) does not exist for it.
bool PublicKey::made(const UnprovenToken& claim) const {
    RC_ASSERT(kind_for(claim.algorithm) == kind_);
    jws_t* jws = nullptr;
    RC_ASSERT(r_jws_init(&jws) == RHN_OK && r_jws_set_alg(jws, jwa(claim.algorithm)) == RHN_OK);
    auto const token = std::string_view(claim.token);
    jws->header_b64url = copy_of(token.substr(0, claim.header_bytes));
    jws->payload_b64url =
        copy_of(token.substr(claim.header_bytes + 1, claim.signed_bytes - claim.header_bytes - 1));
    jws->signature_b64url = copy_of(token.substr(claim.signed_bytes + 1));
    bool const good = r_jws_verify_signature(jws, static_cast<jwk_t*>(key_), kFlags) == RHN_OK;
    r_jws_free(jws);
    return good;
}

}  // namespace rc::auth
