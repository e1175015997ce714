#include "json_document.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "ringcast/base/limits.h"

namespace rc::proto::json {

namespace {

// simdjson 3.0.1 counts the document itself as a level, and lets an empty list or object pass one level
// below the deepest; levels() catches that one.
constexpr size_t kParserLevels = limits::kJsonLevelsMax + 1;

constexpr size_t kCapacityMin = 4096;

size_t skip_digits(std::string_view text, size_t at) {
    while (at < text.size() && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/// @return the place behind the JSON number that begins at `at`, or `at` if none does
size_t skip_number(std::string_view text, size_t at) {
    auto is = [&text](size_t place, char c) { return place < text.size() && text[place] == c; };
    size_t begin = at;
    if (is(at, '-')) at++;
    size_t whole = at;
    at = skip_digits(text, at);
    if (at == whole || (is(whole, '0') && at > whole + 1)) return begin;
    if (is(at, '.')) {
        size_t fraction = at + 1;
        at = skip_digits(text, fraction);
        if (at == fraction) return begin;
    }
    if (is(at, 'e') || is(at, 'E')) {
        at++;
        if (is(at, '+') || is(at, '-')) at++;
        size_t exponent = at;
        at = skip_digits(text, exponent);
        if (at == exponent) return begin;
    }
    return at;
}

/// simdjson refuses numbers that fit no int64, uint64 or double, and halves of surrogate pairs, though JSON
/// has both. Puts a 0 and spaces in the place of every sound number and a space in that of every half, so
/// that all else can be judged. Only whole tokens are replaced: a part of an unsound one, as in `--1`, could
/// make it sound.
void blank_what_simdjson_lacks(char* begin, size_t size) {
    std::string_view text(begin, size);
    for (size_t at = 0; at < size;) {
        char c = text[at];
        if (c == '\\') return;  // outside of a string: no JSON, and nothing behind it can be trusted
        if (c == '"') {
            for (at++; at < size && text[at] != '"';) {
                auto const escape = unicode_escape(text.substr(at));
                if (escape && escape->half) std::memcpy(begin + at + 2, "0020", 4);
                at += escape ? escape->bytes : text[at] == '\\' ? 2 : 1;
            }
            at++;
            continue;
        }
        std::string_view token = text.substr(at, text.find_first_of(" \t\r\n,:[]{}\"\\", at) - at);
        if (!token.empty() && skip_number(token, 0) == token.size()) {
            std::memset(begin + at, ' ', token.size());
            begin[at] = '0';
        }
        at += std::max<size_t>(token.size(), 1);
    }
}

/// False spares a look at each byte: without so many brackets nothing is that deep.
bool may_nest_too_deep(std::string_view text) {
    uint32_t brackets = 0;
    for (char bracket : {'{', '['}) {
        for (size_t at = text.find(bracket); at != std::string_view::npos; at = text.find(bracket, at + 1)) {
            if (++brackets > limits::kJsonLevelsMax) return true;
        }
    }
    return false;
}

std::string_view in_words(simdjson::error_code code) {
    switch (code) {
        case simdjson::EMPTY: return "the text is empty";
        case simdjson::UTF8_ERROR: return "the text is not valid UTF-8";
        case simdjson::DEPTH_ERROR: return "the text nests deeper than 16 levels";
        case simdjson::STRING_ERROR: return "the text is no JSON: a wrong escape in a string";
        case simdjson::UNESCAPED_CHARS:
            return "the text is no JSON: a control character in a string must be escaped";
        case simdjson::UNCLOSED_STRING: return "the text is no JSON: a string is not closed";
        case simdjson::NUMBER_ERROR: return "the text is no JSON: a malformed number";
        case simdjson::T_ATOM_ERROR:
        case simdjson::F_ATOM_ERROR:
        case simdjson::N_ATOM_ERROR:
            return "the text is no JSON: a word other than true, false and null outside of quotes";
        default:
            return "the text is no JSON: missing or superfluous commas, brackets, keys or text after the end";
    }
}

tl::unexpected<Error> refuse(simdjson::error_code code) {
    if (code == simdjson::MEMALLOC || code == simdjson::CAPACITY) {
        return fail(Errc::internal_error, "the server is short of memory for a message of this size");
    }
    return fail(Errc::invalid_message, std::string(in_words(code)));
}

}  // namespace

struct Document::Impl {
    simdjson::dom::parser parser;
    simdjson::dom::document tape;
    std::vector<char> scratch;

    simdjson::error_code reserve(size_t bytes) {
        if (parser.capacity() >= bytes && tape.capacity() >= bytes && !scratch.empty())
            return simdjson::SUCCESS;
        size_t capacity = std::bit_ceil(std::max(bytes, kCapacityMin));
        scratch.resize(capacity + simdjson::SIMDJSON_PADDING);
        simdjson::error_code code = tape.allocate(capacity);
        return code != simdjson::SUCCESS ? code : parser.allocate(capacity, kParserLevels);
    }

    simdjson::error_code parse(size_t size) {
        return parser.parse_into_document(tape, scratch.data(), size, false).error();
    }
};

Document::Document() : impl_(std::make_unique<Impl>()) {}
Document::~Document() = default;

Result<Value> Document::validate(std::string_view text) {
    if (text.empty()) return refuse(simdjson::EMPTY);
    simdjson::error_code code = impl_->reserve(text.size());
    if (code != simdjson::SUCCESS) return refuse(code);

    char* scratch = impl_->scratch.data();
    std::memcpy(scratch, text.data(), text.size());
    std::memset(scratch + text.size(), ' ', simdjson::SIMDJSON_PADDING);
    code = impl_->parse(text.size());
    if (code == simdjson::NUMBER_ERROR || code == simdjson::STRING_ERROR) {
        blank_what_simdjson_lacks(scratch, text.size());
        code = impl_->parse(text.size());
    }
    if (code != simdjson::SUCCESS) return refuse(code);
    if (may_nest_too_deep(text) && levels(text) > limits::kJsonLevelsMax)
        return refuse(simdjson::DEPTH_ERROR);
    return Value{trimmed(text)};
}

}  // namespace rc::proto::json
