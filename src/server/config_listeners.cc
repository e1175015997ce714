#include "config_listeners.h"

#include <fmt/core.h>

#include <algorithm>

#include "config_settings.h"

namespace rc::server {
namespace {

constexpr uint32_t kModeMost = 0777;

// "0660" or "660"
std::optional<uint32_t> octal(std::string_view text) {
    bool const fits = (text.size() == 3 || text.size() == 4) &&
                      std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
    if (!fits) return std::nullopt;
    uint32_t mode = 0;
    for (char c : text)
        mode = mode * 8 + static_cast<uint32_t>(c - '0');
    return mode <= kModeMost ? std::optional(mode) : std::nullopt;
}

// What the value must be, if it is not that.
std::optional<std::string> take_value(ListenerTable& out, ListenAddress& marks, std::string_view key,
                                      const toml::node& value) {
    auto const text = value.value_exact<std::string>();
    if (key == "address") {
        if (!text) return "must be a string";
        auto addresses = read_addresses({*text});
        if (!addresses) return std::move(addresses.error().message);
        out.addresses = std::move(*addresses);
    } else if (key == "proxy_protocol") {
        out.proxy_protocol = value.value_exact<bool>();
        if (!out.proxy_protocol) return "must be true or false";
    } else if (key == "mode") {
        auto const mode = octal(text.value_or(""));
        if (!mode) return "must be a string of octal digits up to \"0777\", such as \"0660\"";
        marks.mode = *mode;
    } else if (key == "group") {
        bool const fits = text && !text->empty() &&
                          std::ranges::none_of(*text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
        if (!fits) return "must be a group's name or number, as a string";
        marks.group = *text;
    } else {
        return "is not a setting";
    }
    return std::nullopt;
}

}  // namespace

tl::expected<ListenerTable, ListenerFault> read_listener(const toml::table& table, const std::string& file) {
    std::optional<ListenerFault> first;
    auto const refuse = [&](uint32_t line, std::string_view key, std::string_view why) {
        if (first && first->line <= line) return;
        first = {line, fmt::format("{}:{}: listener{}{}: {}", file, line, key.empty() ? "" : ".",
                                   in_one_line(key), why)};
    };
    ListenerTable out;
    ListenAddress marks;
    for (auto&& [key, value] : table) {
        if (auto const why = take_value(out, marks, key.str(), value))
            refuse(key.source().begin.line, key.str(), *why);
    }
    auto const line = table.source().begin.line;
    if (!first && out.addresses.empty()) refuse(line, "", "lacks its address");
    for (auto& entry : out.addresses) {
        entry.mode = marks.mode;
        entry.group = marks.group;
        entry.place = fmt::format("{}:{}: listener: ", file, line);
    }
    bool const is_unix =
        !out.addresses.empty() && out.addresses.front().address.kind == Address::Kind::unix_path;
    for (auto&& [key, value] : table) {
        if (!first && !is_unix && (key.str() == "mode" || key.str() == "group"))
            refuse(key.source().begin.line, key.str(), "is for unix sockets alone");
    }
    if (first) return tl::unexpected(std::move(*first));
    return out;
}

}  // namespace rc::server
