#include "ringcast/auth/keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "public_key.h"

namespace rc::auth {
namespace {

constexpr uint32_t kRsaBitsMin = 2048;  // RFC 7518 section 3.3

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::settings, std::move(why));
}

const EVP_MD* digest_of(Algorithm algorithm) {
    return algorithm == Algorithm::hs256   ? EVP_sha256()
           : algorithm == Algorithm::hs384 ? EVP_sha384()
                                           : EVP_sha512();
}

bool made_by(std::string_view secret, const UnprovenToken& claim) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
    unsigned int size = 0;
    if (!HMAC(digest_of(claim.algorithm), secret.data(), static_cast<int>(secret.size()),
              reinterpret_cast<const unsigned char*>(claim.token.data()), claim.signed_bytes, mac.data(),
              &size))
        return false;
    return size == claim.signature.size() && CRYPTO_memcmp(mac.data(), claim.signature.data(), size) == 0;
}

/// What a public JSON Web Key consists of; nothing where no algorithm uses its kind.
std::optional<std::vector<std::string_view>> shape_of(std::string_view type, std::string_view curve) {
    if (type == "RSA") return std::vector<std::string_view>{"n", "e"};
    if (type == "EC" && (curve == "P-256" || curve == "P-384"))
        return std::vector<std::string_view>{"crv", "x", "y"};
    if (type == "OKP" && curve == "Ed25519") return std::vector<std::string_view>{"crv", "x"};
    return std::nullopt;
}

Result<std::string> read_whole(const std::string& path) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const in(std::fopen(path.c_str(), "rbe"), &std::fclose);
    if (!in) return refuse(std::strerror(errno));
    std::string text(kKeySourceBytesMax + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), in.get()));
    if (std::ferror(in.get())) return refuse(std::strerror(errno));
    if (text.size() > kKeySourceBytesMax)
        return refuse(fmt::format("is larger than {} bytes", kKeySourceBytesMax));
    return text;
}

}  // namespace

std::string_view refusal(Signature signature) {
    return signature == Signature::unknown_key ? "the token is signed with a key that is not known here"
                                               : "the token's signature does not hold";
}

class KeySet::Key {
  public:
    explicit Key(std::string secret) : secret_(std::move(secret)) {}
    explicit Key(std::unique_ptr<PublicKey> key) : public_(std::move(key)) {}
    Key(Key&&) = default;
    Key& operator=(Key&&) = default;
    ~Key() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

    std::optional<std::string> id;
    std::optional<Algorithm> algorithm;  // the only one that it is for; unset: each of its kind

    [[nodiscard]] bool fits(Algorithm wanted) const {
        return (!algorithm || *algorithm == wanted) && kind_for(wanted) == kind();
    }
    [[nodiscard]] bool made(const UnprovenToken& claim) const {
        if (public_) return public_->made(claim);
        return made_by(secret_, claim);
    }
    /// Not worth keeping: no algorithm uses such a key, or it is too weak.
    [[nodiscard]] bool useless() const {
        return kind() == KeyKind::other || (kind() == KeyKind::rsa && public_->bits() < kRsaBitsMin);
    }

  private:
    [[nodiscard]] KeyKind kind() const { return public_ ? public_->kind() : KeyKind::secret; }

    std::string secret_;
    std::unique_ptr<PublicKey> public_;
};

KeySet::KeySet() = default;
KeySet::~KeySet() = default;
KeySet::KeySet(KeySet&&) noexcept = default;
KeySet& KeySet::operator=(KeySet&&) noexcept = default;

Result<KeySet> KeySet::from_secrets(std::string_view text) {
    KeySet out;
    while (!text.empty()) {
        auto const end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) out.keys_.emplace_back(std::string(line));
    }
    if (out.keys_.empty()) return refuse("holds no secret");
    if (out.keys_.size() > kKeysMax) return refuse(fmt::format("holds more than {} secrets", kKeysMax));
    return out;
}

Result<KeySet> KeySet::from_pem(std::string_view text) {
    constexpr std::string_view kBegin = "-----BEGIN ";
    KeySet out;
    for (auto at = text.find(kBegin); at != std::string_view::npos;) {
        auto const next = text.find(kBegin, at + 1);
        auto const block = text.substr(at, next == std::string_view::npos ? next : next - at);
        at = next;
        if (block.substr(0, block.find('\n')).find("PRIVATE") != std::string_view::npos)
            return refuse("holds a private key; the server needs the public one alone");
        auto key = PublicKey::from_pem(block);
        if (!key) return refuse("holds a block that is no public key");
        out.keys_.emplace_back(std::move(key));
        if (out.keys_.back().useless())
            return refuse("holds a key that no algorithm uses: RSA of 2048 bits, P-256, P-384 or Ed25519");
        if (out.keys_.size() > kKeysMax) return refuse(fmt::format("holds more than {} keys", kKeysMax));
    }
    if (out.keys_.empty()) return refuse("holds no PEM block");
    return out;
}

