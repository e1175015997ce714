#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>

#include "api.h"
#include "commands.h"

namespace rc::ctl {
namespace {

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (unsigned char c : text) {
        bool const plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~';
        out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
    }
    return out;
}

}  // namespace

Result<int> inbox(const InboxOptions& options) {
    auto const path = fmt::format("/api/users/{}/notifications?limit={}{}", percent_encoded(options.user),
                                  options.limit, options.unread ? "&read=false" : "");
    auto const answer = ask(options.api, {.path = path, .body = {}});
    if (!answer) return tl::unexpected(answer.error());
    simdjson::dom::parser parser;
    simdjson::dom::element body;
    simdjson::dom::array notifications;
    uint64_t unread = 0;
    if (parser.parse(*answer).get(body) || body["notifications"].get(notifications) ||
        body["unreadCount"].get(unread))
        return fail(Errc::system, "the server's answer is none that this program knows");
    for (auto notification : notifications) {
        std::string_view offset;
        simdjson::dom::element data;
        bool read = false;
        if (notification["offset"].get(offset) || notification["data"].get(data) || data["read"].get(read))
            continue;
        std::printf("%s", fmt::format("{}  {}  {}\n", offset, read ? "read  " : "unread",
                                      std::string(simdjson::minify(data)))
                              .c_str());
    }
    std::printf("%llu unread\n", static_cast<unsigned long long>(unread));
    return 0;
}

}  // namespace rc::ctl
