#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace rc::proto::test {

/// Random JSON with the forms that careless re-encoding would lose: number spellings, escapes, key order
/// and white space.
class RandomJson {
  public:
    explicit RandomJson(uint32_t seed) : random_(seed) {}

    std::string value(uint32_t levels) {
        switch (below(levels > 0 ? 7 : 5)) {
            case 0: return number();
            case 1:
            case 2: return string();
            case 3: return below(2) == 0 ? "true" : "false";
            case 4: return "null";
            case 5: return object(levels);
            default: return list(levels);
        }
    }

    std::string object(uint32_t levels) {
        std::string out = "{" + space();
        uint32_t count = below(4);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0) out += "," + space();
            out += "\"k" + std::to_string(i) + string().substr(1) + space() + ":" + space() +
                   value(levels - 1) + space();
        }
        return out + "}";
    }

    uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

    std::string space() {
        static constexpr const char* kSpaces[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
        return kSpaces[below(7)];
    }

  private:
    std::string list(uint32_t levels) {
        std::string out = "[" + space();
        uint32_t count = below(4);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0) out += "," + space();
            out += value(levels - 1) + space();
        }
        return out + "]";
    }

    std::string number() {
        static constexpr const char* kNumbers[] = {"0",      "-0",
                                                   "1.0e5",  "12345678901234567890123",
                                                   "-0.0",   "1E+2",
                                                   "1e400",  "18446744073709551616",
                                                   "0.1000", "-9223372036854775809",
                                                   "1e-999"};
        return kNumbers[below(11)];
    }

    std::string string() {
        static constexpr const char* kPieces[] = {"a",       "\\\"",    "\\\\", "\\/", "/",
                                                  "\\u0000", "\\u0041", "é",    "😀",   "}",
                                                  "]",       "</b>",    "\\n",  ",",   "\\ud83d\\ude00",
                                                  "[",       "{",       ":",    " ",   "'",
                                                  "\u2028",  "\x7f",    "12",   "\\b"};
        std::string out = "\"";
        for (uint32_t i = below(6); i > 0; i--)
            out += kPieces[below(24)];
        return out + "\"";
    }

    std::mt19937 random_;
};

/// Texts that are no JSON, or break one of our bounds; several of them pass simdjson's On-Demand front end.
inline const std::vector<std::string>& bad_texts() {
    using namespace std::string_literals;
    static const std::vector<std::string> kTexts = {
        "",
        " ",
        "\n\n",
        "\xef\xbb\xbf{\"type\":\"pong\"}",
        "{",
        "}",
        "{\"type\":\"pong\"",
        "{\"type\":\"pong\"}}",
        "{\"type\":\"pong\"}{\"type\":\"pong\"}",
        "{\"type\":\"pong\"} x",
        "{\"type\":\"pong\"}\0"s,
        "\0{\"type\":\"pong\"}"s,
        "{\"type\":\"pong\",}",
        "{\"type\":\"pong\",,\"x\":1}",
        "{\"type\" \"pong\"}",
        "{type:\"pong\"}",
        "{'type':'pong'}",
        "{\"type\":\"pong\" /* hi */}",
        "{\"type\":\"pong\",\"x\":tru3 nope}",
        "{\"type\":\"pong\",\"x\":01.e5}",
        "{\"type\":\"pong\",\"x\":\"\\q\"}",
        "{\"type\":\"pong\",\"x\":01}",
        "{\"type\":\"pong\",\"x\":-}",
        "{\"type\":\"pong\",\"x\":1.}",
        "{\"type\":\"pong\",\"x\":.5}",
        "{\"type\":\"pong\",\"x\":1e}",
        "{\"type\":\"pong\",\"x\":+1}",
        "{\"type\":\"pong\",\"x\":0x10}",
        "{\"type\":\"pong\",\"x\":NaN}",
        "{\"type\":\"pong\",\"x\":Infinity}",
        "{\"type\":\"pong\",\"x\":1 2}",
        "{\"type\":\"pong\",\"x\":1e400 1e400}",
        "{\"type\":\"pong\",\"x\":1e400a}",
        "{\"type\":\"pong\",\"x\":--1e400}",
        "{\"type\":\"pong\",\"x\":-0.0-0.0}",
        "{\"type\":\"pong\",\"x\":[1e400,-0.0-0.0]}",
        "{\"type\":\"pong\",\"x\":[1e400,--1]}",
        "{\"type\":\"pong\",\"x\":[1e400,1-1]}",
        "{\"type\":\"pong\",\"x\":[1e400,1.5.5]}",
        "{\"type\":\"pong\",\"x\":[1e400,true1]}",
        "{\"type\":\"pong\",\"x\":1e400[]}",
        "{\"type\":\"pong\",\"x\":1e400:1}",
        "{\"type\":\"pong\",\"x\":01e400}",
        "{\"type\":\"pong\",\"x\":1e400\"\"}",
        "{\"type\":\"pong\",\"x\":[1e400,01]}",
        "{\"type\":\"pong\",1e400:1}",
        "{\"type\":\"pong\",\"x\":\\\"1e400\"}",
        "{\"type\":\"pong\",\"x\":\"\\ud800\\q\"}",
        "{\"type\":\"pong\",\"x\":\"\\ud800\\ud80\"}",
        "{\"type\":\"pong\",\"x\":\"\\ud800\",\"y\":01}",
        "{\"type\":\"pong\",\"x\":\"\\ud800}",
        "{\"type\":\"pong\",\"x\":\\ud800}",
        "{\"type\":\"pong\",\"x\":\"\\u00g0\"}",
        "{\"type\":\"pong\",\"x\":\"a\nb\"}",
        "{\"type\":\"pong\",\"x\":\"a\0b\"}"s,
        "{\"type\":\"pong\",\"x\":\"open}",
        "{\"type\":\"pong\",\"x\":\"\xff\"}",
        "{\"type\":\"pong\",\"x\":\"\xc0\xaf\"}",
        "{\"type\":\"pong\",\"x\":\"\xed\xa0\x80\"}",
        "{\"type\":\"pong\",\"x\":\"\xf4\x90\x80\x80\"}",
        "{\"type\":\"pong\",\"x\":\"\xe2\x82",
        std::string(30'000, '['),
        "{\"type\":\"pong\",\"x\":" + std::string(2'000, '[') + std::string(2'000, ']') + "}",
    };
    return kTexts;
}

}  // namespace rc::proto::test
