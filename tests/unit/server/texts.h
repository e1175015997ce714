#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

/// What clients and publishers say in the tests of the whole server, and what there is to see in the answers.
namespace rc::server {

inline std::string subscribe(std::string_view data) {
    return R"({"type":"subscribe","data":)" + std::string(data) + "}";
}
inline std::string to_user(int n, std::string_view user = "u", std::string_view type = "x") {
    return R"({"type":")" + std::string(type) + R"(","userId":")" + std::string(user) + R"(","data":{"n":)" +
           std::to_string(n) + "}}";
}
inline std::string to_topic(int n, std::string_view topic = "t", std::string_view type = "x") {
    return R"({"type":")" + std::string(type) + R"(","topic":")" + std::string(topic) + R"(","data":{"n":)" +
           std::to_string(n) + "}}";
}
inline std::string message(int n) {
    return R"({"type":"x","data":{"n":)" + std::to_string(n) + "}}";
}
/// The number behind the mark; -1 without it.
inline int64_t number(std::string_view text, std::string_view mark) {
    auto const at = text.find(mark);
    return at == std::string_view::npos ? -1 : std::stoll(std::string(text.substr(at + mark.size())));
}
/// RINGCAST_SEEDS=100 tries a hundred times as many.
inline uint64_t seeds(uint64_t usual) {
    const char* times = std::getenv("RINGCAST_SEEDS");
    return usual * (times ? std::strtoull(times, nullptr, 10) : 1);
}
inline std::string error_code(std::string_view text) {
    constexpr std::string_view kMark = R"({"type":"error","data":{"code":")";
    if (!text.starts_with(kMark)) return {};
    text.remove_prefix(kMark.size());
    return std::string(text.substr(0, text.find('"')));
}

}  // namespace rc::server
