// In the manner of Wycheproof: for each algorithm, what is right, and what only looks like it.
#include "auth_world.h"

namespace rc::auth {
namespace {

struct Case {
    std::string_view algorithm, kind;
};
constexpr Case kAsymmetric[] = {{"RS256", "RSA"},   {"RS384", "RSA"},   {"RS512", "RSA"},
                                {"ES256", "P-256"}, {"ES384", "P-384"}, {"EdDSA", "Ed25519"}};

class Signatures : public AuthTest {
  protected:
    /// The same header and claims, with another signature.
    static std::string with_signature(std::string_view algorithm, std::string_view signature) {
        return make_token(header_of(algorithm), kClaims,
                          [&](std::string_view) { return std::string(signature); });
    }
    static std::string right_signature(const Case& c) {
        std::string out;
        make_token(header_of(c.algorithm), kClaims,
                   [&](std::string_view text) { return out = key_of(c.kind).sign(c.algorithm, text); });
        return out;
    }
};

TEST_F(Signatures, EachAlgorithmAcceptsItsOwn) {
    for (const auto& c : kAsymmetric) {
        trust_key(c.kind);
        EXPECT_EQ(user_of(make_token(c.algorithm, key_of(c.kind), kClaims)), "7") << c.algorithm;
    }
    trust_secret();
    for (std::string_view algorithm : {"HS256", "HS384", "HS512"})
        EXPECT_EQ(user_of(make_token(algorithm, kSecret, kClaims)), "7") << algorithm;
}

TEST_F(Signatures, EachAlgorithmRefusesAnotherKeysAndAChangedText) {
    for (const auto& c : kAsymmetric) {
        trust_key(c.kind);
        SigningKey const other(c.kind);
        EXPECT_TRUE(refused(make_token(c.algorithm, other, kClaims))) << c.algorithm;
        auto const signature = right_signature(c);
        EXPECT_EQ(user_of(with_signature(c.algorithm, signature)), "7") << c.algorithm;
        EXPECT_TRUE(refused(make_token(header_of(c.algorithm), R"({"sub":"8","exp":1800000060})",
                                       [&](std::string_view) { return signature; })))
            << c.algorithm;
        EXPECT_TRUE(refused(make_token(header_of(c.algorithm, R"(,"x":1)"), kClaims, [&](std::string_view) {
            return signature;
        }))) << c.algorithm;
    }
}

TEST_F(Signatures, ASignatureThatIsBentCutOrPaddedIsRefused) {
    for (const auto& c : kAsymmetric) {
        trust_key(c.kind);
        auto const signature = right_signature(c);
        for (std::size_t i = 0; i < signature.size(); i += 7) {
            auto bent = signature;
            bent[i] = static_cast<char>(bent[i] ^ 1);
            EXPECT_TRUE(refused(with_signature(c.algorithm, bent))) << c.algorithm << " byte " << i;
        }
        for (const auto& odd : {std::string(), signature.substr(1), signature.substr(0, signature.size() - 1),
                                signature + '\0', '\0' + signature, signature + signature,
                                std::string(signature.size(), '\0'), std::string(signature.size(), '\xff')})
            EXPECT_TRUE(refused(with_signature(c.algorithm, odd))) << c.algorithm << ' ' << odd.size();
        auto const good = with_signature(c.algorithm, signature);
        for (std::string_view tail : {"=", "==", "A", " ", "\n"})
            EXPECT_TRUE(refused(good + std::string(tail))) << c.algorithm;
    }
}

TEST_F(Signatures, ASecretsSignatureThatIsBentOrCutIsRefused) {
    trust_secret();
    for (std::string_view algorithm : {"HS256", "HS384", "HS512"}) {
        std::string signature;
        make_token(header_of(algorithm), kClaims,
                   [&](std::string_view text) { return signature = test::hmac(algorithm, kSecret, text); });
        EXPECT_EQ(user_of(with_signature(algorithm, signature)), "7");
        for (std::size_t i = 0; i < signature.size(); ++i) {
            auto bent = signature;
            bent[i] = static_cast<char>(bent[i] ^ 0x80);
            EXPECT_TRUE(refused(with_signature(algorithm, bent))) << algorithm << " byte " << i;
            EXPECT_TRUE(refused(with_signature(algorithm, signature.substr(0, i))))
                << algorithm << " cut " << i;
        }
        EXPECT_TRUE(refused(with_signature(algorithm, signature + signature)));
        EXPECT_TRUE(refused(make_token(algorithm, kSecret + ' ', kClaims)));
    }
}

TEST_F(Signatures, ACurvesSignatureIsRAndSAndNeverZeroAndNeverDer) {
    for (const auto& c : {kAsymmetric[3], kAsymmetric[4]}) {
        trust_key(c.kind);
        auto const signature = right_signature(c);
        auto const half = signature.size() / 2;
        auto const r = signature.substr(0, half), s = signature.substr(half);
        std::string const zero(half, '\0'), one = std::string(half - 1, '\0') + '\1';
        for (const auto& odd : {zero + zero, zero + s, r + zero, one + one, s + r, r + r, zero + one})
            EXPECT_TRUE(refused(with_signature(c.algorithm, odd))) << c.algorithm;
        EXPECT_TRUE(refused(make_token(header_of(c.algorithm), kClaims, [&](std::string_view text) {
            return key_of(c.kind).sign_der(c.algorithm, text);
        }))) << c.algorithm;
        // Each half with one more byte of zeros, as an ASN.1 integer would have it.
        EXPECT_TRUE(refused(with_signature(c.algorithm, '\0' + r + '\0' + s))) << c.algorithm;
    }
}

TEST_F(Signatures, AKeyServesItsOwnAlgorithmsAlone) {
    // ES256 is P-256 with SHA-256, whatever else could be computed.
    trust_key("P-384");
    EXPECT_TRUE(refused(make_token("ES256", key_of("P-384"), kClaims)));
    EXPECT_TRUE(refused(make_token("ES256", key_of("P-256"), kClaims)));
    trust_key("P-256");
    EXPECT_TRUE(refused(make_token("ES384", key_of("P-256"), kClaims)));
    EXPECT_TRUE(refused(make_token("EdDSA", key_of("P-256"), kClaims)));
    EXPECT_TRUE(refused(make_token("RS256", key_of("P-256"), kClaims)));
    trust_key("RSA");
    EXPECT_TRUE(refused(make_token(header_of("RS256"), kClaims,
                                   [](std::string_view text) { return key_of("RSA").sign("RS512", text); })));
    // A key that says what it is for is for nothing else.
    trust_key("RSA", R"(,"alg":"RS256")");
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims)), "7");
    EXPECT_TRUE(refused(make_token("RS512", key_of("RSA"), kClaims)));
}

