#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <vector>

#include "http.h"

namespace bench {

/// Keep-alive connections to the API in one thread: on each, one message is published after the other, the
/// next when the one before has been answered. What is sent is made before.
class Publishers {
  public:
    /// @param each  messages on a connection: fewer than limits::kApiRequestsPerConnection
    /// @param body  makes the next one
    Publishers(uint16_t port, int connections, int each, const std::function<std::string()>& body)
        : epoll_(::epoll_create1(EPOLL_CLOEXEC)), connections_(static_cast<std::size_t>(connections)) {
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            auto& connection = connections_[i];
            connection.socket = connect_to(port);
            for (int n = 0; n < each; ++n)
                connection.requests.push_back(post_request("/api/publish", "application/json", body()));
            epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
        }
    }
    ~Publishers() {
        for (auto& connection : connections_)
            ::close(connection.socket);
        ::close(epoll_);
    }
    Publishers(const Publishers&) = delete;
    Publishers& operator=(const Publishers&) = delete;

    /// @return how many were published; each must have been answered with 200
    int publish() {
        int under_way = 0, answered = 0;
        for (auto& connection : connections_)
            under_way += send_next(connection);
        std::array<epoll_event, 64> events;
        while (under_way > 0) {
            int const count = ::epoll_wait(epoll_, events.data(), events.size(), 10'000);
            if (count <= 0) throw std::runtime_error("no answer comes any more");
            for (int i = 0; i < count; ++i) {
                auto& connection = connections_[events[static_cast<std::size_t>(i)].data.u64];
                if (!receive(connection)) continue;
                ++answered;
                under_way += send_next(connection) - 1;
            }
        }
        return answered;
    }

  private:
    struct Connection {
        int socket = -1;
        std::vector<std::string> requests;
        std::size_t next = 0;  // of them
        std::string in;        // of the answer that is under way
    };

    /// @return how many that were: 1 or 0
    static int send_next(Connection& connection) {
        if (connection.next == connection.requests.size()) return 0;
        const auto& request = connection.requests[connection.next++];
        auto const sent = ::send(connection.socket, request.data(), request.size(), MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(request.size())) throw std::runtime_error("the server has gone");
        return 1;
    }

    /// @return whether the answer is whole now
    static bool receive(Connection& connection) {
        std::array<char, 4'096> buffer;
        auto const got = ::recv(connection.socket, buffer.data(), buffer.size(), 0);
        if (got <= 0) throw std::runtime_error("the server has gone");
        auto& in = connection.in.append(buffer.data(), static_cast<std::size_t>(got));
        auto const end = in.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        if (in.compare(9, 3, "200") != 0) throw std::runtime_error("refused: " + in);
        constexpr std::string_view kLength = "\r\nContent-Length: ";
        auto const length = in.find(kLength);
        if (length == std::string::npos) throw std::runtime_error("an answer without its length");
        if (in.size() < end + 4 + std::strtoul(in.c_str() + length + kLength.size(), nullptr, 10))
            return false;
        in.clear();
        return true;
    }

    int epoll_;
    std::vector<Connection> connections_;
};

}  // namespace bench
