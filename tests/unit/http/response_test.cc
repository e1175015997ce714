#include "ringcast/http/response.h"

#include <gtest/gtest.h>

namespace rc::http {
namespace {

TEST(Response, CarriesLengthTypeAndBody) {
    EXPECT_EQ(make_response(200, "text/plain", "ok", {}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(make_response(404, "", "", {}), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

TEST(Response, SaysWhetherTheConnectionStays) {
    EXPECT_EQ(make_response(400, "", "", {.keep_alive = false}),
              "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(make_response(200, "", "", {.keep_alive = true, .minor_version = 0}),
              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(make_response(200, "", "", {.keep_alive = false, .minor_version = 0}),
              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(Response, AnswersHeadWithTheLengthAlone) {
    EXPECT_EQ(make_response(200, "text/plain", "hello", {.head_only = true}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

TEST(Response, HasNoLengthWhereThereCanBeNoBody) {
    EXPECT_EQ(make_response(204, "application/json", "", {}), "HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(make_response(100, "", "", {}), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(make_response(101, "", "", {.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}}),
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(Response, KnowsEveryStatusItSends) {
    for (int status : {100, 101, 200, 204, 400, 401, 403, 404, 405, 408, 409,
                       411, 413, 415, 417, 426, 429, 431, 500, 501, 503, 505}) {
        EXPECT_FALSE(reason_phrase(status).empty()) << status;
    }
    EXPECT_TRUE(reason_phrase(299).empty());
}

TEST(ResponseDeathTest, StopsBeforeAHeaderCanBeSplit) {
    EXPECT_DEATH(make_response(200, "", "", {.headers = {{"X", "a\r\nSet-Cookie: b"}}}), "kValueByte");
    EXPECT_DEATH(make_response(200, "", "", {.headers = {{"X: y", "a"}}}), "kTokenByte");
}

}  // namespace
}  // namespace rc::http