Result<KeySet> KeySet::from_jwks(std::string_view text, bool secrets) {
    KeySet out;
    proto::JsonReader reader;
    auto const set = reader.object(text);
    auto const list = set ? set->find("keys") : std::nullopt;
    auto const keys = list ? list->elements() : std::nullopt;
    if (!keys) return refuse("is no JSON Web Key Set: an object with a list of keys");
    if (keys->size() > kKeysMax) return refuse(fmt::format("holds more than {} keys", kKeysMax));
    for (const auto& element : *keys) {
        auto const jwk = reader.object(element.raw());
        if (!jwk) continue;
        auto const text_of = [&jwk](std::string_view name) {
            auto const field = jwk->find(name);
            return field ? field->text() : std::nullopt;
        };
        auto const type = text_of("kty");
        if (!type || jwk->find("d")) continue;
        if (jwk->find("use") && text_of("use") != "sig") continue;
        std::optional<Key> key;
        if (*type == "oct") {
            auto secret = decode_base64url(text_of("k").value_or(""));
            if (secrets && secret && !secret->empty()) key.emplace(std::move(*secret));
        } else if (auto const shape = shape_of(*type, text_of("crv").value_or(""))) {
            // Nothing but the key itself: no certificates, and no addresses of any.
            std::string bare = fmt::format(R"({{"kty":"{}")", *type);
            for (auto name : *shape) {
                auto const field = jwk->find(name);
                if (field) bare += fmt::format(R"(,"{}":{})", name, field->raw());
            }
            if (auto found = PublicKey::from_jwk(bare + '}')) key.emplace(std::move(found));
        }
        if (!key || key->useless()) continue;
        if (jwk->find("alg")) {
            key->algorithm = algorithm_named(text_of("alg").value_or(""));
            if (!key->algorithm) continue;
        }
        key->id = text_of("kid");
        out.keys_.push_back(std::move(*key));
    }
    if (out.keys_.empty()) return refuse("holds no key for any of the algorithms");
    return out;
}

Signature KeySet::check(const UnprovenToken& claim) const {
    auto outcome = claim.key_id ? Signature::unknown_key : Signature::bad;
    for (const auto& key : keys_) {
        if (claim.key_id && key.id == claim.key_id) outcome = Signature::bad;
        if (!key.fits(claim.algorithm) || (claim.key_id && key.id && key.id != claim.key_id)) continue;
        if (key.made(claim)) return Signature::good;
    }
    return outcome;
}

bool KeySet::serves(Algorithm algorithm) const {
    return std::ranges::any_of(keys_, [algorithm](const Key& key) { return key.fits(algorithm); });
}

std::size_t KeySet::size() const {
    return keys_.size();
}

// --- several sources

std::vector<std::string> KeyRing::load(const KeyFiles& files) {
    std::vector<std::string> wrong;
    auto const take = [&](Source source, std::string_view setting, const std::string& path, auto&& parse) {
        if (path.empty()) return;
        auto const text = read_whole(path);
        auto set = text ? parse(*text) : Result<KeySet>(tl::unexpected(text.error()));
        if (set) {
            sets_[source] = std::move(*set);
        } else {
            wrong.push_back(fmt::format("{}: {}: {}", setting, path, set.error().message));
        }
    };
    take(secrets, "auth.jwt.secret_file", files.secrets, KeySet::from_secrets);
    take(public_keys, "auth.jwt.public_key_file", files.public_keys, KeySet::from_pem);
    take(jwks, "auth.jwt.jwks_file", files.jwks,
         [](std::string_view text) { return KeySet::from_jwks(text, true); });
    return wrong;
}

Result<void> KeyRing::take_fetched(std::string_view text) {
    auto set = KeySet::from_jwks(text, false);
    if (!set) return tl::unexpected(std::move(set.error()));
    sets_[url] = std::move(*set);
    fetched_ = true;
    return {};
}

Signature KeyRing::check(const UnprovenToken& claim) const {
    auto outcome = claim.key_id ? Signature::unknown_key : Signature::bad;
    for (const auto& set : sets_) {
        auto const one = set.check(claim);
        if (one == Signature::good) return one;
        if (one == Signature::bad) outcome = one;
    }
    return outcome;
}

bool KeyRing::serves(Algorithm algorithm) const {
    return std::ranges::any_of(sets_, [algorithm](const KeySet& set) { return set.serves(algorithm); });
}

std::size_t KeyRing::size() const {
    std::size_t sum = 0;
    for (const auto& set : sets_)
        sum += set.size();
    return sum;
}

Result<Identity> verify(std::string_view token, TokenReader& reader, const KeyRing& keys, WallTime now) {
    auto claim = reader.read(token, now);
    if (!claim) return tl::unexpected(std::move(claim.error()));
    auto const signature = keys.check(*claim);
    if (signature == Signature::good) return std::move(claim->identity);
    return fail(Errc::unauthorized, std::string(refusal(signature)));
}

}  // namespace rc::auth
