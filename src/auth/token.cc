#include "ringcast/auth/token.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rc::auth {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr auto kValues = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < kDigits.size(); ++i)
        values[static_cast<unsigned char>(kDigits[i])] = static_cast<int8_t>(i);
    return values;
}();

// The last second that a WallTime of nanoseconds can hold, and then some: whoever names a later one means
// "never".
constexpr uint64_t kSecondsMax = 9'000'000'000;

tl::unexpected<Error> refuse(std::string_view why) {
    return fail(Errc::unauthorized, std::string(why));
}

/// A NumericDate; a string, a fraction or a negative number is none.
std::optional<WallTime> date(const proto::JsonField& field) {
    auto const at = field.integer();
    if (!at) return std::nullopt;
    return WallTime(seconds(static_cast<int64_t>(std::min(*at, kSecondsMax))));
}

std::optional<std::vector<std::string>> texts(const proto::JsonField& list) {
    auto const elements = list.elements();
    if (!elements) return std::nullopt;
    std::vector<std::string> out;
    for (const auto& element : *elements) {
        auto text = element.text();
        if (!text) return std::nullopt;
        out.push_back(std::move(*text));
    }
    return out;
}

bool names(const proto::JsonField& audience, std::string_view wanted) {
    if (auto const one = audience.text()) return *one == wanted;
    auto const several = texts(audience);
    return several && std::ranges::find(*several, wanted) != several->end();
}

/// Of every signature but RSA's, whose size is its key's.
std::size_t signature_bytes(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::hs256: return 32;
        case Algorithm::hs384: return 48;
        case Algorithm::hs512:
        case Algorithm::es256:
        case Algorithm::eddsa: return 64;
        case Algorithm::es384: return 96;
        case Algorithm::rs256:
        case Algorithm::rs384:
        case Algorithm::rs512: return 0;
    }
    return 0;
}

}  // namespace

std::optional<Algorithm> algorithm_named(std::string_view name) {
    auto const found = std::ranges::find(kAlgorithmNames, name);
    if (found == kAlgorithmNames.end()) return std::nullopt;
    return static_cast<Algorithm>(found - kAlgorithmNames.begin());
}

std::optional<std::string> decode_base64url(std::string_view text) {
    if (text.size() % 4 == 1) return std::nullopt;
    std::string out;
    out.reserve(text.size() * 3 / 4);
    uint32_t bits = 0, held = 0;
    for (unsigned char c : text) {
        if (kValues[c] < 0) return std::nullopt;
        bits = bits << 6 | static_cast<uint32_t>(kValues[c]);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out += static_cast<char>(bits >> held & 0xff);
    }
    if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;  // two texts would mean the same bytes
    return out;
}

std::string encode_base64url(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() * 4 + 2) / 3);
    uint32_t bits = 0, held = 0;
    for (unsigned char byte : bytes) {
        bits = bits << 8 | byte;
        for (held += 8; held >= 6; held -= 6)
            out += kDigits[bits >> (held - 6) & 63];
    }
    if (held > 0) out += kDigits[bits << (6 - held) & 63];
    return out;
}

bool TopicRights::allow(std::string_view topic) const {
    return std::ranges::any_of(patterns_, [topic](std::string_view pattern) {
        if (!pattern.ends_with('*')) return topic == pattern;
        return topic.starts_with(pattern.substr(0, pattern.size() - 1));
    });
}

Result<UnprovenToken> TokenReader::read(std::string_view token, WallTime now) {
    if (token.empty()) return refuse("the token is empty");
    if (token.size() > kTokenBytesMax) return refuse("the token is longer than 8192 bytes");
    auto const header_end = token.find('.');
    auto const claims_end = token.rfind('.');
    if (header_end == claims_end || token.find('.', header_end + 1) != claims_end)
        return refuse("a token has three parts, with a dot between them");

    auto const header_text = decode_base64url(token.substr(0, header_end));
    auto const claims_text = decode_base64url(token.substr(header_end + 1, claims_end - header_end - 1));
    auto signature = decode_base64url(token.substr(claims_end + 1));
    if (!header_text || !claims_text || !signature)
        return refuse("the token's parts must be base64url without padding");

    auto const header = reader_.object(*header_text);
    if (!header) return refuse("the token's header is no JSON object with each name once");
    UnprovenToken claim;
    auto const name = header->find("alg");
    auto const algorithm = name ? algorithm_named(name->text().value_or("")) : std::nullopt;
    if (!algorithm || std::ranges::find(policy_.algorithms, *algorithm) == policy_.algorithms.end())
        return refuse("the token's algorithm is not accepted here");
    claim.algorithm = *algorithm;
    if (header->find("crit")) return refuse("the token's header demands extensions");
    if (auto const id = header->find("kid")) {
        claim.key_id = id->text();
        if (!claim.key_id) return refuse("the token's kid must be a string");
    }
    auto const wanted_bytes = signature_bytes(claim.algorithm);
    if (signature->empty() || (wanted_bytes > 0 && signature->size() != wanted_bytes))
        return refuse("the token's signature does not have its algorithm's size");

    auto const claims = reader_.object(*claims_text);
    if (!claims) return refuse("the token's claims are no JSON object with each name once");
    auto identity = judge(*claims, now);
    if (!identity) return tl::unexpected(std::move(identity.error()));
    claim.identity = std::move(*identity);
    claim.token = token;
    claim.header_bytes = header_end;
    claim.signed_bytes = claims_end;
    claim.signature = std::move(*signature);
    return claim;
}

Result<Identity> TokenReader::judge(const proto::JsonObject& claims, WallTime now) const {
    Identity out;
    auto const expiry = claims.find("exp");
    auto const expires = expiry ? date(*expiry) : std::nullopt;
    if (!expires) return refuse("the token needs exp, a whole number of seconds since 1970");
    if (now >= *expires + policy_.leeway) return refuse("the token has expired");
    out.expires = *expires;
    for (auto [claim, words] : {std::pair{"nbf", "the token is not valid yet"},
                                std::pair{"iat", "the token comes from the future"}}) {
        auto const field = claims.find(claim);
        if (!field) continue;
        auto const from = date(*field);
        if (!from) return refuse("the token's nbf and iat must be whole numbers of seconds since 1970");
        if (*from > now + policy_.leeway) return refuse(words);
    }
    if (!policy_.issuer.empty()) {
        auto const issuer = claims.find("iss");
        if (!issuer || issuer->text() != policy_.issuer) return refuse("the token is another issuer's");
    }
    if (!policy_.audience.empty()) {
        auto const audience = claims.find("aud");
        if (!audience || !names(*audience, policy_.audience))
            return refuse("the token is for another audience");
    }
    auto const claim = claims.find(policy_.user_claim);
    auto user = claim ? claim->user_id() : std::nullopt;
    if (!user) return refuse("the token names no user");
    out.user = std::move(*user);
    if (auto const topics = claims.find("topics")) {
        auto patterns = texts(*topics);
        if (!patterns) return refuse("the token's topics must be a list of strings");
        out.topics.emplace(std::move(*patterns));
    }
    return out;
}

}  // namespace rc::auth
