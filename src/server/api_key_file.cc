#include "api_key_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <string>

namespace rc::server {
namespace {

constexpr std::size_t kPlainKeyBytesMax = 4096;
constexpr std::size_t kKeyBytesMin = 16, kKeyBytesMax = 1024;  // of a key in a table
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kKeysMax = 256;  // each request compares with all of them

/// What is wrong, where. No words of a library: they might repeat what it read.
tl::unexpected<Error> refuse(uint32_t line, std::string_view why) {
    return fail(Errc::settings, fmt::format("{}: {}", line, why));
}

uint32_t line_of(const toml::node& node) {
    return node.source().begin.line;
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    });
}

bool is_key(std::string_view text) {
    return text.size() >= kKeyBytesMin && text.size() <= kKeyBytesMax &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<auth::Rights> read_rights(const toml::node& node) {
    constexpr std::string_view kWanted =
        R"(rights must be a list of "publish", "read" or "admin", not empty)";
    const auto* list = node.as_array();
    if (!list || list->empty()) return refuse(line_of(node), kWanted);
    auth::Rights rights;
    for (const auto& element : *list) {
        const auto* text = element.as_string();
        auto const right = text ? auth::right_named(text->get()) : std::nullopt;
        if (!right) return refuse(line_of(element), kWanted);
        rights.add(*right);
    }
    return rights;
}

Result<auth::ApiKey> read_key(const toml::table& table) {
    auth::ApiKey key;
    bool has_name = false, has_rights = false, has_key = false;
    for (auto&& [field, node] : table) {
        auto const line = field.source().begin.line;
        const auto* text = node.as_string();
        if (field == "name") {
            if (!text || !is_name(text->get()))
                return refuse(line, fmt::format("name must be 1 to {} of A-Z a-z 0-9 . _ -", kNameBytesMax));
            key.name = text->get();
            has_name = true;
        } else if (field == "rights") {
            auto const rights = read_rights(node);
            if (!rights) return tl::unexpected(rights.error());
            key.rights = *rights;
            has_rights = true;
        } else if (field == "key" || field == "sha256") {
            if (has_key) return refuse(line_of(table), "a key has either key or sha256");
            has_key = true;
            if (field == "key") {
                if (!text || !is_key(text->get()))
                    return refuse(
                        line, fmt::format("key must be {} to {} printable ASCII characters without spaces",
                                          kKeyBytesMin, kKeyBytesMax));
                key.digest = auth::sha256(text->get());
                continue;
            }
            auto const digest = text ? auth::parse_sha256(text->get()) : std::nullopt;
            if (!digest) return refuse(line, "sha256 must be 64 hexadecimal digits");
            key.digest = *digest;
        } else {
            return refuse(line, "a key has name, rights, and key or sha256; nothing else");
        }
    }
    if (!has_name || !has_rights || !has_key)
        return refuse(line_of(table), "a key needs name, rights, and key or sha256");
    return key;
}

Result<std::shared_ptr<const auth::ApiKeys>> parse_tables(std::string_view text) {
    toml::table root;
    try {
        root = toml::parse(text);
    } catch (const toml::parse_error& error) {  // the library's only way to say it
        return refuse(error.source().begin.line, "is not TOML from here on");
    }
    for (auto&& [field, node] : root) {
        if (field != "key" || !node.is_array_of_tables())
            return refuse(field.source().begin.line, "a file of API keys holds [[key]] tables, nothing else");
    }
    const auto* tables = root["key"].as_array();
    if (!tables) return refuse(1, "a file of API keys holds at least one [[key]]");
    if (tables->size() > kKeysMax) return refuse(1, fmt::format("more than {} keys", kKeysMax));
    std::vector<auth::ApiKey> keys;
    for (const auto& node : *tables) {
        auto key = read_key(*node.as_table());
        if (!key) return tl::unexpected(key.error());
        for (const auto& other : keys) {
            if (other.name == key->name)
                return refuse(line_of(node), fmt::format("a second key named {}", key->name));
            if (other.digest == key->digest)
                return refuse(line_of(node), fmt::format("{} is the same key as {}", key->name, other.name));
        }
        keys.push_back(std::move(*key));
    }
    return std::make_shared<const auth::ApiKeys>(std::move(keys));
}

}  // namespace

std::shared_ptr<const auth::ApiKeys> only_key(std::string_view key) {
    return std::make_shared<const auth::ApiKeys>(
        std::vector{auth::ApiKey{"default", auth::Rights::all(), auth::sha256(key)}});
}

Result<std::shared_ptr<const auth::ApiKeys>> parse_api_keys(std::string_view text) {
    if (text.starts_with('#') || text.starts_with('[')) return parse_tables(text);
    auto line = text.substr(0, text.find('\n'));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
        line.remove_suffix(1);
    if (line.empty() || line.size() > kPlainKeyBytesMax)
        return fail(Errc::settings, " its first line must be the API key");
    // A table that lacks its first line would be a key that everybody knows.
    if (line.find_first_of(" \t\"'") != std::string_view::npos)
        return fail(Errc::settings,
                    " an API key holds no blanks and no quotes; several keys begin with [[key]]");
    return only_key(line);
}

}  // namespace rc::server
