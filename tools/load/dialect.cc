#include "dialect.h"

#include <charconv>
#include <string>

namespace rc::load {

// Engine.IO's packets: 0 open, 2 ping, 3 pong, 4 message; in a message Socket.IO's: 0 connected, 2 event,
// 3 answer to an event.
void hear_socketio(std::string_view text, std::string_view subscription, DialectSink& sink) {
    if (text.starts_with("42")) {
        if (auto const stamp = read_stamp(text)) return sink.on_delivery(*stamp);
    } else if (text.starts_with('0')) {
        return sink.say("40");
    } else if (text.starts_with("40")) {
        std::string event = R"(420["subscribe",)";  // that asks for an answer
        return sink.say(event.append(subscription).append("]"));
    } else if (text.starts_with("430")) {
        return sink.on_subscribed();
    } else if (text == "2") {
        sink.on_heartbeat();
        return sink.say("3");
    }
    sink.on_nonsense(text);
}

void hear_nats(std::string_view text, std::string_view subjects, DialectSink& sink) {
    constexpr std::string_view kEnd = "\r\n";
    while (!text.empty()) {
        auto const end = text.find(kEnd);
        if (end == std::string_view::npos) return sink.on_nonsense(text);
        auto const line = text.substr(0, end);
        text.remove_prefix(end + kEnd.size());
        if (line.starts_with("MSG ")) {
            std::size_t bytes = 0;
            auto const number = line.substr(line.rfind(' ') + 1);
            std::from_chars(number.data(), number.data() + number.size(), bytes);
            auto const stamp = read_stamp(text.substr(0, bytes));
            if (!stamp || text.size() < bytes + kEnd.size()) return sink.on_nonsense(line);
            sink.on_delivery(*stamp);
            text.remove_prefix(bytes + kEnd.size());
        } else if (line.starts_with("INFO ")) {
            std::string hello = "CONNECT {\"verbose\":false,\"protocol\":1}\r\n";
            sink.say(hello.append(subjects).append("PING\r\n"));
        } else if (line == "PONG") {
            sink.on_subscribed();
        } else if (line == "PING") {
            sink.on_heartbeat();
            sink.say("PONG\r\n");
        } else {
            sink.on_nonsense(line);
        }
    }
}

}  // namespace rc::load
