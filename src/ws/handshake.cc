// libcrypto's one door.
#include "ringcast/ws/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <memory>

#include "ringcast/base/assert.h"
#include "ringcast/ws/origin.h"

namespace rc::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr size_t kKeyChars = 24;                                            // base64 of 16 bytes: 22 and "=="

bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

}  // namespace

std::string accept_value(std::string_view key) {
    // SHA1() looks the algorithm up each time, which costs several times this digest.
    static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    thread_local std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(),
                                                                                       &EVP_MD_CTX_free);
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
    RC_ASSERT(EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr) == 1 &&
              EVP_DigestUpdate(context.get(), key.data(), key.size()) == 1 &&
              EVP_DigestUpdate(context.get(), kGuid.data(), kGuid.size()) == 1 &&
              EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
    std::array<unsigned char, 4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1> encoded;
    const int size = EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
    RC_ASSERT(size + 1 == static_cast<int>(encoded.size()));
    return {encoded.begin(), encoded.end() - 1};
}

bool is_valid_key(std::string_view key) {
    return key.size() == kKeyChars && key.ends_with("==") &&
           std::ranges::all_of(key.substr(0, kKeyChars - 2), is_base64);
}

UpgradeVerdict check_upgrade(const http::RequestHead& request) {
    if (request.method != http::Method::get) {
        return {405, "a WebSocket begins with GET", {{"Allow", "GET"}}};
    }
    if (request.count("expect") > 0) return {417, "no expectation can be met here", {}};
    if (request.chunked || request.content_length.value_or(0) > 0) {
        return {400, "a WebSocket upgrade has no body", {}};
    }
    if (!request.upgrade_websocket) {
        return {426,
                "this is a WebSocket: send Upgrade: websocket",
                {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}}};
    }
    if (!request.connection_upgrade) return {400, "Connection must list upgrade", {}};
    if (request.count("sec-websocket-version") != 1 || request.header("sec-websocket-version") != "13") {
        return {426,
                "Sec-WebSocket-Version must be 13",
                {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}}};
    }
    if (request.count("sec-websocket-key") != 1 || !is_valid_key(*request.header("sec-websocket-key"))) {
        return {400, "Sec-WebSocket-Key must be base64 of 16 bytes, once", {}};
    }
    return {};
}

std::string switching_response(std::string_view key, std::optional<std::string_view> subprotocol) {
    constexpr std::string_view kBeginning =
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: ";
    std::string response;
    response.reserve(kBeginning.size() + 64 + (subprotocol ? subprotocol->size() + 32 : 0));
    response.append(kBeginning).append(accept_value(key)).append("\r\n");
    if (subprotocol) response.append("Sec-WebSocket-Protocol: ").append(*subprotocol).append("\r\n");
    return response.append("\r\n");
}

bool request_origin_allowed(std::span<const std::string> allowed, const http::RequestHead& request) {
    if (allowed.empty()) return true;
    const size_t count = request.count("origin");
    return count == 0 || (count == 1 && origin_allowed(allowed, *request.header("origin")));
}

}  // namespace rc::ws
