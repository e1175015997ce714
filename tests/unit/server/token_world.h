#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "../../support/token_maker.h"
#include "../../support/world.h"

/// A server in mode jwt: HS256 by a secret file, and what a test adds.
namespace rc::test {

inline const std::string kSecret = "a secret that is long enough to be one";

class TokenTest : public testing::Test {
  protected:
    TokenTest() {
        options.workers = 1;
        options.config.auth.mode = server::AuthMode::jwt;
        options.config.auth.jwt.algorithms = {"HS256", "ES256"};
        path_ = testing::TempDir() + "/rc-token-XXXXXX";
        ::close(::mkstemp(path_.data()));
        write_secrets(kSecret + '\n');
        options.config.auth.jwt.secret_file = path_;
        options.make_token_keys = [this] {
            auth::KeyRing keys;
            EXPECT_TRUE(keys.load(server::token_key_files(options.config.auth.jwt)).empty());
            return keys;
        };
    }
    ~TokenTest() override {
        world_.reset();
        ::unlink(path_.c_str());
    }

    TestWorld& world() {
        if (!world_) world_ = std::make_unique<TestWorld>(options);
        return *world_;
    }
    void write_secrets(std::string_view text) const { std::ofstream(path_, std::ios::trunc) << text; }

    /// Good for `lasts` from now on.
    std::string claims(std::string_view user = "7", std::string_view more = "", Duration lasts = hours(1)) {
        auto const exp = (world().clock.wall().time_since_epoch() + lasts) / seconds(1);
        return R"({"sub":")" + std::string(user) + R"(","exp":)" + std::to_string(exp) + std::string(more) +
               '}';
    }
    std::string token(std::string_view user = "7", std::string_view more = "", Duration lasts = hours(1)) {
        return make_token("HS256", kSecret, claims(user, more, lasts));
    }
    std::string bad_token() {
        return make_token("HS256", "another secret altogether, and a long one", claims());
    }

    static std::string subscribe(std::string_view data) {
        return R"({"type":"subscribe","id":1,"data":)" + std::string(data) + '}';
    }
    static std::string with_token(std::string_view token, std::string_view more = "") {
        return subscribe(R"({"token":")" + std::string(token) + '"' + std::string(more) + '}');
    }
    TestWorld::Client& connect_with(std::string_view token) {
        auto& client = world().begin(0, "/ws?token=" + std::string(token), "");
        world().settle();
        return client;
    }
    /// The codes of the errors and "ack"s that came, in order; other messages by their type.
    static Texts kinds(const Texts& texts) {
        Texts out;
        for (std::string_view text : texts) {
            constexpr std::string_view kCode = R"("code":")", kType = R"({"type":")";
            bool const error = text.starts_with(R"({"type":"error")");
            auto const name =
                error ? text.substr(text.find(kCode) + kCode.size()) : text.substr(kType.size());
            out.emplace_back(name.substr(0, name.find('"')));
        }
        return out;
    }
    static Texts kinds(TestWorld::Client& client) { return kinds(client.take()); }

    TestWorld::Options options;

  private:
    std::string path_;
    std::unique_ptr<TestWorld> world_;
};

}  // namespace rc::test
