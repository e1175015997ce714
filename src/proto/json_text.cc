#include "json_text.h"

#include <algorithm>
#include <charconv>

#include "utf8.h"

namespace rc::proto::json {

namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t skip_spaces(std::string_view text, size_t at) {
    while (at < text.size() && is_space(text[at]))
        at++;
    return at;
}

/// @return the place behind the closing quote, or the text's end
size_t skip_string(std::string_view text, size_t at) {
    at++;
    for (size_t quote = text.find('"', at); quote != std::string_view::npos;) {
        size_t const escape = text.substr(at, quote - at).find('\\');
        if (escape == std::string_view::npos) return quote + 1;
        at += escape + 2;
        if (at > quote) quote = text.find('"', at);  // that one was escaped
    }
    return text.size();
}

size_t skip_container(std::string_view text, size_t at) {
    uint32_t open = 0;
    while (at < text.size()) {
        char c = text[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        at++;
        if (c == '{' || c == '[') open++;
        if ((c == '}' || c == ']') && --open == 0) return at;
    }
    return text.size();
}

size_t skip_value(std::string_view text, size_t at) {
    if (at >= text.size()) return text.size();
    if (text[at] == '"') return skip_string(text, at);
    if (text[at] == '{' || text[at] == '[') return skip_container(text, at);
    while (at < text.size() && text[at] != ',' && text[at] != '}' && text[at] != ']' && !is_space(text[at]))
        at++;
    return at;
}

/// Over white space and the comma or opening bracket before an item.
/// @return the item's place, or the text's end when the container ends
size_t next_item(std::string_view text, size_t at) {
    at = skip_spaces(text, at);
    if (at >= text.size() || text[at] == '}' || text[at] == ']') return text.size();
    at = skip_spaces(text, at + 1);
    if (at >= text.size() || text[at] == '}' || text[at] == ']') return text.size();
    return at;
}

/// The code unit of an escape `\uXXXX` at the text's beginning.
std::optional<uint32_t> escaped_unit(std::string_view text) {
    if (text.size() < 6 || !text.starts_with("\\u")) return std::nullopt;
    uint32_t unit = 0;
    auto [stop, error] = std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
    if (error != std::errc{} || stop != text.data() + 6) return std::nullopt;
    return unit;
}

}  // namespace

Kind Value::kind() const {
    switch (raw.empty() ? 'n' : raw.front()) {
        case '{': return Kind::object;
        case '[': return Kind::array;
        case '"': return Kind::string;
        case 't':
        case 'f': return Kind::boolean;
        case 'n': return Kind::null;
        default: return Kind::number;
    }
}

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::object: return "an object";
        case Kind::array: return "a list";
        case Kind::string: return "a string";
        case Kind::number: return "a number";
        case Kind::boolean: return "a boolean";
        case Kind::null: return "null";
    }
    return "null";
}

std::optional<UnicodeEscape> unicode_escape(std::string_view text) {
    auto const first = escaped_unit(text);
    if (!first) return std::nullopt;
    if (*first < 0xd800 || *first > 0xdfff) return UnicodeEscape{*first, 6, false};
    auto const second = escaped_unit(text.substr(6));
    if (*first < 0xdc00 && second && *second >= 0xdc00 && *second <= 0xdfff)
        return UnicodeEscape{0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00), 12, false};
    return UnicodeEscape{*first, 6, true};
}

bool has_half_pair(std::string_view string_raw) {
    for (auto rest = string_raw;;) {
        rest = rest.substr(std::min(rest.find('\\'), rest.size()));
        if (rest.empty()) return false;
        auto const escape = unicode_escape(rest);
        if (escape && escape->half) return true;
        rest.remove_prefix(std::min(escape ? escape->bytes : 2, rest.size()));
    }
}

std::string unescape(std::string_view string_raw) {
    std::string_view text = string_raw;
    if (text.size() < 2) return {};
    text.remove_prefix(1);
    text.remove_suffix(1);
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        size_t plain = text.find('\\');
        if (plain == std::string_view::npos) plain = text.size();
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.size() < 2) break;
        char c = text[1];
        size_t taken = 2;
        switch (c) {
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                auto const escape = unicode_escape(text);
                if (!escape) break;
                append_utf8(out, escape->half ? kReplacementCharacter : escape->point);
                taken = escape->bytes;
                break;
            }
            default: out += c; break;
        }
        text.remove_prefix(std::min(taken, text.size()));
    }
    return out;
}

std::optional<uint64_t> unsigned_integer(std::string_view number_raw) {
    uint64_t value = 0;
    const char* end = number_raw.data() + number_raw.size();
    auto [stop, error] = std::from_chars(number_raw.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

uint32_t levels(std::string_view text) {
    uint32_t open = 0;
    uint32_t deepest = 0;
    for (size_t at = 0; at < text.size();) {
        char c = text[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        at++;
        if (c == '{' || c == '[') deepest = std::max(deepest, ++open);
        if (c == '}' || c == ']') open--;
    }
    return deepest;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

Members::Members(std::string_view object_raw) : text_(object_raw) {
    if (!text_.starts_with('{')) at_ = text_.size();
}

bool Members::next() {
    size_t key_at = next_item(text_, at_);
    if (key_at == text_.size() || text_[key_at] != '"') return false;
    size_t key_end = skip_string(text_, key_at);
    std::string_view key_raw = text_.substr(key_at, key_end - key_at);
    if (key_raw.size() < 2) return false;
    if (key_raw.find('\\') == std::string_view::npos) {
        key_ = key_raw.substr(1, key_raw.size() - 2);
    } else {
        unescaped_key_ = unescape(key_raw);
        key_ = unescaped_key_;
    }
    size_t value_at = skip_spaces(text_, key_end);
    if (value_at == text_.size() || text_[value_at] != ':') return false;
    value_at = skip_spaces(text_, value_at + 1);
    at_ = skip_value(text_, value_at);
    value_ = Value{text_.substr(value_at, at_ - value_at)};
    return !value_.raw.empty();
}

Elements::Elements(std::string_view array_raw) : text_(array_raw) {
    if (!text_.starts_with('[')) at_ = text_.size();
}

bool Elements::next() {
    size_t value_at = next_item(text_, at_);
    if (value_at == text_.size()) return false;
    at_ = skip_value(text_, value_at);
    value_ = Value{text_.substr(value_at, at_ - value_at)};
    return !value_.raw.empty();
}

}  // namespace rc::proto::json
