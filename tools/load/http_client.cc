#include "http_client.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace rc::load {
namespace {

std::string in_lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
}

/// The value of a field of a head in lower case; empty if there is none. @param name  "\r\nname:"
std::string_view field(std::string_view head, std::string_view name) {
    auto const at = head.find(name);
    if (at == std::string_view::npos) return {};
    auto const begin = head.find_first_not_of(" \t", at + name.size());
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

}  // namespace

Result<void> HttpClient::send(FrameRef request) {
    RC_ASSERT(ready());
    if (!stream_) {
        auto const descriptor = network_.connect(address_, std::nullopt);
        if (!descriptor) return tl::unexpected(descriptor.error());
        auto const file = streams_.reactor().ring().adopt(*descriptor);
        stream_.emplace(streams_, static_cast<net::StreamHandler&>(*this));
        if (!stream_->open(file, net::Waits::multishot)) {
            stream_.reset();
            streams_.reactor().ring().discard(file);
            return fail(Errc::system, "no place in the table of streams");
        }
    }
    waiting_ = true;
    stream_->queue(std::move(request));
    return {};
}

void HttpClient::close() {
    waiting_ = false;
    if (stream_) {
        ending_ = true;
        stream_->begin_close();
    }
}

void HttpClient::on_bytes(std::string_view bytes) {
    answer_.append(bytes);
    while (waiting_ && take_answer()) {
    }
}

bool HttpClient::take_answer() {
    auto const end_of_head = answer_.find("\r\n\r\n");
    if (end_of_head == std::string::npos) return false;
    auto const head = in_lower_case(std::string_view(answer_).substr(0, end_of_head + 2));
    uint16_t status = 0;
    uint64_t length = 0;
    auto const length_text = field(head, "\r\ncontent-length:");
    bool const readable =
        head.starts_with("http/1.") && head.size() > 12 &&
        std::from_chars(head.data() + 9, head.data() + 12, status).ec == std::errc() &&
        (length_text.empty() ||
         std::from_chars(length_text.data(), length_text.data() + length_text.size(), length).ec ==
             std::errc()) &&
        field(head, "\r\ntransfer-encoding:").empty();
    if (!readable) {
        close();
        owner_.on_no_answer(number_, "an answer that is no HTTP with a Content-Length");
        return false;
    }
    auto const whole = end_of_head + 4 + length;
    if (answer_.size() < whole) return false;
    bool const last = field(head, "\r\nconnection:") == "close";
    std::string const answer = std::exchange(answer_, answer_.substr(whole));
    if (status < 200) return true;  // a final one follows
    waiting_ = false;
    if (last) close();
    owner_.on_answer(number_, status, std::string_view(answer).substr(end_of_head + 4, length));
    return true;
}

void HttpClient::on_end() {
    ending_ = true;
    stream_->begin_close();
}

void HttpClient::on_closed() {
    stream_.reset();
    answer_.clear();
    ending_ = false;
    if (std::exchange(waiting_, false)) owner_.on_no_answer(number_, "the connection ended");
}

}  // namespace rc::load
