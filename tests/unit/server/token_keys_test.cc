// The keys that tokens are checked with: their files at SIGHUP, and their URL.
#include "token_world.h"

namespace rc::test {
namespace {

class KeyUrl : public TokenTest {
  protected:
    KeyUrl() {
        options.fetch_keys = [this](const std::function<bool()>&) -> Result<auth::Fetched> {
            ++fetches;
            if (answer.empty()) return fail(Errc::unavailable, "nobody answers");
            return auth::Fetched{answer, fresh_for};
        };
        publish_keys({{"a", &a}});
    }
    void publish_keys(const std::vector<std::pair<std::string, const SigningKey*>>& keys) {
        answer.clear();
        for (const auto& [kid, key] : keys)
            answer += (answer.empty() ? "" : ",") + key->jwk(R"(,"kid":")" + kid + '"');
        answer = R"({"keys":[)" + answer + "]}";
    }
    std::string signed_by(const SigningKey& key, std::string_view kid) {
        return make_token("ES256", key, claims(), R"(,"kid":")" + std::string(kid) + '"');
    }
    /// What a new client with this token is told.
    std::string told(const std::string& token) {
        auto& client = world().connect(0);
        client.say(with_token(token));
        auto const all = kinds(client);
        client.hang_up();
        return all.size() == 1 ? all[0] : "nothing";
    }

    SigningKey const a{"P-256"}, b{"P-256"};
    std::string answer;
    Duration fresh_for = hours(1);
    int fetches = 0;
};

TEST_F(KeyUrl, ItIsFetchedAtTheStartAndWhenItsAnswerIsOld) {
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    EXPECT_EQ(fetches, 1);
    world().advance(minutes(59));
    EXPECT_EQ(fetches, 1);
    EXPECT_EQ(world().key_metrics().age_seconds.value(), 3540U);
    world().advance(minutes(2));
    EXPECT_EQ(fetches, 2);
    EXPECT_LE(world().key_metrics().age_seconds.value(), 60U);
    EXPECT_EQ(world().key_metrics().keys.value(), 2U);
}

TEST_F(KeyUrl, AnUnknownKidFetchesItOnceAMinuteAtMost) {
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(told(signed_by(b, "unknown-" + std::to_string(i))), "unauthorized");
    EXPECT_EQ(fetches, 2);
    world().advance(seconds(58));
    EXPECT_EQ(told(signed_by(b, "x")), "unauthorized");
    EXPECT_EQ(fetches, 2);
    world().advance(seconds(3));
    EXPECT_EQ(told(signed_by(b, "x")), "unauthorized");
    EXPECT_EQ(fetches, 3);
}

TEST_F(KeyUrl, ATokenOfANewKeyWaitsForTheFetchThatItSetsOff) {
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    publish_keys({{"a", &a}, {"b", &b}});
    EXPECT_EQ(told(signed_by(b, "b")), "ack");
    EXPECT_EQ(fetches, 2);
    publish_keys({{"b", &b}});
    world().advance(hours(1) + seconds(1));
    EXPECT_EQ(told(signed_by(a, "a")), "unauthorized");
}

TEST_F(KeyUrl, ABadSignatureOfAKnownKeyFetchesNothing) {
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(told(signed_by(b, "a")), "unauthorized");
    EXPECT_EQ(told(make_token("ES256", b, claims())), "unauthorized");
    EXPECT_EQ(fetches, 1);
}

TEST_F(KeyUrl, WhileItIsDownTheLastGoodKeysServe) {
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    for (const std::string bad : {"", "<html>", R"({"keys":[]})"}) {
        answer = bad;
        world().advance(hours(2));
        EXPECT_EQ(told(signed_by(a, "a")), "ack");
    }
    EXPECT_GT(world().key_metrics().fetch_failures.value(), 3U);
    EXPECT_GT(world().key_metrics().age_seconds.value(), 5U * 3600);
    publish_keys({{"b", &b}});
    world().advance(minutes(5));
    EXPECT_EQ(told(signed_by(b, "b")), "ack");
}

TEST_F(KeyUrl, BeforeTheFirstAnswerATokenOfItsKeysIsNotRefusedButPutOff) {
    auto const good = answer;
    answer.clear();
    EXPECT_EQ(told(signed_by(a, "a")), "internal_error");
    EXPECT_EQ(connect_with(signed_by(a, "a")).status(), 503);
    EXPECT_EQ(told(token()), "ack");  // the secret file's
    EXPECT_EQ(fetches, 2);            // the start's, and one for the kid
    answer = good;
    world().advance(seconds(16));
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
}

TEST_F(KeyUrl, AFailureIsTriedAgainLaterAndLater) {
    answer.clear();
    world().advance(seconds(4));
    EXPECT_EQ(fetches, 1);
    world().advance(seconds(2));
    EXPECT_EQ(fetches, 2);
    world().advance(seconds(11));
    EXPECT_EQ(fetches, 3);
    world().advance(hours(1));
    int const before = fetches;
    world().advance(hours(1));
    EXPECT_NEAR(fetches - before, 12, 1);
}

TEST_F(KeyUrl, TokensThatNeedNoKeyOfItNeverWaitForIt) {
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    publish_keys({{"a", &a}, {"b", &b}});
    world().freeze(world().token_host() + 1);
    auto& waiting = connect_with(signed_by(b, "b"));
    EXPECT_EQ(told(token()), "ack");
    EXPECT_EQ(told(signed_by(a, "a")), "ack");
    EXPECT_EQ(waiting.status(), 0);
    world().thaw(world().token_host() + 1);
    world().settle();
    EXPECT_EQ(waiting.status(), 101);
}

TEST_F(TokenTest, SecretsAreReadAnewWithoutAMassLogout) {
    std::string const newer = "the newer secret, which is as long as the other";
    auto const by = [&](const std::string& secret) { return make_token("HS256", secret, claims()); };
    auto& old_client = world().connect(0);
    old_client.say(with_token(by(kSecret)));
    auto const told = [&](const std::string& token) {
        auto& client = world().connect(0);
        client.say(with_token(token));
        return kinds(client);
    };
    EXPECT_EQ(told(by(newer)), Texts{"unauthorized"});
    write_secrets(newer + '\n' + kSecret + '\n');
    world().reread_keys();
    world().settle();
    EXPECT_EQ(told(by(newer)), Texts{"ack"});
    EXPECT_EQ(told(by(kSecret)), Texts{"ack"});
    write_secrets("\n");
    world().reread_keys();
    world().settle();
    EXPECT_EQ(told(by(kSecret)), Texts{"ack"});
    write_secrets(newer);
    world().reread_keys();
    world().settle();
    EXPECT_EQ(told(by(kSecret)), Texts{"unauthorized"});
    EXPECT_EQ(told(by(newer)), Texts{"ack"});
    EXPECT_EQ(world().reported(server::Control::keys), 3U);
    EXPECT_EQ(kinds(old_client), Texts{"ack"});
    EXPECT_EQ(old_client.close(), "");
}

}  // namespace
}  // namespace rc::test
