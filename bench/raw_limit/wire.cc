#include "wire.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

#include "ringcast/ws/frame.h"
#include "ringcast/ws/handshake.h"

namespace rc::bench {
namespace {

std::string_view behind(std::string_view json, std::string_view name) {
    auto const at = json.find(name);
    if (at == std::string_view::npos) return {};
    json.remove_prefix(at + name.size());
    json.remove_prefix(std::min(json.find_first_not_of(' '), json.size()));
    return json;
}

}  // namespace

std::string_view header_value(std::string_view head, std::string_view lower_name) {
    for (std::size_t at = 0; (at = head.find("\r\n", at)) != std::string_view::npos; at += 2) {
        if (head.size() - at < lower_name.size() ||
            ::strncasecmp(head.data() + at, lower_name.data(), lower_name.size()) != 0) {
            continue;
        }
        auto value = head.substr(at + lower_name.size());
        value = value.substr(0, value.find("\r\n"));
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        return value;
    }
    return {};
}

std::optional<Request> next_request(std::string_view bytes) {
    auto const end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return {};
    Request request{.head = bytes.substr(0, end + 2), .body = {}, .size = end + 4};
    std::size_t length = 0;
    auto const value = header_value(request.head, "\r\ncontent-length:");
    std::from_chars(value.data(), value.data() + value.size(), length);
    if (bytes.size() - request.size < length) return {};
    request.body = bytes.substr(request.size, length);
    request.size += length;
    return request;
}

std::string switching_answer(std::string_view head) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: " +
           ws::accept_value(header_value(head, "\r\nsec-websocket-key:")) + "\r\n\r\n";
}

std::string frame_of_publication(std::string_view body) {
    auto type = behind(body, R"("type":)");
    auto data = behind(body, R"("data":)");
    if (type.empty() || data.empty()) return {};
    data.remove_suffix(1);  // the message's own brace; `data` stands last
    std::string text = R"({"type":)";
    text.append(type.substr(0, type.find('"', 1) + 1)).append(R"(,"data":)").append(data).append("}");
    return frame_of(1, text);
}

std::string frame_of(uint8_t opcode, std::string_view payload) {
    return ws::encode_frame(static_cast<ws::Opcode>(opcode), payload);
}

std::optional<uint64_t> user_of(std::string_view json) {
    auto const digits = behind(json, R"("userId":)");
    uint64_t user = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), user).ec != std::errc()) return {};
    return user;
}

std::size_t take_frame(std::string_view bytes, uint8_t& opcode, std::string& payload) {
    auto const byte = [&](std::size_t at) { return static_cast<uint8_t>(bytes[at]); };
    if (bytes.size() < 6) return 0;
    opcode = byte(0) & 15;
    std::size_t length = byte(1) & 127, head = 2;
    if (length > 125) {
        std::size_t const digits = length == 126 ? 2 : 8;
        if (bytes.size() < 2 + digits) return 0;
        for (length = 0; head < 2 + digits; ++head)
            length = length << 8 | byte(head);
    }
    if (bytes.size() < head + 4 + length) return 0;
    auto const mask = bytes.substr(head, 4);
    payload.assign(bytes.substr(head + 4, length));
    for (std::size_t i = 0; i < length; ++i)
        payload[i] = static_cast<char>(payload[i] ^ mask[i & 3]);
    return head + 4 + length;
}

}  // namespace rc::bench
