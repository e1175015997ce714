#include "../../../src/server/api_key_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace rc::server {
namespace {

using auth::Right;

constexpr std::string_view kSecret = "a-secret-of-32-characters-at-all";

std::string refusal(std::string_view text) {
    auto const keys = parse_api_keys(text);
    EXPECT_FALSE(keys) << text;
    return keys ? "" : keys.error().message;
}

std::string table(std::string_view fields) {
    return fmt::format("[[key]]\n{}\n", fields);
}

TEST(ApiKeyFile, APlainFileIsOneKeyThatMayDoEverything) {
    for (std::string_view text : {"the-key", "the-key\n", "the-key\r\n", "the-key \t\n", "the-key\nmore\n"}) {
        auto const keys = parse_api_keys(text);
        ASSERT_TRUE(keys) << text;
        ASSERT_EQ((*keys)->all().size(), 1U);
        auto const* key = (*keys)->find("the-key");
        ASSERT_TRUE(key) << text;
        EXPECT_EQ(key->name, "default");
        EXPECT_EQ(key->rights, auth::Rights::all());
    }
    for (std::string_view text : {"name = \"backend\"\nrights = [\"read\"]\n", "name=\"backend\"",
                                  "name='backend'", "key =", "two words", "a\tb"})
        EXPECT_EQ(refusal(text), " an API key holds no blanks and no quotes; several keys begin with [[key]]")
            << text;
    EXPECT_TRUE((*parse_api_keys(std::string(4096, 'k')))->find(std::string(4096, 'k')));
    for (const auto& text : {std::string(), std::string("\n"), std::string(" \t\n"), std::string("\nthe key"),
                             std::string(4097, 'k')})
        EXPECT_EQ(refusal(text), " its first line must be the API key");
}

TEST(ApiKeyFile, ATableIsAKeyWithANameAndRights) {
    auto const text = fmt::format(R"(# who publishes
[[key]]
name = "backend"
rights = ["publish"]
sha256 = "{}"

[[key]]
name = "Ops.2_b-c"
rights = ["admin", "read", "read"]
key = "{}"
)",
                                  auth::hex(auth::sha256("the backend's key")), kSecret);
    auto const keys = parse_api_keys(text);
    ASSERT_TRUE(keys) << keys.error().message;
    auto const* backend = (*keys)->find("the backend's key");
    ASSERT_TRUE(backend);
    EXPECT_EQ(backend->name, "backend");
    EXPECT_EQ(backend->rights, auth::Rights{Right::publish});
    auto const* ops = (*keys)->find(kSecret);
    ASSERT_TRUE(ops);
    EXPECT_EQ(ops->name, "Ops.2_b-c");
    EXPECT_EQ(ops->rights, (auth::Rights{Right::admin, Right::read}));
    EXPECT_FALSE((*keys)->find(text.substr(0, text.find('\n')))) << "the first line is no key then";
}

