// libcurl's one door.
#include "ringcast/auth/key_fetch.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "ringcast/auth/keys.h"
#include "ringcast/base/ascii.h"
#include "ringcast/base/assert.h"

namespace rc::auth {
namespace {

struct Answer {
    std::string body, cache_control;
    const std::function<bool()>* give_up;
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() &&
           (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
        text.remove_suffix(1);
    return text;
}

// A size other than what was given ends the transfer.
std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
    auto& answer = *static_cast<Answer*>(user);
    if (size > kKeySourceBytesMax - answer.body.size()) return 0;
    answer.body.append(data, size);
    return size;
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
    auto& answer = *static_cast<Answer*>(user);
    std::string_view const line(data, size);
    constexpr std::string_view kName = "cache-control:";
    if (line.size() > kName.size() && equal_ignoring_case(line.substr(0, kName.size()), kName)) {
        if (!answer.cache_control.empty()) answer.cache_control += ',';
        answer.cache_control += trimmed(line.substr(kName.size()));
    }
    return size;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& give_up = *static_cast<Answer*>(user)->give_up;
    return give_up && give_up() ? 1 : 0;
}

template <class Value>
void set(CURL* curl, CURLoption option, Value value) {
    RC_ASSERT(curl_easy_setopt(curl, option, value) == CURLE_OK);
}

}  // namespace

Duration fresh_for(std::string_view cache_control) {
    Duration fresh = kFreshByDefault;
    auto const text = ascii_lower(cache_control);
    for (std::string_view rest = text; !rest.empty();) {
        auto const comma = rest.find(',');
        auto const directive = trimmed(rest.substr(0, comma));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        if (directive == "no-store" || directive == "no-cache") return kFreshMin;
        constexpr std::string_view kMaxAge = "max-age=";
        if (!directive.starts_with(kMaxAge)) continue;
        auto const digits = directive.substr(kMaxAge.size());
        uint32_t age = 0;
        auto const [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), age);
        if (failed == std::errc::result_out_of_range) fresh = kFreshMax;
        if (failed != std::errc{} || end != digits.data() + digits.size()) continue;
        fresh = seconds(age);
    }
    return std::clamp(fresh, kFreshMin, kFreshMax);
}

bool is_key_url(std::string_view url) {
    auto const colon = url.find("://");
    if (colon == std::string_view::npos) return false;
    auto const scheme = ascii_lower(url.substr(0, colon));
    auto const rest = url.substr(colon + 3);
    auto const authority = rest.substr(0, rest.find_first_of("/?#"));
    if (authority.empty() || authority.find('@') != std::string_view::npos ||
        std::ranges::any_of(url, [](unsigned char c) { return c <= 0x20 || c >= 0x7f; }))
        return false;
    auto const host = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                                 : authority.substr(0, authority.find(':'));
    if (host.empty()) return false;
    if (scheme == "https") return true;
    return scheme == "http" && (host == "localhost" || host == "[::1]" || host == "127.0.0.1");
}

Result<Fetched> fetch_keys(const std::string& url, const std::function<bool()>& give_up) {
    std::unique_ptr<CURL, void (*)(CURL*)> const handle(curl_easy_init(), &curl_easy_cleanup);
    auto* curl = handle.get();
    RC_ASSERT(curl);
    Answer answer{.give_up = &give_up};
    std::unique_ptr<curl_slist, void (*)(curl_slist*)> const headers(
        curl_slist_append(nullptr, "Accept: application/jwk-set+json, application/json"),
        &curl_slist_free_all);
    set(curl, CURLOPT_URL, url.c_str());
    set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    set(curl, CURLOPT_FOLLOWLOCATION, 0L);
    set(curl, CURLOPT_HTTPHEADER, headers.get());
    set(curl, CURLOPT_USERAGENT, "ringcastd");
    set(curl, CURLOPT_NOSIGNAL, 1L);
    set(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(kFetchTimeout / milliseconds(1)));
    set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kFetchConnectTimeout / milliseconds(1)));
    set(curl, CURLOPT_WRITEFUNCTION, &on_body);
    set(curl, CURLOPT_WRITEDATA, static_cast<void*>(&answer));
    set(curl, CURLOPT_HEADERFUNCTION, &on_header);
    set(curl, CURLOPT_HEADERDATA, static_cast<void*>(&answer));
    set(curl, CURLOPT_NOPROGRESS, 0L);
    set(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(curl, CURLOPT_XFERINFODATA, static_cast<void*>(&answer));

    auto const done = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (done == CURLE_WRITE_ERROR)
        return fail(Errc::unavailable, fmt::format("its answer is larger than {} bytes", kKeySourceBytesMax));
    if (done != CURLE_OK) return fail(Errc::unavailable, curl_easy_strerror(done));
    if (status != 200) return fail(Errc::unavailable, fmt::format("it answered with status {}", status));
    return Fetched{std::move(answer.body), fresh_for(answer.cache_control)};
}

}  // namespace rc::auth
