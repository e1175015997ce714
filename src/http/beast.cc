#include "beast.h"

// GCC 12 with sanitizers takes boost::none's unused storage for a read of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <boost/beast/http/basic_parser.hpp>
#pragma GCC diagnostic pop
#include <limits>

namespace rc::http {
namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

class Splitter final : public beast::http::basic_parser<true> {
  public:
    explicit Splitter(RequestHead& head) : head_(head) {
        skip(true);  // the head only: bodies are BodyParser's
        body_limit(boost::none);
        header_limit(std::numeric_limits<uint32_t>::max());  // HeadParser's to keep
    }

  private:
    using Code = beast::error_code;

    void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                         Code&) override {
        head_.method_text = view(method);
        head_.target = view(target);
        head_.minor_version = version - 10;
    }
    void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                       Code&) override {
        head_.fields.push_back({view(name), view(value)});
    }
    void on_header_impl(Code&) override {}
    void on_finish_impl(Code&) override {}

    // Of a response, or of a body: never called.
    void on_response_impl(int, beast::string_view, int, Code&) override {}
    void on_body_init_impl(const boost::optional<uint64_t>&, Code&) override {}
    size_t on_body_impl(beast::string_view body, Code&) override { return body.size(); }
    void on_chunk_header_impl(uint64_t, beast::string_view, Code&) override {}
    size_t on_chunk_body_impl(uint64_t, beast::string_view body, Code&) override { return body.size(); }

    RequestHead& head_;
};

std::string_view explain(const beast::error_code& code) {
    using beast::http::error;
    if (code == error::bad_content_length)
        return "Content-Length must be one decimal number, without a coding";
    if (code == error::bad_transfer_encoding)
        return "Transfer-Encoding must stand once, without Content-Length";
    return "the request's head is malformed";
}

}  // namespace

std::optional<std::string_view> split_head(std::string_view text, RequestHead& head) {
    Splitter splitter(head);
    beast::error_code error;
    const size_t taken = splitter.put(boost::asio::const_buffer(text.data(), text.size()), error);
    if (error) return explain(error);
    if (!splitter.is_done() || taken != text.size()) return "the request's head is malformed";
    if (const auto length = splitter.content_length()) head.content_length = *length;
    head.chunked = splitter.chunked();
    return std::nullopt;
}

}  // namespace rc::http