TEST(ApiKeyFile, WhatIsWrongIsNamedByItsLineAndNeverRepeated) {
    auto const rest = fmt::format("rights = [\"read\"]\nkey = \"{}\"", kSecret);
    auto const no_name = "name must be 1 to 64 of A-Z a-z 0-9 . _ -";
    for (const auto& name : {std::string(), std::string(65, 'n'), std::string("a b"), std::string("\xC3\xBC"),
                             std::string("a\\nb"), std::string("a/b")})
        EXPECT_EQ(refusal(table(fmt::format("name = \"{}\"\n{}", name, rest))), fmt::format("2: {}", no_name))
            << name;
    EXPECT_TRUE(parse_api_keys(table(fmt::format("name = \"{}\"\n{}", std::string(64, 'n'), rest))));
    EXPECT_EQ(refusal(table("name = 5\n" + rest)), fmt::format("2: {}", no_name));

    for (std::string_view rights : {"[]", "\"read\"", "[1]", "[\"Read\"]", "[\"read\", \"write\"]", "true"})
        EXPECT_EQ(refusal(table(fmt::format("name = \"n\"\nrights = {}\nkey = \"{}\"", rights, kSecret))),
                  "3: rights must be a list of \"publish\", \"read\" or \"admin\", not empty")
            << rights;

    auto const head = "name = \"n\"\nrights = [\"read\"]\n";
    for (const auto& key : {std::string("\"short-of-sixtee\""), "\"" + std::string(1025, 'k') + "\"",
                            std::string("\"with a blank in it\""),
                            std::string("\"with-\xC3\xBC-and-more-in-it\""), std::string("17")})
        EXPECT_EQ(refusal(table(head + ("key = " + key))),
                  "4: key must be 16 to 1024 printable ASCII characters without spaces");
    EXPECT_TRUE(parse_api_keys(table(head + std::string("key = \"just-of-sixteen-\""))));
    EXPECT_TRUE(parse_api_keys(table(head + ("key = \"" + std::string(1024, 'k') + "\""))));
    for (const auto& hash :
         {std::string(63, 'a'), std::string(65, 'a'), std::string(63, 'a') + 'g', std::string()})
        EXPECT_EQ(refusal(table(head + ("sha256 = \"" + hash + "\""))),
                  "4: sha256 must be 64 hexadecimal digits");
    EXPECT_EQ(
        refusal(table(fmt::format("{}key = \"{}\"\nsha256 = \"{}\"", head, kSecret, std::string(64, 'a')))),
        "1: a key has either key or sha256");
    EXPECT_EQ(refusal(table(head)), "1: a key needs name, rights, and key or sha256");
    EXPECT_EQ(refusal(table("name = \"n\"\n" + fmt::format("key = \"{}\"", kSecret))),
              "1: a key needs name, rights, and key or sha256");
    EXPECT_EQ(refusal(table(rest)), "1: a key needs name, rights, and key or sha256");
    EXPECT_EQ(refusal(table(fmt::format("name = \"n\"\n{}\nsecret = 1", rest))),
              "5: a key has name, rights, and key or sha256; nothing else");
}

TEST(ApiKeyFile, AFileThatIsNotAListOfKeysIsRefused) {
    EXPECT_EQ(refusal("# the key was here\n"), "1: a file of API keys holds at least one [[key]]");
    EXPECT_EQ(refusal("# k\nkey = 'a-plain-key-in-toml'\n"),
              "2: a file of API keys holds [[key]] tables, nothing else");
    EXPECT_EQ(refusal("[key]\nname = 'n'\n"), "1: a file of API keys holds [[key]] tables, nothing else");
    EXPECT_EQ(refusal("[[keys]]\nname = 'n'\n"), "1: a file of API keys holds [[key]] tables, nothing else");
    for (const auto& broken :
         {fmt::format("# a line\n{}\n", kSecret), fmt::format("# a line\nkey = \"{}\n", kSecret),
          fmt::format("# a line\nkey = {}\n", kSecret), fmt::format("#\n\"{}\"", kSecret)}) {
        EXPECT_EQ(refusal(broken), "2: is not TOML from here on") << broken;
    }
}

TEST(ApiKeyFile, NamesAndKeysAreThereOnce) {
    auto const one = [](std::string_view name, std::string_view key) {
        return table(fmt::format("name = \"{}\"\nrights = [\"read\"]\nkey = \"{}\"", name, key));
    };
    EXPECT_TRUE(parse_api_keys(one("a", kSecret) + one("b", "another-key-than-that")));
    EXPECT_EQ(refusal(one("a", kSecret) + one("a", "another-key-than-that")), "5: a second key named a");
    EXPECT_EQ(refusal(one("a", kSecret) + one("b", kSecret)), "5: b is the same key as a");
    std::string many;
    for (int i = 0; i < 256; ++i)
        many += one(fmt::format("n{}", i), fmt::format("key-of-number-{:04}", i));
    auto const keys = parse_api_keys(many);
    ASSERT_TRUE(keys);
    EXPECT_EQ((*keys)->find("key-of-number-0255")->name, "n255");
    EXPECT_EQ(refusal(many + one("too", "many-keys-in-a-file")), "1: more than 256 keys");
}

}  // namespace
}  // namespace rc::server