TEST_F(Signatures, APublicKeyIsNeverASecret) {
    TempFile const pem(key_of("RSA").public_pem());
    ASSERT_TRUE(keys.load({.public_keys = pem.path()}).empty());
    trust_key("RSA");
    auto const text = key_of("RSA").public_pem();
    for (const auto& secret : {text, text.substr(0, text.size() - 1), key_of("RSA").public_der(),
                               key_of("RSA").jwk(), std::string()}) {
        for (std::string_view algorithm : {"HS256", "HS384", "HS512"})
            EXPECT_TRUE(refused(make_token(algorithm, secret, kClaims)));
    }
    // Nor does a set that is fetched bring secrets.
    EXPECT_FALSE(keys.take_fetched(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})"));
    EXPECT_TRUE(refused(make_token("HS256", "secret", kClaims)));
}

TEST_F(Signatures, NoSignatureIsNone) {
    trust_secret();
    trust_key("RSA");
    for (std::string_view algorithm :
         {"none", "None", "NONE", "nOnE", "", "HS256 ", "hs256", "HS1", "PS256"}) {
        EXPECT_TRUE(refused(make_token(algorithm, kSecret, kClaims))) << algorithm;
        EXPECT_TRUE(refused(make_token(header_of(algorithm), kClaims, [](std::string_view) {
            return std::string();
        }))) << algorithm;
    }
    for (std::string_view header :
         {R"({"typ":"JWT"})", R"({"alg":null})", R"({"alg":["HS256"]})", R"({"alg":7})"}) {
        EXPECT_TRUE(refused(make_token(header, kClaims, [](std::string_view text) {
            return test::hmac("HS256", kSecret, text);
        }))) << header;
    }
}

