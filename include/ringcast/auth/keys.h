#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringcast/auth/token.h"
#include "ringcast/base/result.h"

namespace rc::auth {

constexpr std::size_t kKeysMax = 64;                    // a source
constexpr std::size_t kKeySourceBytesMax = 256 * 1024;  // a file, or an answer

enum class Signature : uint8_t {
    good,
    bad,
    unknown_key,  // bad, and no key has the token's `kid`: a newer set of keys may
};

/// Why it refuses a token, in words for who issued it. Not for good ones.
std::string_view refusal(Signature signature);

/// Keys and secrets that tokens may be signed with. Core: any, one at a time; may be handed over.
class KeySet {
  public:
    KeySet();
    ~KeySet();
    KeySet(KeySet&&) noexcept;
    KeySet& operator=(KeySet&&) noexcept;

    /// One secret a line, used as the bytes of the line; empty lines are passed over.
    /// Errors: settings, with words that go behind the source's name and hold nothing of its text.
    static Result<KeySet> from_secrets(std::string_view text);
    /// Public keys, or certificates that hold them, one behind the other. Errors: as above.
    static Result<KeySet> from_pem(std::string_view text);
    /// A JSON Web Key Set (RFC 7517). Keys that are for something else, private, weak, or of a kind that no
    /// algorithm here uses are passed over. Errors: as above.
    /// @param secrets  whether its `oct` keys count; never for a set that is fetched
    static Result<KeySet> from_jwks(std::string_view text, bool secrets);

    /// Whether one of the keys made the token's signature: of those that fit its algorithm, the ones with its
    /// `kid` and the ones that have none. A key fits one family of algorithms, so no public key is ever taken
    /// for a secret. Cost: 1 us a secret, some 50 (RS256) to 500 us (ES384) for each other key tried.
    [[nodiscard]] Signature check(const UnprovenToken& claim) const;

    /// Whether any key is for this algorithm.
    [[nodiscard]] bool serves(Algorithm algorithm) const;
    [[nodiscard]] std::size_t size() const;

  private:
    class Key;
    std::vector<Key> keys_;
};

/// Where keys stand; an empty path means none.
struct KeyFiles {
    std::string secrets, public_keys, jwks;
};

/// The sets of several sources, each replaced by itself: a file that has become unreadable costs none of its
/// keys, nor those of another source.
class KeyRing {
  public:
    /// Reads each file anew. Of one that cannot be used the last good keys stay.
    /// @return what was wrong, one line a file: `secret_file: PATH: why`. Cost: reads the files.
    std::vector<std::string> load(const KeyFiles& files);
    /// What a URL has answered. Errors: as KeySet::from_jwks(); then the last good set stays.
    Result<void> take_fetched(std::string_view text);

    [[nodiscard]] Signature check(const UnprovenToken& claim) const;
    [[nodiscard]] bool serves(Algorithm algorithm) const;
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] bool fetched() const { return fetched_; }

  private:
    enum Source : uint8_t { secrets, public_keys, jwks, url, sources };
    std::array<KeySet, sources> sets_;
    bool fetched_ = false;
};

/// A token's user, if everything about it holds. Errors: unauthorized.
Result<Identity> verify(std::string_view token, TokenReader& reader, const KeyRing& keys, WallTime now);

}  // namespace rc::auth
