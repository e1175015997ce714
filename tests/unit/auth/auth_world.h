#pragma once

#include <gtest/gtest.h>

#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "../../support/token_maker.h"
#include "ringcast/auth/keys.h"

namespace rc::auth {

using test::header_of;
using test::make_token;
using test::SigningKey;

constexpr WallTime kNow{seconds(1'800'000'000)};
inline const std::string kClaims = R"({"sub":"7","exp":1800000060})";
inline const std::string kSecret = "a secret that is long enough to be one";

/// One key of each kind, made once a process.
inline const SigningKey& key_of(std::string_view kind) {
    static const SigningKey rsa("RSA"), p256("P-256"), p384("P-384"), p521("P-521"), ed25519("Ed25519");
    return kind == "RSA"     ? rsa
           : kind == "P-256" ? p256
           : kind == "P-384" ? p384
           : kind == "P-521" ? p521
                             : ed25519;
}

/// A file of the test's own, gone with it.
class TempFile {
  public:
    explicit TempFile(std::string_view text) : path_(testing::TempDir() + "/rc-auth-XXXXXX") {
        ::close(::mkstemp(path_.data()));
        write(text);
    }
    ~TempFile() { ::unlink(path_.c_str()); }
    void write(std::string_view text) const { std::ofstream(path_, std::ios::trunc) << text; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// Every algorithm, one key for each kind, and one secret.
class AuthTest : public testing::Test {
  protected:
    AuthTest() {
        for (uint8_t i = 0; i < kAlgorithmNames.size(); ++i)
            policy.algorithms.push_back(static_cast<Algorithm>(i));
    }
    void trust(std::string_view jwks) {
        auto const taken = keys.take_fetched(jwks);
        ASSERT_TRUE(taken) << taken.error().message;
    }
    void trust_key(std::string_view kind, std::string_view more = "") {
        trust(R"({"keys":[)" + key_of(kind).jwk(more) + "]}");
    }
    void trust_secret(std::string_view lines = kSecret) {
        TempFile const file(lines);
        ASSERT_TRUE(keys.load({.secrets = file.path()}).empty());
    }
    /// The user, or "refused: " and the words.
    std::string user_of(std::string_view token, WallTime now = kNow) {
        TokenReader reader(policy);
        auto const identity = verify(token, reader, keys, now);
        if (identity) return identity->user.text;
        EXPECT_EQ(identity.error().code, Errc::unauthorized);
        return "refused: " + identity.error().message;
    }
    bool refused(std::string_view token, WallTime now = kNow) {
        return user_of(token, now).starts_with("refused: ");
    }
    /// Whether a token with these claims, rightly signed, is refused.
    std::string judged(std::string_view claims, WallTime now = kNow) {
        return user_of(make_token("HS256", kSecret, claims), now);
    }

    Policy policy;
    KeyRing keys;
};

}  // namespace rc::auth
