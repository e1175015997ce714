#include "auth_world.h"

namespace rc::auth {
namespace {

class Claims : public AuthTest {
  protected:
    Claims() { trust_secret(); }
};

const std::string kNoUser = "refused: the token names no user";
const std::string kExpired = "refused: the token has expired";

TEST_F(Claims, ATokenIsGoodUntilItsExpiryAndTheLeewayHavePassed) {
    EXPECT_EQ(judged(kClaims), "7");
    auto const end = kNow + seconds(60) + policy.leeway;
    EXPECT_EQ(judged(kClaims, end - Duration(1)), "7");
    EXPECT_EQ(judged(kClaims, end), kExpired);
    policy.leeway = seconds(0);
    EXPECT_EQ(judged(kClaims, kNow + seconds(60)), kExpired);
}

TEST_F(Claims, AnExpiryIsAWholeNumberOfSecondsAndNothingElse) {
    for (std::string_view exp : {"\"1800000060\"", "1800000060.0", "1.8e9", "1e300", "-1", "-0", "null", "[]",
                                 "true", "18000000600000000000000"}) {
        EXPECT_TRUE(judged(R"({"sub":"7","exp":)" + std::string(exp) + '}')
                        .starts_with("refused: the token needs exp"))
            << exp;
    }
    EXPECT_TRUE(judged(R"({"sub":"7"})").starts_with("refused: the token needs exp"));
    EXPECT_EQ(judged(R"({"sub":"7","exp":0})"), kExpired);
    EXPECT_EQ(judged(R"({"sub":"7","exp":18446744073709551615})"), "7");  // never
}

TEST_F(Claims, ATokenIsNotUsedBeforeItsTime) {
    for (std::string_view name : {"nbf", "iat"}) {
        auto const claims = [name](std::string_view at) {
            return std::string(R"({"sub":"7","exp":1800000060,")").append(name).append("\":").append(at) +
                   '}';
        };
        EXPECT_EQ(judged(claims("1800000030")), "7") << name;
        EXPECT_NE(judged(claims("1800000031")), "7") << name;
        for (std::string_view odd : {"\"1\"", "1.5", "-5", "1e9", "null"})
            EXPECT_NE(judged(claims(odd)), "7") << name << odd;
    }
}

TEST_F(Claims, IssuerAndAudienceAreDemandedWhereTheyAreSet) {
    auto const with = [](std::string_view more) {
        return std::string(R"({"sub":"7","exp":1800000060)").append(more) + '}';
    };
    EXPECT_EQ(judged(with(R"(,"iss":"any","aud":["one","two"])")), "7");
    policy.issuer = "https://issuer";
    for (std::string_view other :
         {"", R"(,"iss":"https://issuer/")", R"(,"iss":["https://issuer"])", R"(,"iss":7)"})
        EXPECT_EQ(judged(with(other)), "refused: the token is another issuer's") << other;
    EXPECT_EQ(judged(with(R"(,"iss":"https://issuer")")), "7");
    EXPECT_EQ(judged(with(R"(,"iss":"https:\/\/issuer")")), "7");
    policy.issuer.clear();
    policy.audience = "ours";
    for (std::string_view other : {"", R"(,"aud":"our")", R"(,"aud":["a","b"])", R"(,"aud":[])",
                                   R"(,"aud":["ours",7])", R"(,"aud":{"ours":1})"})
        EXPECT_EQ(judged(with(other)), "refused: the token is for another audience") << other;
    EXPECT_EQ(judged(with(R"(,"aud":"ours")")), "7");
    EXPECT_EQ(judged(with(R"(,"aud":["theirs","ours"])")), "7");
}

TEST_F(Claims, TheUserIsAnIntegerOrAStringByTheRuleOfEveryUserId) {
    auto const user = [this](std::string_view sub) {
        return judged(std::string(R"({"exp":1800000060,"sub":)").append(sub) + '}');
    };
    EXPECT_EQ(user("123"), "123");
    EXPECT_EQ(user("\"123\""), "123");
    EXPECT_EQ(user("\"0123\""), "0123");
    EXPECT_EQ(user("\" 123\""), " 123");
    EXPECT_EQ(user("9007199254740991"), "9007199254740991");
    EXPECT_EQ(user("\"" + std::string(128, 'u') + "\""), std::string(128, 'u'));
    for (std::string odd : {"9007199254740992", "-1", "1.0", "1e2", "null", "true", "[1]", "{}", "\"\"",
                            R"("a\u0000b")", R"("\ud800")", R"("a\u0085b")"})
        EXPECT_EQ(user(odd), kNoUser) << odd;
    EXPECT_EQ(user("\"" + std::string(129, 'u') + "\""), kNoUser);
    EXPECT_EQ(judged(R"({"exp":1800000060})"), kNoUser);

    policy.user_claim = "https://jobs/user";
    EXPECT_EQ(judged(R"({"exp":1800000060,"sub":"7","https://jobs/user":9})"), "9");
    EXPECT_EQ(judged(kClaims), kNoUser);
}

TEST_F(Claims, AClaimThatStandsTwiceRefusesTheToken) {
    EXPECT_NE(judged(R"({"sub":"7","exp":1800000060,"sub":"8"})"), "7");
    EXPECT_TRUE(refused(make_token("HS256", kSecret, R"({"sub":"7","exp":1800000060,"sub":"7"})")));
    EXPECT_TRUE(refused(make_token("HS256", kSecret, R"({"sub":"7","exp":1800000060,"s\u0075b":"8"})")));
    EXPECT_TRUE(refused(make_token("HS256", kSecret, R"({"sub":"7","exp":1,"exp":1800000060})")));
    EXPECT_TRUE(refused(make_token("HS256", kSecret, kClaims, R"(,"alg":"HS256")")));
    EXPECT_EQ(judged(R"({"sub":"7","exp":1800000060,"more":{"a":1,"a":2}})"), "7");
}

TEST_F(Claims, TheTopicsClaimIsAListOfNamesAndBeginnings) {
    auto const rights = [this](std::string_view topics) -> std::optional<TopicRights> {
        TokenReader reader(policy);
        auto const token = make_token(
            "HS256", kSecret, std::string(R"({"sub":"7","exp":1800000060,"topics":)").append(topics) + '}');
        auto identity = verify(token, reader, keys, kNow);
        if (!identity) return std::nullopt;
        EXPECT_TRUE(identity->topics);
        return identity->topics;
    };
    auto const some = rights(R"(["jobs","team.*",""])");
    ASSERT_TRUE(some);
    for (std::string_view topic : {"jobs", "team.", "team.a", "team.a.b"})
        EXPECT_TRUE(some->allow(topic)) << topic;
    for (std::string_view topic : {"job", "jobs.a", "team", "Team.a", "x"})
        EXPECT_FALSE(some->allow(topic)) << topic;
    EXPECT_TRUE(rights(R"(["*"])")->allow("anything"));
    EXPECT_FALSE(rights("[]")->allow("jobs"));
    EXPECT_FALSE(rights(R"(["a*b"])")->allow("a*b-and-more"));
    for (std::string_view odd : {R"("jobs")", R"("*")", "null", "{}", "7", R"(["jobs",7])", R"([["jobs"]])"})
        EXPECT_FALSE(rights(odd)) << odd;
}

TEST_F(Claims, WhatIsNoTokenIsRefusedWithoutAKey) {
    auto const good = make_token("HS256", kSecret, kClaims);
    EXPECT_EQ(user_of(good), "7");
    std::string const deep(10'000, '[');
    for (const auto& odd :
         {std::string(), std::string("."), std::string(".."), good.substr(0, good.rfind('.')), good + ".",
          good + ".a.b", "." + good, " " + good, good + "\n", good + "=", std::string(64 * 1024, 'a'),
          good + std::string(kTokenBytesMax, 'A'), make_token("HS256", kSecret, deep.substr(0, 5000)),
          make_token("HS256", kSecret, "[]"), make_token("HS256", kSecret, "7"),
          make_token("HS256", kSecret, ""), make_token("HS256", kSecret, kClaims + "x")})
        EXPECT_TRUE(refused(odd)) << odd.substr(0, 80);
}

TEST_F(Claims, ATokenMayBeAsLongAsTheLimit) {
    auto const padded = [](std::size_t extra) {
        return make_token("HS256", kSecret,
                          R"({"sub":"7","exp":1800000060,"x":")" + std::string(extra, 'x') + "\"}");
    };
    std::size_t extra = 6000;
    while (padded(extra + 1).size() <= kTokenBytesMax)
        ++extra;
    EXPECT_EQ(user_of(padded(extra)), "7");
    EXPECT_EQ(user_of(padded(extra + 1)), "refused: the token is longer than 8192 bytes");
}

TEST(Base64Url, OneTextForEachBytes) {
    for (std::string_view bytes : {"", "f", "fo", "foo", "foob", "\xfb\xff\xfe"})
        EXPECT_EQ(decode_base64url(encode_base64url(bytes)), bytes);
    EXPECT_EQ(encode_base64url("\xfb\xff\xfe"), "-__-");
    for (std::string_view odd : {"Z", "Zg==", "Zg=", "Zh", "+/+/", "Zm9v ", " Zm9v", "Zm\n9v", "Zm9vZ"})
        EXPECT_FALSE(decode_base64url(odd)) << odd;
    EXPECT_EQ(decode_base64url("Zm8"), "fo");
}

}  // namespace
}  // namespace rc::auth
