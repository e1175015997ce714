#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../support/fake_core.h"
#include "ringcast/http/connection.h"

/// One core with an API listener, for the tests of its connections.
namespace rc::http {

constexpr uint64_t kBodyMax = 256 * 1024;
constexpr Duration kTick = io::TimerWheel::kTick;

/// Echoes `<path>|<body>`: at once, or when the test says so.
struct App final : RequestHandler {
    HeadVerdict on_head(const RequestHead& head, const net::PeerAddress&) override {
        ++heads;
        if (head.path == "/refuse") return HeadVerdict::refuse({.status = 401, .body = "who are you"});
        if (head.path == "/gone") {
            server->close_all();
            return HeadVerdict::accept(kBodyMax);
        }
        return HeadVerdict::accept(kBodyMax);
    }
    void on_request(RequestHandle handle, Request& request) override {
        std::string answer = std::string(request.head.path) + "|" + request.body;
        handled.push_back(answer);
        body_capacity = request.body.capacity();
        if (request.head.path == "/big") answer.append(big_bytes, 'x');
        waiting.push_back({handle, std::move(answer)});
        if (at_once) answer_next();
    }
    void on_abandoned(RequestHandle handle) override { abandoned.push_back(handle); }
    std::string error_body(int status, std::string_view message) override {
        EXPECT_FALSE(message.empty());
        return "{\"error\":" + std::to_string(status) + "}";
    }

    void answer_next() {
        auto [handle, body] = std::move(waiting.front());
        waiting.erase(waiting.begin());
        server->respond(handle, {.body = std::move(body), .close = close});
    }

    Server* server = nullptr;
    bool at_once = true, close = false;
    size_t big_bytes = 0, body_capacity = 0;  // of the last request's body
    uint32_t heads = 0;
    std::vector<std::string> handled;
    std::vector<std::pair<RequestHandle, std::string>> waiting;
    std::vector<RequestHandle> abandoned;
};

struct World {
    explicit World(ServerLimits limits = {}, size_t buffer_bytes = 4096, uint32_t streams_max = 1024)
        : core(buffer_bytes, streams_max), server(core.reactor, core.streams, limits, use, app) {
        core.add_work(server);
        app.server = &server;
    }
    ~World() {
        server.close_all();
        core.settle();
        EXPECT_EQ(server.connections(), 0U);
        EXPECT_EQ(core.streams.open_streams(), 0U);
        EXPECT_EQ(server.metrics.body_bytes.value(), 0U);
        EXPECT_EQ(core.ring.operations(), 0U);
    }

    io::File connect() {
        auto const file = core.ring.open_socket();
        server.on_accept(file, {}, 0);
        core.settle();
        return file;
    }
    test::FakeSocket& socket(io::File file) { return core.ring.socket(file); }
    void deliver(io::File file, std::string_view bytes) {
        socket(file).deliver(bytes);
        core.settle();
    }
    /// What the bytes are answered with.
    std::string ask(io::File file, std::string_view bytes) {
        deliver(file, bytes);
        return socket(file).take_sent();
    }
    /// FIN was sent, and the socket is closed when the linger time is over.
    bool ends(io::File file) {
        bool const fin = socket(file).fin_sent || socket(file).closed;
        core.advance(seconds(2) + kTick);
        return fin && socket(file).closed;
    }

    test::FakeCore core;
    App app;
    ProcessUse use;
    Server server;
};

inline std::string get(std::string_view path, std::string_view fields = {}) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body) {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}
inline std::string ok(std::string_view body, std::string_view connection = {}) {
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + std::string(connection) + "\r\n" + std::string(body);
}
constexpr std::string_view kClose = "Connection: close\r\n";

/// Each status line's status, in order. Bodies of these tests hold none.
inline std::vector<int> statuses(std::string_view sent) {
    std::vector<int> out;
    for (size_t at = 0; (at = sent.find("HTTP/1.1 ", at)) != std::string_view::npos; at += 9)
        out.push_back(std::stoi(std::string(sent.substr(at + 9, 3))));
    return out;
}

}  // namespace rc::http
