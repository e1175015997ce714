#include "ringcast/http/body_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rc::http {
namespace {

using State = BodyParser::State;
constexpr uint64_t kMax = 64 * 1024;

RequestHead chunked_head() {
    RequestHead head;
    head.chunked = true;
    return head;
}

RequestHead length_head(uint64_t length) {
    RequestHead head;
    head.content_length = length;
    return head;
}

struct Outcome {
    int status = 0;  // 200 complete, 0 more is needed
    size_t consumed = 0;
    std::string body;
    bool operator==(const Outcome&) const = default;
};

void feed_all(BodyParser& parser, std::string_view bytes, size_t step, Outcome& outcome) {
    while (!bytes.empty() && parser.state() == State::need_more) {
        size_t taken = 0;
        const std::string piece(bytes.substr(0, step));
        parser.feed(piece, taken, outcome.body);
        outcome.consumed += taken;
        bytes.remove_prefix(taken);
    }
    if (parser.state() == State::complete) outcome.status = 200;
    if (parser.state() == State::failed) {
        outcome.status = parser.failure().status;
        EXPECT_FALSE(parser.failure().message.empty());
    }
}

Outcome read(const RequestHead& head, std::string_view bytes, size_t step, uint64_t max_bytes) {
    BodyParser parser;
    Outcome outcome;
    parser.start(head, max_bytes);
    feed_all(parser, bytes, step, outcome);
    EXPECT_EQ(parser.received(), outcome.body.size());
    return outcome;
}

/// The outcome, which must be the same however the bytes are cut: in one, byte by byte, and at each place
/// once.
Outcome read(const RequestHead& head, std::string_view bytes, uint64_t max_bytes = kMax) {
    const Outcome whole = read(head, bytes, bytes.size() + 1, max_bytes);
    EXPECT_EQ(read(head, bytes, 1, max_bytes), whole) << bytes;
    for (size_t cut = 1; bytes.size() < 200 && cut < bytes.size(); ++cut) {
        BodyParser parser;
        Outcome outcome;
        parser.start(head, max_bytes);
        feed_all(parser, bytes.substr(0, cut), cut, outcome);
        if (parser.state() == State::need_more) feed_all(parser, bytes.substr(cut), bytes.size(), outcome);
        EXPECT_EQ(outcome, whole) << bytes << " cut at " << cut;
    }
    return whole;
}

int chunked_status(std::string_view bytes, uint64_t max_bytes = kMax) {
    return read(chunked_head(), bytes, max_bytes).status;
}

TEST(BodyParser, TakesAsMuchAsContentLengthSays) {
    EXPECT_EQ(read(length_head(5), "helloGET / "), (Outcome{200, 5, "hello"}));
    EXPECT_EQ(read(length_head(5), "hell"), (Outcome{0, 4, "hell"}));
    const std::string binary("\0\r\n0\r\n\r\n", 8);
    EXPECT_EQ(read(length_head(8), binary), (Outcome{200, 8, binary}));
}

TEST(BodyParser, IsCompleteAtOnceWithoutABody) {
    BodyParser parser;
    EXPECT_EQ(parser.start(RequestHead{}, kMax), State::complete);
    EXPECT_EQ(parser.start(length_head(0), 0), State::complete);
}

TEST(BodyParser, RefusesATooLargeContentLengthFromTheHead) {
    BodyParser parser;
    EXPECT_EQ(parser.start(length_head(kMax - 1), kMax), State::need_more);
    EXPECT_EQ(parser.start(length_head(kMax), kMax), State::need_more);
    for (uint64_t length : {kMax + 1, uint64_t{1} << 31, (uint64_t{1} << 32) + 5, (uint64_t{1} << 63) - 1,
                            uint64_t{1} << 63, UINT64_MAX}) {
        EXPECT_EQ(parser.start(length_head(length), kMax), State::failed) << length;
        EXPECT_EQ(parser.failure().status, 413);
    }
    EXPECT_EQ(parser.start(length_head(3), kMax), State::need_more)
        << "a failure does not outlive the next start";
}

TEST(BodyParser, JoinsChunks) {
    EXPECT_EQ(read(chunked_head(), "5\r\nhello\r\n0\r\n\r\n"), (Outcome{200, 15, "hello"}));
    EXPECT_EQ(
        read(chunked_head(), "1\r\na\r\n0A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\nGET /"),
        (Outcome{200, 42, "a0123456789\r\n\r\n\r\n\r\n\r\n"}));
    EXPECT_EQ(read(chunked_head(), "0\r\n\r\n"), (Outcome{200, 5, ""}));
    EXPECT_EQ(read(chunked_head(), "000\r\n\r\n"), (Outcome{200, 7, ""}));
    EXPECT_EQ(read(chunked_head(), "5\r\nhello\r\n0\r\n\r"), (Outcome{0, 14, "hello"}));
    EXPECT_EQ(read(chunked_head(), "5\r\nhel"), (Outcome{0, 6, "hel"}));
}

TEST(BodyParser, LimitsAllChunksTogether) {
    EXPECT_EQ(chunked_status("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 6), 200);
    EXPECT_EQ(chunked_status("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 5), 200);
    EXPECT_EQ(chunked_status("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 4), 413);
    EXPECT_EQ(read(chunked_head(), "3\r\nabc\r\n2\r\nde", 4), (Outcome{413, 11, "abc"}))
        << "at the size, not the data";
    EXPECT_EQ(chunked_status("1\r\n", 0), 413);
    EXPECT_EQ(chunked_status("0\r\n\r\n", 0), 200);
}

TEST(BodyParser, RefusesSizesThatDoNotFit) {
    EXPECT_EQ(chunked_status("ffffffffffffffff\r\n"), 413);
    EXPECT_EQ(chunked_status("7fffffffffffffff\r\n"), 413);
    EXPECT_EQ(chunked_status("8000000000000000\r\n"), 413);
    EXPECT_EQ(chunked_status("100000005\r\n"), 413);
    EXPECT_EQ(chunked_status("10000000000000000\r\n"), 400);
    EXPECT_EQ(chunked_status("fffffffffffffffff\r\n"), 400);
    EXPECT_EQ(chunked_status("0000000000000001\r\na\r\n0\r\n\r\n"), 200);
    EXPECT_EQ(chunked_status("00000000000000001\r\na\r\n0\r\n\r\n"), 400);
    // The second chunk's size must not wrap what came before it.
    EXPECT_EQ(chunked_status("2\r\nab\r\nfffffffffffffffe\r\n"), 413);
}

TEST(BodyParser, NeverReservesOnAnAnnouncedNumber) {
    BodyParser parser;
    std::string body;
    size_t taken = 0;
    ASSERT_EQ(parser.start(length_head(1 << 30), 1 << 30), State::need_more);
    parser.feed("x", taken, body);
    EXPECT_LT(body.capacity(), 100U);
    parser.start(chunked_head(), 1 << 30);
    parser.feed("3fffffff\r\nx", taken, body);
    EXPECT_EQ(body, "xx");
    EXPECT_LT(body.capacity(), 100U);
}

TEST(BodyParser, RefusesMalformedChunks) {
    for (std::string_view bytes : {"0x5\r\nhello\r\n",
                                   "+5\r\n",
                                   "-1\r\n",
                                   " 5\r\n",
                                   "\r\n5\r\n",
                                   "g\r\n",
                                   ";a\r\n",
                                   "5\nhello\r\n",
                                   "5\rhello",
                                   "5\r\nhello0\r\n",
                                   "5\r\nhello\n0\r\n",
                                   "5\r\nhello\r0",
                                   "5\r\nhelloo\r\n",
                                   "5 \r\nhello\r\n",
                                   "5 5\r\n",
                                   "5\t\r\n",
                                   "0\n\r\n",
                                   "0\r\n\n",
                                   "0\r\n\rX",
                                   "5,\r\n",
                                   "5\r\nhello\r\n\r\n"}) {
        EXPECT_EQ(chunked_status(bytes), 400) << bytes;
    }
    EXPECT_EQ(chunked_status(std::string_view("5\0\r\n", 4)), 400);
}

TEST(BodyParser, JudgesEveryByteOfASize) {
    for (int value = 0; value < 256; ++value) {
        const bool hex =
            std::string_view("0123456789abcdefABCDEF").find(static_cast<char>(value)) != std::string::npos;
        const std::string bytes = std::string("0") + static_cast<char>(value);
        const bool may_follow = hex || value == '\r' || value == ';' || value == ' ' || value == '\t';
        EXPECT_EQ(chunked_status(bytes), may_follow ? 0 : 400) << value;
        EXPECT_EQ(chunked_status(bytes.substr(1)), hex ? 0 : 400) << value;
    }
}

TEST(BodyParser, PassesOverShortExtensions) {
    EXPECT_EQ(read(chunked_head(), "5;a=b;c=\"d\"\r\nhello\r\n0;z\r\n\r\n").body, "hello");
    EXPECT_EQ(chunked_status("5 ;a\r\nhello\r\n0\t;z\r\n\r\n"), 200);
    const auto extended = [](size_t bytes) {
        return "5;" + std::string(bytes - 1, 'e') + "\r\nhello\r\n0\r\n\r\n";
    };
    EXPECT_EQ(chunked_status(extended(255)), 200);
    EXPECT_EQ(chunked_status(extended(256)), 200);
    EXPECT_EQ(chunked_status(extended(257)), 400);
    EXPECT_EQ(chunked_status(extended(10240)), 400);
    EXPECT_EQ(chunked_status("5" + std::string(300, ' ')), 400);
    EXPECT_EQ(chunked_status("1;" + std::string(200, 'e') + "\r\na\r\n1;" + std::string(200, 'e') +
                             "\r\nb\r\n0\r\n\r\n"),
              200);
    EXPECT_EQ(chunked_status("5;a\nhello"), 400);
    EXPECT_EQ(chunked_status("5;a\x7f"), 400);
}

TEST(BodyParser, PassesOverTrailers) {
    EXPECT_EQ(read(chunked_head(), "1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 99\r\n\r\nGET"),
              (Outcome{200, 41, "a"}));
    for (std::string_view lines : {"X\r\n", ": a\r\n", " X: a\r\n", "X : a\r\n", "X: a\n", "X: a\r\n b\r\n",
                                   "X: \x01\r\n", "\xff: a\r\n", "X: a\rb"}) {
        EXPECT_EQ(chunked_status("0\r\n" + std::string(lines) + "\r\n"), 400) << lines;
    }
    const auto trailers = [](size_t bytes) {  // the last empty line included
        return "0\r\nX: " + std::string(bytes - 7, 'v') + "\r\n\r\n";
    };
    EXPECT_EQ(chunked_status(trailers(8191)), 200);
    EXPECT_EQ(chunked_status(trailers(8192)), 200);
    EXPECT_EQ(chunked_status(trailers(8193)), 400);
    EXPECT_EQ(chunked_status(trailers(100000)), 400);
}

}  // namespace
}  // namespace rc::http
