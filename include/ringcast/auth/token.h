#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringcast/base/result.h"
#include "ringcast/base/time.h"
#include "ringcast/base/user_id.h"
#include "ringcast/proto/json_object.h"

/// JSON Web Tokens (RFC 7519) in the one form that proves a user here: three parts, one signature.
namespace rc::auth {

constexpr std::size_t kTokenBytesMax = 8 * 1024;

/// How a token may be signed (RFC 7518 section 3, RFC 8037). There is no `none`.
enum class Algorithm : uint8_t { hs256, hs384, hs512, rs256, rs384, rs512, es256, es384, eddsa };

constexpr std::array<std::string_view, 9> kAlgorithmNames{"HS256", "HS384", "HS512", "RS256", "RS384",
                                                          "RS512", "ES256", "ES384", "EdDSA"};

/// By the exact name, case and all; nullopt for every other text.
std::optional<Algorithm> algorithm_named(std::string_view name);

/// The topics that a token allows: names, or beginnings of names with a `*` behind.
class TopicRights {
  public:
    TopicRights() = default;
    explicit TopicRights(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

    /// Cost: O(patterns).
    [[nodiscard]] bool allow(std::string_view topic) const;

  private:
    std::vector<std::string> patterns_;
};

/// Who somebody has proved to be, until when, and what that allows.
struct Identity {
    UserId user;
    std::optional<TopicRights> topics;   // unset: every topic
    WallTime expires = WallTime::max();  // the token's `exp`, without leeway; max: never
};

/// What the operator demands of a token.
struct Policy {
    std::vector<Algorithm> algorithms;
    std::string issuer, audience;  // empty: not looked at
    std::string user_claim = "sub";
    Duration leeway = seconds(30);
};

/// A token that says the right things. Whether it may say them is its signature's business: KeySet::check.
struct UnprovenToken {
    Algorithm algorithm = Algorithm::hs256;
    std::optional<std::string> key_id;  // of the header
    std::string token;
    std::size_t header_bytes = 0, signed_bytes = 0;  // of the token: header; header, dot and claims
    std::string signature;                           // decoded
    Identity identity;
};

/// Judges all of a token but its signature: what costs little, and needs no key. Of the header `alg` and
/// `kid` are read, and `crit` refuses; what it says of keys and addresses is never looked at.
/// Core: one at a time; pure.
class TokenReader {
  public:
    /// @param policy  outlives this
    explicit TokenReader(const Policy& policy) : policy_(policy) {}

    /// Errors: unauthorized, with words for who issued the token that repeat none of it.
    /// Cost: O(token), at most kTokenBytesMax of it.
    /// Source: contract.md 6; RFC 7515, RFC 7519, RFC 8725.
    [[nodiscard]] Result<UnprovenToken> read(std::string_view token, WallTime now);

  private:
    [[nodiscard]] Result<Identity> judge(const proto::JsonObject& claims, WallTime now) const;

    const Policy& policy_;
    proto::JsonReader reader_;
};

/// Decodes base64url as RFC 7515 has it: no padding, no white space, no `+/`, no bits left over. Nothing for
/// any other text.
std::optional<std::string> decode_base64url(std::string_view text);
std::string encode_base64url(std::string_view bytes);

}  // namespace rc::auth
