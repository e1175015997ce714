#include "ringcast/http/head_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ringcast/base/limits.h"

namespace rc::http {
namespace {

using State = HeadParser::State;
constexpr uint32_t kMax = limits::kHeaderBytes;

/// What became of one head: 200 stands for a complete one.
struct Outcome {
    int status = 0;  // 0: more is needed
    size_t consumed = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome feed_in_steps(HeadParser& parser, std::string_view bytes, size_t step) {
    Outcome outcome;
    while (!bytes.empty() && parser.state() == State::need_more) {
        size_t taken = 0;
        const std::string piece(bytes.substr(0, step));  // of its own, so that ASan sees a read past its end
        parser.feed(piece, taken);
        outcome.consumed += taken;
        bytes.remove_prefix(taken);
    }
    if (parser.state() == State::complete) outcome.status = 200;
    if (parser.state() == State::failed) {
        outcome.status = parser.failure().status;
        EXPECT_FALSE(parser.failure().message.empty());
    }
    return outcome;
}

/// The status of these bytes, which must be the same in one piece, byte by byte, and in threes.
int status_of(std::string_view bytes, uint32_t max_bytes = kMax) {
    HeadParser whole(max_bytes);
    const Outcome outcome = feed_in_steps(whole, bytes, bytes.size());
    for (size_t step : {1, 3}) {
        HeadParser pieces(max_bytes);
        EXPECT_EQ(feed_in_steps(pieces, bytes, step).status, outcome.status) << bytes;
    }
    return outcome.status;
}

/// A head with a Host, these further lines, and its end.
std::string get(std::string_view lines, std::string_view request_line = "GET /ws HTTP/1.1") {
    return std::string(request_line) + "\r\nHost: localhost:5000\r\n" + std::string(lines) + "\r\n";
}

std::string with_line(std::string_view line) {
    return get(std::string(line) + "\r\n");
}

struct Parsed {
    HeadParser parser{kMax};
    const RequestHead& head;
    explicit Parsed(std::string_view bytes) : head(read(bytes)) {}

