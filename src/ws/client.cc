#include "ringcast/ws/client.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "ringcast/base/ascii.h"
#include "ringcast/ws/handshake.h"

namespace rc::ws {
namespace {

constexpr size_t kAnswerBytesMax = 16'384;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// splitmix64
uint64_t next(uint64_t& state) {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

std::string make_key(uint64_t& chance) {
    std::string key;
    for (int i = 0; i < 21; ++i)
        key += kAlphabet[next(chance) % 64];
    return key + kAlphabet[next(chance) % 4 * 16] + "==";  // of 16 bytes the 22nd digit has two bits
}

/// The value of a field of a head; empty if there is none.
std::string_view field(std::string_view head, std::string_view name) {
    for (size_t line = head.find("\r\n"); line != std::string_view::npos && line + 2 < head.size();
         line = head.find("\r\n", line + 2)) {
        auto const text = head.substr(line + 2, head.find("\r\n", line + 2) - line - 2);
        auto const colon = text.find(':');
        if (colon == std::string_view::npos || !equal_ignoring_case(text.substr(0, colon), name)) continue;
        auto value = text.substr(colon + 1);
        while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
            value.remove_prefix(1);
        while (!value.empty() && (value.back() == ' ' || value.back() == '\t'))
            value.remove_suffix(1);
        return value;
    }
    return {};
}

/// The status of "HTTP/1.1 101 ..."; 0 for anything else.
uint16_t status_of(std::string_view head) {
    if (!head.starts_with("HTTP/1.") || head.size() < 12) return 0;
    uint16_t status = 0;
    auto const end = head.data() + 12;
    return std::from_chars(head.data() + 9, end, status).ptr == end ? status : uint16_t{0};
}

}  // namespace

ClientEndpoint::ClientEndpoint(net::StreamTable& table, std::string_view host, std::string_view target,
                               uint64_t chance)
    : streams(table), chance_(chance) {
    std::string const key = make_key(chance_);
    accept = accept_value(key);
    request = FrameRef(SharedBytes::join({"GET ", target, " HTTP/1.1\r\nHost: ", host,
                                          "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                                          key, "\r\n\r\n"}));
}

MaskKey ClientEndpoint::next_mask() {
    auto const bits = next(chance_);
    return {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits >> 16),
            static_cast<uint8_t>(bits >> 24)};
}

bool ClientConnection::open(io::File file) {
    if (!stream_.open(file, net::Waits::multishot)) return false;
    stream_.queue(endpoint_.request);
    return true;
}

void ClientConnection::send(FrameRef frame) {
    if (state_ == State::open) stream_.queue(std::move(frame));
}

void ClientConnection::send_text(std::string_view payload) {
    if (state_ == State::open) send_frame(Opcode::text, payload);
}

void ClientConnection::send_frame(Opcode opcode, std::string_view payload) {
    stream_.queue(
        FrameRef(SharedBytes::copy_of(encode_masked_frame(opcode, payload, endpoint_.next_mask()))));
}

void ClientConnection::close(CloseCode code) {
    if (state_ == State::handshake) return abort();
    if (state_ != State::open) return;
    send_frame(Opcode::close, close_payload(static_cast<uint16_t>(code), {}));
    state_ = State::closing;
    say_ending({});
}

void ClientConnection::on_bytes(std::string_view bytes) {
    if (state_ == State::handshake) bytes = take_answer(bytes);
    if (bytes.empty() || (state_ != State::open && state_ != State::closing)) return;
    decoder_.feed(endpoint_.pool, endpoint_.codec, bytes, *this);
}

// Returns what follows the head.
std::string_view ClientConnection::take_answer(std::string_view bytes) {
    constexpr std::string_view kEnd = "\r\n\r\n";
    auto const before = answer_.size();
    answer_.append(bytes.substr(0, kAnswerBytesMax));
    auto const end_of_head = answer_.find(kEnd, before < 3 ? 0 : before - 3);
    if (end_of_head == std::string::npos) {
        if (answer_.size() >= kAnswerBytesMax) end({Ending::Why::refused, 0, "no answer to an upgrade"});
        return {};
    }
    auto const head = std::string_view(answer_).substr(0, end_of_head);
    auto const status = status_of(head);
    if (status != 101) {
        end({Ending::Why::refused, status, head.substr(0, head.find("\r\n"))});
        return {};
    }
    if (field(head, "sec-websocket-accept") != endpoint_.accept ||
        !equal_ignoring_case(field(head, "upgrade"), "websocket")) {
        end({Ending::Why::broken, 0, "the answer accepts another key, or none"});
        return {};
    }
    bytes.remove_prefix(end_of_head + kEnd.size() - before);
    answer_ = {};
    state_ = State::open;
    handler_.on_open();
    return bytes;
}

void ClientConnection::on_message(Opcode opcode, std::string_view payload) {
    if (state_ == State::open) handler_.on_message(opcode, payload);
}

void ClientConnection::on_ping(std::string_view payload) {
    if (state_ == State::open) send_frame(Opcode::pong, payload);
}

void ClientConnection::on_close(const CloseBody& body) {
    if (state_ == State::open) {
        say_ending({Ending::Why::closed, body.code, body.reason});
        send_frame(Opcode::close,
                   body.code == kNoStatusReceived ? std::string() : close_payload(body.code, {}));
        state_ = State::closing;
    }
}

void ClientConnection::on_failure(CloseCode, std::string_view why) {
    end({Ending::Why::broken, 0, why});
}

void ClientConnection::on_end() {
    end({Ending::Why::lost, 0, state_ == State::handshake ? "no answer to the upgrade" : "no close frame"});
}

void ClientConnection::say_ending(const Ending& ending) {
    if (ending_said_) return;
    ending_said_ = true;
    handler_.on_ending(ending);
}

void ClientConnection::end(const Ending& ending) {
    if (state_ == State::ended) return;
    state_ = State::ended;
    decoder_.stop();
    say_ending(ending);
    stream_.begin_close();
}

void ClientConnection::on_closed() {
    // The stream closes by itself when the kernel says that the connection is over.
    if (state_ != State::ended) {
        bool const asked = state_ == State::handshake;
        state_ = State::ended;
        decoder_.stop();
        say_ending({Ending::Why::lost, 0, asked ? "the connection failed" : "the connection broke"});
    }
    handler_.on_closed();  // may destroy *this
}

}  // namespace rc::ws
