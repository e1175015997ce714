#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "commands.h"
#include "ringcast/auth/token.h"
#include "ringcast/proto/client_message.h"
#include "ringcast/proto/encode.h"
#include "ringcast/server/config.h"

namespace rc::ctl {
namespace {

Result<std::string> newest_secret(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) return line;
    }
    return fail(Errc::settings, fmt::format("{}: no secret can be read from it", path));
}

void add_text(std::string& claims, std::string_view name, const std::optional<std::string>& text) {
    if (!text) return;
    claims += fmt::format(R"(,"{}":)", name);
    proto::append_json_string(claims, *text);
}

}  // namespace

Result<int> mint_token(const TokenOptions& options) {
    auto const secret = newest_secret(options.secret_file);
    if (!secret) return tl::unexpected(secret.error());
    auto const lasts = server::parse_duration(options.expires);
    if (!lasts) return fail(Errc::settings, fmt::format("--expires {}", lasts.error().message));
    if (!proto::user_id_of(options.user)) return fail(Errc::settings, "--user is no user's id");

    auto const now = std::chrono::floor<seconds>(std::chrono::system_clock::now().time_since_epoch());
    std::string claims = fmt::format(R"({{"iat":{},"exp":{})", now.count(), (now + *lasts) / seconds(1));
    add_text(claims, "sub", options.user);
    add_text(claims, "iss", options.issuer);
    add_text(claims, "aud", options.audience);
    if (!options.topics.empty()) {
        claims += R"(,"topics":[)";
        for (const auto& topic : options.topics) {
            if (!claims.ends_with('[')) claims += ',';
            proto::append_json_string(claims, topic);
        }
        claims += ']';
    }
    claims += '}';

    auto const text =
        auth::encode_base64url(R"({"alg":"HS256","typ":"JWT"})") + '.' + auth::encode_base64url(claims);
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    if (!HMAC(EVP_sha256(), secret->data(), static_cast<int>(secret->size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size))
        return fail(Errc::system, "libcrypto makes no HMAC");
    std::string_view const signature(reinterpret_cast<const char*>(mac.data()), size);
    fmt::print("{}.{}\n", text, auth::encode_base64url(signature));
    return 0;
}

}  // namespace rc::ctl
