#include <fmt/chrono.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <deque>

#include "commands.h"
#include "remote.h"
#include "ringcast/base/arguments.h"
#include "ringcast/proto/encode.h"

namespace rc::ctl {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr std::string_view kPong = R"({"type":"pong"})";
constexpr auto kClosingTimeout = std::chrono::seconds(5);
constexpr int kSubscribeId = 1;

std::string subscribe_json(const ListenOptions& options) {
    std::string data;
    auto const field = [&data](std::string_view name, std::string_view json) {
        fmt::format_to(std::back_inserter(data), R"({}"{}":{})", data.empty() ? "" : ",", name, json);
    };
    if (options.user) field("userId", user_json(*options.user));
    if (!options.topics.empty()) {
        std::string list;
        for (const auto& topic : options.topics) {
            list += list.empty() ? '[' : ',';
            proto::append_json_string(list, topic);
        }
        field("topics", list + ']');
    }
    auto const text_field = [&field](std::string_view name, const std::optional<std::string>& text) {
        if (!text) return;
        std::string json;
        proto::append_json_string(json, *text);
        field(name, json);
    };
    text_field("token", options.token);
    text_field("since", options.since);
    if (options.replay_unread) field("replay", R"("unread")");
    return fmt::format(R"({{"type":"subscribe","id":{},"data":{{{}}}}})", kSubscribeId, data);
}

/// One connection, from its subscribe to its end.
class Listener {
  public:
    Listener(boost::asio::io_context& io, Protocol::socket socket, const ListenOptions& options)
        : options_(options), signals_(io, SIGINT, SIGTERM), stream_(std::move(socket)) {}

    Result<int> run(boost::asio::io_context& io, const Remote& remote) {
        websocket::response_type answer;
        error_code error;
        stream_.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
            request.set(beast::http::field::user_agent, "ringcastctl/" RINGCAST_VERSION);
        }));
        stream_.read_message_max(4 * 1024 * 1024);
        // Of the two kinds of handshake, only this one hands over an answer that declines.
        stream_.async_handshake(answer, remote.host_header(), remote.path.empty() ? "/" : remote.path,
                                [&error](error_code e) { error = e; });
        io.run();
        io.restart();
        if (error == websocket::error::upgrade_declined) {
            return fail(Errc::system,
                        fmt::format("refused: {} {}", answer.result_int(), in_one_line(answer.body())));
        }
        if (error) return fail(Errc::system, fmt::format("{}: {}", remote.authority, error.message()));
        stream_.set_option(
            websocket::stream_base::timeout{kClosingTimeout, websocket::stream_base::none(), false});

        signals_.async_wait([this](error_code no_signal, int) {
            if (!no_signal) finish();
        });
        write(subscribe_json(options_));
        read();
        io.run();
        if (failure_) return tl::unexpected(*failure_);
        return 0;
    }

  private:
    void read() {
        stream_.async_read(buffer_, [this](error_code error, std::size_t) {
            if (error) return end(error);
            auto const text = beast::buffers_to_string(buffer_.data());
            buffer_.consume(buffer_.size());
            take(text);
            if (!finishing_) read();
        });
    }

    // One at a time: what comes meanwhile waits.
    void write(std::string text) {
        outgoing_.push_back(std::move(text));
        if (outgoing_.size() == 1) write_next();
    }
    void write_next() {
        stream_.async_write(boost::asio::buffer(outgoing_.front()), [this](error_code error, std::size_t) {
            if (error) return;  // the read tells why
            outgoing_.pop_front();
            if (!outgoing_.empty()) write_next();
        });
    }

    void take(const std::string& text) {
        simdjson::dom::element message;
        std::string_view type;
        if (parser_.parse(text).get(message) || message["type"].get(type))
            return print("(no type)", text, {});
        if (type == "ping") return write(std::string(kPong));
        int64_t id = 0;
        bool const answers_subscribe = !message["id"].get(id) && id == kSubscribeId;
        if (type == "ack" && answers_subscribe) return subscribed(message);
        last_error_.clear();
        if (type == "error") {
            std::string_view code, words;
            if (!message["data"]["code"].get(code) && !message["data"]["message"].get(words))
                last_error_ = in_one_line(words);
            if (answers_subscribe) {
                failure_ = Error{Errc::system, fmt::format("refused: {}: {}", code, last_error_)};
                return finish();
            }
        }
        std::string data;
        if (simdjson::dom::element element; !message["data"].get(element)) data = simdjson::minify(element);
        std::string_view offset;
        if (message["offset"].get(offset)) offset = {};
        if (options_.raw) {
            std::puts(text.c_str());
            std::fflush(stdout);
        } else {
            print(type, data, offset);
        }
        if (++printed_ == options_.count) finish();
    }

    void subscribed(simdjson::dom::element ack) {
        std::string who = options_.user    ? fmt::format("user {}", *options_.user)
                          : options_.token ? "the token's user"
                                           : "anybody";
        for (const auto& topic : options_.topics)
            who += (&topic == &options_.topics.front() ? ", topics " : " ") + topic;
        std::string_view offset;
        if (!ack["data"]["offset"].get(offset)) who += fmt::format("; the newest offset is {}", offset);
        bool gap = false;
        if (!ack["data"]["gap"].get(gap) && gap) who += "; older messages are not kept any more (gap)";
        fmt::print(stderr, "listening as {}\n", in_one_line(who));
    }

    static void print(std::string_view type, std::string_view data, std::string_view offset) {
        std::time_t const now = std::time(nullptr);
        fmt::print("{:%H:%M:%S}  {}  {}", fmt::localtime(now), type, data);
        if (!offset.empty()) fmt::print("  {}", offset);
        fmt::print("\n");
        std::fflush(stdout);
    }

    void finish() {
        if (finishing_) return;
        finishing_ = true;
        signals_.cancel();
        stream_.async_close(websocket::close_code::normal, [this](error_code) {
            error_code ignored;
            beast::get_lowest_layer(stream_).socket().close(ignored);
        });
    }

    void end(error_code error) {
        signals_.cancel();
        if (finishing_) return;
        if (error != websocket::error::closed) {
            failure_ = Error{Errc::system, fmt::format("the connection broke: {}", error.message())};
            return;
        }
        auto const& reason = stream_.reason();
        auto words = fmt::format("closed by the server: {} {}", static_cast<unsigned>(reason.code),
                                 in_one_line({reason.reason.data(), reason.reason.size()}));
        if (!last_error_.empty()) words += fmt::format(" ({})", last_error_);
        failure_ = Error{Errc::system, words};
    }

    const ListenOptions& options_;
    boost::asio::signal_set signals_;
    websocket::stream<beast::basic_stream<Protocol>> stream_;
    beast::flat_buffer buffer_;
    std::deque<std::string> outgoing_;
    simdjson::dom::parser parser_;
    std::string last_error_;
    std::optional<Error> failure_;
    uint64_t printed_ = 0;
    bool finishing_ = false;
};

}  // namespace

Result<int> listen(const ListenOptions& options) {
    auto const remote = parse_address(options.url, "ws");
    if (!remote) return tl::unexpected(remote.error());
    boost::asio::io_context io;
    auto socket = connect(io, *remote);
    if (!socket) return tl::unexpected(socket.error());
    return Listener(io, std::move(*socket), options).run(io, *remote);
}

}  // namespace rc::ctl
