#include "auth_world.h"

namespace rc::auth {
namespace {

using Keys = AuthTest;

std::string error_of(const Result<KeySet>& set) {
    return set ? "accepted" : set.error().message;
}

TEST_F(Keys, TwoSecretsServeWhileOneFollowsTheOther) {
    std::string const older = "the older secret, long enough to be one";
    TempFile const file(kSecret + "\n\n" + older + "\r\n");
    KeyFiles const files{.secrets = file.path()};
    ASSERT_TRUE(keys.load(files).empty());
    EXPECT_EQ(keys.size(), 2U);
    EXPECT_EQ(user_of(make_token("HS256", kSecret, kClaims)), "7");
    EXPECT_EQ(user_of(make_token("HS256", older, kClaims)), "7");
    EXPECT_TRUE(refused(make_token("HS256", "", kClaims)));
    file.write(kSecret);
    ASSERT_TRUE(keys.load(files).empty());
    EXPECT_EQ(user_of(make_token("HS256", kSecret, kClaims)), "7");
    EXPECT_TRUE(refused(make_token("HS256", older, kClaims)));
}

TEST_F(Keys, AFileThatHasGoneBadCostsNoKey) {
    TempFile const secrets(kSecret), jwks(R"({"keys":[)" + key_of("P-256").jwk() + "]}"),
        pem(key_of("RSA").public_pem());
    KeyFiles const files{.secrets = secrets.path(), .public_keys = pem.path(), .jwks = jwks.path()};
    ASSERT_TRUE(keys.load(files).empty());
    secrets.write("\n\n");
    pem.write("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    jwks.write(R"({"keys":)");
    auto const wrong = keys.load(files);
    ASSERT_EQ(wrong.size(), 3U);
    EXPECT_EQ(wrong[0], "auth.jwt.secret_file: " + secrets.path() + ": holds no secret");
    EXPECT_EQ(wrong[1], "auth.jwt.public_key_file: " + pem.path() + ": holds a block that is no public key");
    EXPECT_EQ(wrong[2], "auth.jwt.jwks_file: " + jwks.path() +
                            ": is no JSON Web Key Set: an object with a list of keys");
    EXPECT_EQ(user_of(make_token("HS256", kSecret, kClaims)), "7");
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims)), "7");
    EXPECT_EQ(user_of(make_token("ES256", key_of("P-256"), kClaims)), "7");
    EXPECT_EQ(keys.load({.secrets = "/nonexistent/secrets"}).front(),
              "auth.jwt.secret_file: /nonexistent/secrets: No such file or directory");
}

TEST_F(Keys, APemFileHoldsPublicKeysOfAnyKind) {
    auto const three = key_of("RSA").public_pem() + "# a line between\n" + key_of("P-384").public_pem() +
                       key_of("Ed25519").public_pem();
    TempFile const file(three);
    ASSERT_TRUE(keys.load({.public_keys = file.path()}).empty());
    EXPECT_EQ(user_of(make_token("RS512", key_of("RSA"), kClaims)), "7");
    EXPECT_EQ(user_of(make_token("ES384", key_of("P-384"), kClaims)), "7");
    EXPECT_EQ(user_of(make_token("EdDSA", key_of("Ed25519"), kClaims)), "7");

    EXPECT_EQ(error_of(KeySet::from_pem("")), "holds no PEM block");
    EXPECT_EQ(error_of(KeySet::from_pem(key_of("RSA").private_pem())),
              "holds a private key; the server needs the public one alone");
    for (const auto& weak : {SigningKey("RSA", 1024).public_pem(), SigningKey("P-521").public_pem()})
        EXPECT_EQ(error_of(KeySet::from_pem(weak)),
                  "holds a key that no algorithm uses: RSA of 2048 bits, P-256, P-384 or Ed25519");
}

TEST_F(Keys, OfAJwksOnlyWhatSignsTokensIsKept) {
    SigningKey const weak("RSA", 1024), p521("P-521"), enc("RSA"), only256("RSA"), twice("P-256");
    auto const good =
        key_of("RSA").jwk(R"(,"kid":"good","use":"sig","x5c":["AAAA"],"x5u":"https://127.0.0.1:9/x")");
    std::string const set =
        R"({"keys":[7,{},{"kty":"RSA"},{"kty":7},{"kty":"oct","k":"c2VjcmV0"},)"
        R"({"kty":"OKP","crv":"X25519","x":"AAAA"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},)" +
        weak.jwk() + ',' + p521.jwk() + ',' + enc.jwk(R"(,"use":"enc")") + ',' +
        only256.jwk(R"(,"alg":"RSA-OAEP")") + ',' + twice.jwk(R"(,"kty":"EC")") + ',' +
        R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"AAAA"},)" + good + "]}";
    auto const kept = KeySet::from_jwks(set, false);
    ASSERT_TRUE(kept) << kept.error().message;
    EXPECT_EQ(kept->size(), 1U);
    trust(set);
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims, R"(,"kid":"good")")), "7");
    EXPECT_TRUE(refused(make_token("RS256", weak, kClaims)));
    EXPECT_TRUE(refused(make_token("RS256", enc, kClaims)));

    EXPECT_EQ(KeySet::from_jwks(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})", true)->size(), 1U);
    EXPECT_EQ(error_of(KeySet::from_jwks(R"({"keys":[]})", true)), "holds no key for any of the algorithms");
    for (std::string_view odd :
         {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[]} x)", R"({"keys":[],"keys":[]})"})
        EXPECT_EQ(error_of(KeySet::from_jwks(odd, true)),
                  "is no JSON Web Key Set: an object with a list of keys")
            << odd;
    std::string many = R"({"keys":[)";
    for (std::size_t i = 0; i < kKeysMax; ++i)
        many += "{},";
    EXPECT_EQ(error_of(KeySet::from_jwks(many + "{}]}", true)), "holds more than 64 keys");
}

TEST_F(Keys, APointThatIsNotOnItsCurveChecksNothing) {
    std::string const point = R"({"kty":"EC","crv":"P-256","x":")" + encode_base64url(std::string(32, '\1')) +
                              R"(","y":")" + encode_base64url(std::string(32, '\1')) + "\"}";
    if (auto set = KeySet::from_jwks(R"({"keys":[)" + point + "]}", false))
        trust(R"({"keys":[)" + point + "]}");
    EXPECT_TRUE(refused(make_token("ES256", key_of("P-256"), kClaims)));
}

TEST_F(Keys, TheSetThatServesSaysForWhatAlgorithms) {
    EXPECT_FALSE(keys.serves(Algorithm::rs256));
    trust_key("RSA", R"(,"alg":"RS384")");
    EXPECT_TRUE(keys.serves(Algorithm::rs384));
    EXPECT_FALSE(keys.serves(Algorithm::rs256));
    EXPECT_FALSE(keys.serves(Algorithm::hs256));
}

TEST_F(Keys, AnAnswerThatIsNoKeySetLeavesTheLastGoodOne) {
    trust_key("RSA");
    EXPECT_FALSE(keys.take_fetched("<html>"));
    EXPECT_FALSE(keys.take_fetched(R"({"keys":[]})"));
    EXPECT_EQ(user_of(make_token("RS256", key_of("RSA"), kClaims)), "7");
    trust_key("P-256");
    EXPECT_TRUE(refused(make_token("RS256", key_of("RSA"), kClaims)));
}

}  // namespace
}  // namespace rc::auth