TEST_F(Signatures, AnAlgorithmOutsideTheListIsRefusedThoughAKeyFits) {
    trust_secret();
    policy.algorithms = {Algorithm::hs256, Algorithm::rs256};
    EXPECT_EQ(user_of(make_token("HS256", kSecret, kClaims)), "7");
    EXPECT_EQ(user_of(make_token("HS512", kSecret, kClaims)),
              "refused: the token's algorithm is not accepted here");
}

TEST_F(Signatures, WhatAHeaderBringsAlongIsNoKey) {
    SigningKey const theirs("RSA");
    trust_key("RSA");
    auto const signed_by_them = [&](std::string_view more) {
        return make_token("RS256", theirs, kClaims, more);
    };
    EXPECT_TRUE(refused(signed_by_them(R"(,"jwk":)" + theirs.jwk())));
    EXPECT_TRUE(refused(signed_by_them(R"(,"jku":"https://evil.example/keys")")));
    EXPECT_TRUE(refused(signed_by_them(R"(,"x5u":"https://evil.example/cert","x5c":["AAAA"])")));
    EXPECT_TRUE(refused(signed_by_them(R"(,"kid":"https://evil.example/keys")")));
    EXPECT_TRUE(refused(signed_by_them(R"(,"kid":"../../dev/null")")));
    // The same beside a right signature is ignored.
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims,
                                 R"(,"jku":"https://evil.example/keys","jwk":)" + theirs.jwk())),
              "7");
    // But not what demands to be understood.
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims, R"(,"crit":["exp"])")),
              "refused: the token's header demands extensions");
    EXPECT_TRUE(refused(make_token("RS256", key_of("RSA"), kClaims, R"(,"crit":[])")));
    EXPECT_TRUE(refused(make_token("RS256", key_of("RSA"), kClaims, R"(,"b64":false,"crit":["b64"])")));
}

TEST_F(Signatures, AKidChoosesTheKeyAndWithoutOneEachIsTried) {
    SigningKey const a("P-256"), b("P-256"), b2("P-256");
    trust(R"({"keys":[)" + a.jwk(R"(,"kid":"a")") + ',' + b.jwk(R"(,"kid":"b")") + ',' +
          b2.jwk(R"(,"kid":"b")") + "]}");
    EXPECT_EQ(user_of(make_token("ES256", a, kClaims, R"(,"kid":"a")")), "7");
    EXPECT_EQ(user_of(make_token("ES256", b2, kClaims, R"(,"kid":"b")")), "7");
    EXPECT_EQ(user_of(make_token("ES256", a, kClaims, R"(,"kid":"b")")),
              "refused: the token's signature does not hold");
    EXPECT_EQ(user_of(make_token("ES256", a, kClaims, R"(,"kid":"c")")),
              "refused: the token is signed with a key that is not known here");
    for (const auto* key : {&a, &b, &b2})
        EXPECT_EQ(user_of(make_token("ES256", *key, kClaims)), "7");
    for (std::string_view odd : {"7", "null", R"(["a"])"})
        EXPECT_TRUE(refused(make_token("ES256", a, kClaims, R"(,"kid":)" + std::string(odd)))) << odd;
    EXPECT_TRUE(refused(make_token("ES256", a, kClaims, R"(,"kid":"a\u0000")")));
    EXPECT_TRUE(refused(make_token("ES256", a, kClaims, R"(,"kid":")" + std::string(10'000, 'a') + '"')));
}

TEST_F(Signatures, AKeyWithoutAKidServesTokensWithOne) {
    trust_secret();
    EXPECT_EQ(user_of(make_token("HS256", kSecret, kClaims, R"(,"kid":"2026-11")")), "7");
    EXPECT_EQ(user_of(make_token("HS256", "another secret", kClaims, R"(,"kid":"2026-11")")),
              "refused: the token is signed with a key that is not known here");
}

}  // namespace
}  // namespace rc::auth
