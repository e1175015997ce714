#include "ringcast/auth/api_keys.h"

#include <gtest/gtest.h>

namespace rc::auth {
namespace {

TEST(ApiKeys, HashesAsFips180Does) {
    EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(ApiKeys, ReadsAHashAsItIsWritten) {
    auto const digest = sha256("a key");
    auto text = hex(digest);
    EXPECT_EQ(parse_sha256(text), digest);
    for (char& c : text)
        c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(parse_sha256(text), digest);
    EXPECT_FALSE(parse_sha256(""));
    EXPECT_FALSE(parse_sha256(text.substr(1)));
    EXPECT_FALSE(parse_sha256(text + "0"));
    for (char wrong : {'g', 'G', ' ', '-', '/', ':', '@', '`', '\0'}) {
        auto bad = text;
        bad[63] = wrong;
        EXPECT_FALSE(parse_sha256(bad)) << wrong;
    }
}

TEST(ApiKeys, FindsAKeyByItsWholeText) {
    ApiKeys const keys({{"first", {Right::publish}, sha256("first-key")},
                        {"second", Rights::all(), sha256("second-key")},
                        {"third", {Right::read}, sha256("third-key")}});
    ASSERT_TRUE(keys.find("first-key"));
    EXPECT_EQ(keys.find("first-key")->name, "first");
    EXPECT_EQ(keys.find("second-key")->name, "second");
    EXPECT_EQ(keys.find("third-key")->name, "third");
    for (std::string_view wrong :
         {"", "first-ke", "first-key ", " first-key", "First-key", "first-keysecond-key", "first"})
        EXPECT_FALSE(keys.find(wrong)) << wrong;
    EXPECT_FALSE(keys.find(std::string_view("first-key\0", 10)));
    EXPECT_FALSE(ApiKeys().find(""));
}

TEST(ApiKeys, AHashIsNoKey) {
    ApiKeys const keys({{"only", Rights::all(), sha256("only-key")}});
    EXPECT_FALSE(keys.find(hex(sha256("only-key"))));
}

TEST(Rights, EachIsForItself) {
    Rights const rights{Right::publish, Right::admin};
    EXPECT_TRUE(rights.has(Right::publish));
    EXPECT_FALSE(rights.has(Right::read));
    EXPECT_TRUE(rights.has(Right::admin));
    EXPECT_FALSE(Rights().has(Right::publish));
    for (auto right : {Right::publish, Right::read, Right::admin}) {
        EXPECT_TRUE(Rights::all().has(right));
        EXPECT_EQ(right_named(right_name(right)), right);
    }
    EXPECT_FALSE(right_named("Publish"));
    EXPECT_FALSE(right_named(""));
}

}  // namespace
}  // namespace rc::auth