  private:
    const RequestHead& read(std::string_view bytes) {
        EXPECT_EQ(feed_in_steps(parser, bytes, 1).status, 200) << bytes;
        return parser.head();
    }
};

TEST(HeadParser, ReadsARequestAndLeavesWhatFollows) {
    const std::string text = get("X-One:  a b\t\r\nx-one:\r\n", "POST /api/publish?a=1&b=?2 HTTP/1.1");
    const std::string wire = text + "GET / HTTP/1.1\r\n";
    for (size_t step : {wire.size(), size_t{1}}) {
        HeadParser parser(kMax);
        EXPECT_EQ(feed_in_steps(parser, wire, step), (Outcome{200, text.size()}));
        const RequestHead& head = parser.head();
        EXPECT_EQ(head.method, Method::post);
        EXPECT_EQ(head.method_text, "POST");
        EXPECT_EQ(head.target, "/api/publish?a=1&b=?2");
        EXPECT_EQ(head.path, "/api/publish");
        EXPECT_EQ(head.query, "a=1&b=?2");
        EXPECT_EQ(head.minor_version, 1);
        ASSERT_EQ(head.fields.size(), 3U);
        EXPECT_EQ(head.fields[1].name, "X-One");
        EXPECT_EQ(head.header("x-one"), "a b");
        EXPECT_EQ(head.count("x-one"), 2U);
        EXPECT_EQ(head.fields[2].value, "");
        EXPECT_EQ(head.header("x-two"), std::nullopt);
        EXPECT_TRUE(head.keep_alive);
        EXPECT_FALSE(head.content_length || head.chunked || head.expect_continue);
    }
}

TEST(HeadParser, IsReadyAgainAfterAReset) {
    HeadParser parser(kMax);
    EXPECT_FALSE(parser.started());
    ASSERT_EQ(feed_in_steps(parser, get("Content-Length: 3\r\nConnection: close\r\n"), 7).status, 200);
    EXPECT_TRUE(parser.started());
    parser.reset();
    EXPECT_FALSE(parser.started());
    ASSERT_EQ(feed_in_steps(parser, "GET / HTTP/1.0\r\n\r\n", 5).status, 200);
    EXPECT_EQ(parser.head().path, "/");
    EXPECT_TRUE(parser.head().fields.empty());
    EXPECT_FALSE(parser.head().content_length.has_value());
    parser.reset();
    ASSERT_EQ(feed_in_steps(parser, "\n", 1).status, 400);
    parser.reset();
    EXPECT_EQ(feed_in_steps(parser, get(""), 1).status, 200);
}

TEST(HeadParser, KnowsItsMethodsAndNoOthers) {
    const std::vector<std::pair<std::string, Method>> known = {
        {"GET", Method::get},     {"HEAD", Method::head},       {"POST", Method::post},
        {"PUT", Method::put},     {"DELETE", Method::delete_},  {"OPTIONS", Method::options},
        {"PATCH", Method::patch}, {"CONNECT", Method::connect}, {"TRACE", Method::trace}};
    for (const auto& [text, method] : known) {
        EXPECT_EQ(Parsed(get("", text + " /ws HTTP/1.1")).head.method, method) << text;
    }
    for (std::string_view text :
         {"get", "Get", "FOO", "G", "GETT", "OPTION", "OPTIONSX", "M-SEARCH", "PRIX"}) {
        EXPECT_EQ(status_of(get("", std::string(text) + " /ws HTTP/1.1")), 501) << text;
    }
    EXPECT_EQ(status_of("ABCDEFGH"), 501) << "a longer token cannot become a method";
    EXPECT_EQ(status_of("ABCDEFG"), 0);
}

TEST(HeadParser, SpeaksOnlyHttp11And10) {
    EXPECT_EQ(Parsed(get("", "GET / HTTP/1.0")).head.minor_version, 0);
    for (std::string_view version : {"HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/1.9"}) {
        EXPECT_EQ(status_of(get("", "GET / " + std::string(version))), 505) << version;
    }
    for (std::string_view version : {"http/1.1", "HTTP/1.10", "HTTP/11", "HTTP/1,1", "HTTP/1.1 ", " HTTP/1.1",
                                     "HTTP/", "HTTP/x.1", "XTTP/1.1", "HTTP/1.", "HTTP/+1.1"}) {
        EXPECT_EQ(status_of(get("", "GET / " + std::string(version))), 400) << version;
    }
    EXPECT_EQ(status_of("GET /\r\n"), 400) << "HTTP/0.9";
    EXPECT_EQ(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

TEST(HeadParser, FailsAtTheFirstByteThatNoRequestCouldHold) {
    const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    for (std::string_view bytes :
         {std::string_view(hello), std::string_view("\0GET", 4), std::string_view("\r\nGET"),
          std::string_view("\nGET"), std::string_view(" GET"), std::string_view("{\"type\"")}) {
        HeadParser parser(kMax);
        size_t taken = 0;
        EXPECT_EQ(parser.feed(bytes, taken), State::failed);
        EXPECT_EQ(parser.failure().status, 400);
        EXPECT_EQ(taken, 1U);
    }
}

TEST(HeadParser, LimitsTheHeadAsAWhole) {
    const std::string frame = get("X: \r\n");
    const auto head_of = [&](size_t bytes) {
        return with_line("X: " + std::string(bytes - frame.size(), 'v'));
    };
    ASSERT_EQ(head_of(kMax).size(), kMax);
    EXPECT_EQ(status_of(head_of(kMax - 1)), 200);
    EXPECT_EQ(status_of(head_of(kMax)), 200);
    EXPECT_EQ(status_of(head_of(kMax + 1)), 431);
    EXPECT_EQ(status_of(head_of(kMax + 1).substr(0, kMax - 1)), 0);
    EXPECT_EQ(status_of(head_of(10 * kMax)), 431);
    EXPECT_EQ(status_of(head_of(4200)), 200) << "a long line alone is no fault";
    EXPECT_EQ(status_of(frame, static_cast<uint32_t>(frame.size())), 200);
    EXPECT_EQ(status_of(frame, static_cast<uint32_t>(frame.size() - 1)), 431);
    EXPECT_EQ(status_of("G", 1), 431);
}

TEST(HeadParser, ATargetMayFillTheWholeHead) {
    const auto padded = [](size_t bytes) {
        size_t const others = get("", "GET / HTTP/1.1").size();
        return get("", "GET /" + std::string(bytes - others, 'a') + " HTTP/1.1");
    };
    EXPECT_EQ(status_of(padded(kMax)), 200);
    EXPECT_EQ(status_of(padded(kMax + 1)), 431);
    EXPECT_EQ(status_of("GET /ws?token=" + std::string(65536, 'a') + " HTTP/1.1\r\n"), 431);
}

TEST(HeadParser, LimitsTheFields) {
    const auto fields = [](size_t count) {  // Host is one of them
        std::string lines;
        for (size_t i = 1; i < count; ++i)
            lines += "a: b\r\n";
        return get(lines);
    };
    EXPECT_EQ(status_of(fields(63)), 200);
    EXPECT_EQ(status_of(fields(64)), 200);
    EXPECT_EQ(status_of(fields(65)), 431);
    EXPECT_EQ(status_of(fields(2000)), 431);
    EXPECT_EQ(status_of(fields(10000)), 431);
}

TEST(HeadParser, LooksAtEachByteOnceHoweverItArrives) {
    const std::string frame = get("X: \r\n");
    const std::string head = with_line("X: " + std::string(kMax - frame.size(), 'v'));
    for (size_t step : {size_t{1}, size_t{2}, size_t{100}, head.size()}) {
        HeadParser parser(kMax);
        ASSERT_EQ(feed_in_steps(parser, head + "more", step).status, 200);
        EXPECT_EQ(parser.bytes_scanned(), head.size()) << step;
    }
}

TEST(HeadParser, JudgesEveryByteOfAName) {
    const std::string token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (int value = 0; value < 256; ++value) {
        const auto byte = static_cast<char>(value);
        const bool good = token.find(byte) != std::string::npos;
        EXPECT_EQ(status_of(with_line(std::string("ab") + byte + "c: v")), good || byte == ':' ? 200 : 400)
            << value;
        EXPECT_EQ(status_of(with_line(std::string(1, byte) + "bc: v")), good ? 200 : 400) << value;
    }
}

TEST(HeadParser, JudgesEveryByteOfAValue) {
    for (int value = 0; value < 256; ++value) {
        const std::string text = std::string("a") + static_cast<char>(value) + "b";
        const bool good = value == '\t' || (value >= 0x20 && value != 0x7f);
        EXPECT_EQ(status_of(with_line("X: " + text)), good ? 200 : 400) << value;
        if (good) {
            EXPECT_EQ(Parsed(with_line("X: " + text)).head.header("x"), text);
        }
    }
}

TEST(HeadParser, JudgesEveryByteOfATarget) {
    for (int value = 0; value < 256; ++value) {
        const std::string target = std::string("/a") + static_cast<char>(value) + "b";
        const bool good = value > 0x20 && value < 0x7f && value != '#';
        EXPECT_EQ(status_of(get("", "GET " + target + " HTTP/1.1")), good ? 200 : 400) << value;
        if (good) {
            EXPECT_EQ(Parsed(get("", "GET " + target + " HTTP/1.1")).head.target, target);
        }
    }
}

TEST(HeadParser, JudgesEveryByteOfAMethod) {
    for (int value = 0; value < 256; ++value) {
        const std::string start = std::string("GE") + static_cast<char>(value) + " / HTTP/1.1";
        const int status = status_of(get("", start));
        if (value == 'T') {
            EXPECT_EQ(status, 200);
        } else {
            EXPECT_TRUE(status == 400 || status == 501) << value << ": " << status;
        }
    }
}

TEST(HeadParser, RefusesMalformedLines) {
    for (std::string_view line :
         {"X: a\r\n b", "X: a\r\n\tb", "X: a\r\n  \r\nY: c", "\tX: a", " X: a", "X : a", "X\t: a", ": a", "X",
          "X a", "X: a\rb", "X: a\nY: b", "X: a\n", "X: a\r\r\n", "\nX: a", "X\r\n: a"}) {
        EXPECT_EQ(status_of(with_line(line)), 400) << line;
    }
    for (std::string_view bytes :
         {"GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\rX",
          "GET  / HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n", "GET\t/ HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n",
          "GET\r\n\r\n", "GET HTTP/1.1\r\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
          "GET / HTTP/1.1\r\n\nHost: a\r\n\r\n"}) {
        EXPECT_EQ(status_of(bytes), 400) << bytes;
    }
}

TEST(HeadParser, WantsOneSoundHost) {
    const auto hosts = [](std::string_view lines, std::string_view version = "HTTP/1.1") {
        return "GET / " + std::string(version) + "\r\n" + std::string(lines) + "\r\n";
    };
    for (std::string_view host :
         {"a", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "[::1]", "api.example.com",
          "xn--bcher-kva.example", "a_b", "A.example.", "a:65535", "a:"}) {
        EXPECT_EQ(status_of(hosts("Host: " + std::string(host) + "\r\n")), 200) << host;
    }
    for (std::string_view host : {"",
                                  "a b",
                                  "user@a",
                                  "user:pw@a",
                                  "a,b",
                                  "a, b",
                                  "a/b",
                                  "a?b",
                                  "a:x",
                                  "a:65536",
                                  "a:99999999999999999999",
                                  "a:-1",
                                  "[::1",
                                  "[]",
                                  "[::1]x",
                                  "[::g]",
                                  "::1",
                                  ":80",
                                  "a%20b",
                                  "b\xc3\xbc",
                                  "\"a\"",
                                  "a:1:2"}) {
        EXPECT_EQ(status_of(hosts("Host: " + std::string(host) + "\r\n")), 400) << host;
    }
    EXPECT_EQ(status_of(hosts("")), 400);
    EXPECT_EQ(status_of(hosts("Host: a\r\nHost: a\r\n")), 400);
    EXPECT_EQ(status_of(hosts("Host: a\r\nhOST: b\r\n")), 400);
    EXPECT_EQ(status_of(hosts("", "HTTP/1.0")), 200);
    EXPECT_EQ(status_of(hosts("Host: a\r\n", "HTTP/1.0")), 200);
    EXPECT_EQ(status_of(hosts("Host: a\r\nHost: a\r\n", "HTTP/1.0")), 400);
    EXPECT_EQ(status_of(hosts("Host: a b\r\n", "HTTP/1.0")), 400);
}

TEST(HeadParser, TakesAContentLengthOnlyAsOneDecimalNumber) {
    const std::vector<std::pair<std::string, uint64_t>> good = {{"0", 0},
                                                                {"5", 5},
                                                                {"007", 7},
                                                                {"262145", 262145},
                                                                {"9223372036854775808", 1ULL << 63},
                                                                {"18446744073709551615", UINT64_MAX},
                                                                {" 5\t", 5}};
    for (const auto& [text, length] : good) {
        EXPECT_EQ(Parsed(with_line("Content-Length:" + text)).head.content_length, length) << text;
    }
    for (std::string_view text :
         {"", "+5", "+0", "-1", "0x5", "0x0", "5a", "5 5", "0,0", "5,5", "5, 5", "5,", ",5",
          "18446744073709551616", "99999999999999999999999", "5.0", "1e3", "\"5\"", "five"}) {
        EXPECT_EQ(status_of(with_line("Content-Length: " + std::string(text))), 400) << text;
    }
    EXPECT_EQ(status_of(with_line("Content-Length: 5\r\nContent-Length: 5")), 400);
    EXPECT_EQ(status_of(with_line("Content-Length: 5\r\ncontent-length: 6")), 400);
    EXPECT_EQ(status_of(with_line("Content-Length: 5\r\nContent-Length:")), 400);
}

TEST(HeadParser, TakesNoTransferCodingButChunked) {
    EXPECT_TRUE(Parsed(with_line("Transfer-Encoding: chunked")).head.chunked);
    EXPECT_TRUE(Parsed(with_line("transfer-encoding:CHUNKED ")).head.chunked);
    for (std::string_view text :
         {"xchunked", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity", "chunked;q=1",
          "\"chunked\"", "chunked,", ",chunked", "chun ked", ""}) {
        EXPECT_EQ(status_of(with_line("Transfer-Encoding: " + std::string(text))), 501) << text;
    }
    for (std::string_view lines : {"Transfer-Encoding: chunked\r\nContent-Length: 5",
                                   "Content-Length: 5\r\nTransfer-Encoding: chunked",
                                   "Content-Length: 0\r\nTransfer-Encoding: xchunked",
                                   "Transfer-Encoding: xchunked\r\nContent-Length: 5",
                                   "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                                   "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                                   "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"}) {
        EXPECT_EQ(status_of(with_line(lines)), 400) << lines;
    }
    EXPECT_EQ(status_of(get("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0")), 400);
}

TEST(HeadParser, TakesAPathOrAnAddressOfItsHost) {
    const auto target = [](std::string_view text, std::string_view method = "GET") {
        return get("", std::string(method) + " " + std::string(text) + " HTTP/1.1");
    };
    const Parsed absolute(target("HTTP://LocalHost:5000/ws?a=b"));
    EXPECT_EQ(absolute.head.path, "/ws");
    EXPECT_EQ(absolute.head.query, "a=b");
    EXPECT_EQ(absolute.head.target, "HTTP://LocalHost:5000/ws?a=b");
    EXPECT_EQ(Parsed(target("https://localhost:5000/")).head.path, "/");
    for (std::string_view text :
         {"*", "ws", "?a=b", "localhost:5000", "http://localhost:5000", "http://localhost:5000?a=/b",
          "http:///ws", "http://evil:5000/ws", "http://localhost/ws", "http://user@localhost:5000/ws",
          "ws://localhost:5000/ws", "http:/ws", "http", "h", "hello", "http://localhost:5000#/ws", "/ws#a",
          "\\ws"}) {
        EXPECT_EQ(status_of(target(text)), 400) << text;
    }
    EXPECT_EQ(status_of(target("*", "OPTIONS")), 400);
    EXPECT_EQ(status_of(target("localhost:5000", "CONNECT")), 400);
    EXPECT_EQ(status_of("GET http://anything/ws HTTP/1.0\r\n\r\n"), 200);
}

TEST(HeadParser, LeavesThePathAsItIs) {
    for (std::string_view path :
         {"/ws/", "//ws", "/./ws", "/../ws", "/%77s", "/ws%00", "/ws;a", "/WS", "/ws%2", "/"}) {
        const Parsed parsed(get("", "GET " + std::string(path) + "? HTTP/1.1"));
        EXPECT_EQ(parsed.head.path, path);
        EXPECT_EQ(parsed.head.query, "");
    }
}

TEST(HeadParser, ReadsTheUpgradeAsLists) {
    const auto upgrade = [](std::string_view lines, std::string_view version = "HTTP/1.1") {
        const Parsed parsed(get(std::string(lines) + "\r\n", "GET /ws " + std::string(version)));
        return std::pair(parsed.head.upgrade_websocket, parsed.head.connection_upgrade);
    };
    using Both = std::pair<bool, bool>;
    EXPECT_EQ(upgrade("Upgrade: websocket\r\nConnection: Upgrade"), Both(true, true));
    EXPECT_EQ(upgrade("upgrade: WebSocket\r\nconnection: keep-alive, uPgRaDe"), Both(true, true));
    EXPECT_EQ(upgrade("Upgrade: h2c , websocket\r\nConnection: a\r\nConnection: ,upgrade"), Both(true, true));
    EXPECT_EQ(upgrade("Upgrade: h2c\r\nConnection: notupgrade"), Both(false, false));
    EXPECT_EQ(upgrade("Upgrade: websockets\r\nConnection: upgrade2, close"), Both(false, false));
    EXPECT_EQ(upgrade("Upgrade: \r\nConnection: "), Both(false, false));
    EXPECT_EQ(upgrade("Upgrade: websocket\r\nConnection: Upgrade", "HTTP/1.0"), Both(false, true));
}

TEST(HeadParser, ReadsWhetherTheConnectionStays) {
    const auto stays = [](std::string_view line, std::string_view version) {
        return Parsed(get(std::string(line), "GET / " + std::string(version))).head.keep_alive;
    };
    EXPECT_TRUE(stays("", "HTTP/1.1"));
    EXPECT_FALSE(stays("Connection: close\r\n", "HTTP/1.1"));
    EXPECT_FALSE(stays("Connection: Keep-Alive, Close\r\n", "HTTP/1.1"));
    EXPECT_FALSE(stays("", "HTTP/1.0"));
    EXPECT_TRUE(stays("Connection: Keep-Alive\r\n", "HTTP/1.0"));
    EXPECT_FALSE(stays("Connection: keep-alive\r\nConnection: close\r\n", "HTTP/1.0"));
    EXPECT_TRUE(stays("Proxy-Connection: close\r\n", "HTTP/1.1"));
}

TEST(HeadParser, KnowsOneExpectation) {
    EXPECT_TRUE(Parsed(with_line("Expect: 100-Continue")).head.expect_continue);
    EXPECT_EQ(status_of(with_line("Expect: 200-ok")), 417);
    EXPECT_EQ(status_of(with_line("Expect: 100-continue, x")), 417);
    EXPECT_EQ(status_of(with_line("Expect: 100-continue\r\nExpect: x")), 417);
    EXPECT_FALSE(Parsed(get("Expect: 100-continue\r\n", "POST / HTTP/1.0")).head.expect_continue);
}

TEST(HeadParser, PassesOverHostileListsInOneGo) {
    const std::string blanks = "Sec-WebSocket-Protocol: b" + std::string(6000, ' ') + "x";
    EXPECT_EQ(status_of(with_line(blanks)), 200);
    EXPECT_EQ(status_of(with_line("Sec-WebSocket-Protocol: ,;,")), 200);
    EXPECT_EQ(status_of(with_line("Sec-WebSocket-Extensions: a; b=\"\\c\\c\\c")), 200);
    EXPECT_EQ(status_of(with_line("Connection: " + std::string(6000, ','))), 200);
}

}  // namespace
}  // namespace rc::http
