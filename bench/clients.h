#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// Many WebSocket clients in one thread, which subscribe and count what they get.
namespace bench {

class Clients {
    static constexpr std::string_view kHeartbeat = R"({"type":"ping"})";

  public:
    explicit Clients(uint16_t port) : port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
    ~Clients() {
        for (auto& client : clients_)
            ::close(client.socket);
        ::close(epoll_);
    }
    Clients(const Clients&) = delete;
    Clients& operator=(const Clients&) = delete;

    /// Connects one more, which sends its subscribe right behind its handshake.
    /// @param data  of the subscribe message
    void add(std::string_view data) {
        Client client;
        client.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int const on = 1;
        ::setsockopt(client.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(client.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("the server does not take a client");
        std::string out =
            "GET /ws HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        std::string const text = fmt::format(R"({{"type":"subscribe","data":{}}})", data);
        if (text.size() > 125) throw std::runtime_error("too long a subscribe");
        out += '\x81';
        out += static_cast<char>(0x80 | text.size());
        out.append(4, '\0');  // a mask of zeros
        out += text;
        if (::send(client.socket, out.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size()))
            throw std::runtime_error("the server has gone");
        epoll_event event{.events = EPOLLIN, .data = {.u64 = clients_.size()}};
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event);
        clients_.push_back(client);
    }

    /// Takes what comes, until so many messages have come in all. Acks count, heartbeats do not.
    /// @param on_message  called for each, with its client's place
    template <class OnMessage>
    void receive_until(uint64_t messages, OnMessage on_message) {
        std::array<epoll_event, 256> events;
        std::vector<char> buffer(256 << 10);
        while (messages_ < messages) {
            int const count = ::epoll_wait(epoll_, events.data(), events.size(), 10'000);
            if (count <= 0)
                throw std::runtime_error(fmt::format("{} messages have come, and no more do", messages_));
            for (int i = 0; i < count; ++i) {
                auto& client = clients_[events[static_cast<std::size_t>(i)].data.u64];
                auto const got = ::recv(client.socket, buffer.data(), buffer.size(), 0);
                if (got <= 0) throw std::runtime_error("a client was sent away");
                take(client, {buffer.data(), static_cast<std::size_t>(got)},
                     [&] { on_message(events[static_cast<std::size_t>(i)].data.u64); });
            }
        }
    }
    [[nodiscard]] uint64_t messages() const { return messages_; }

  private:
    struct Client {
        int socket = -1;
        bool open = false;     // the handshake's answer has come
        uint32_t ended = 0;    // of its last line: bytes of an empty line
        std::size_t skip = 0;  // of a frame's payload
        std::array<unsigned char, 10> head{};
        std::size_t head_bytes = 0;
    };

    template <class OnMessage>
    void take(Client& client, std::string_view bytes, OnMessage on_message) {
        for (; !client.open && !bytes.empty(); bytes.remove_prefix(1)) {
            bool const fits = bytes[0] == (client.ended % 2 == 0 ? '\r' : '\n');
            client.ended = fits ? client.ended + 1 : 0;
            client.open = client.ended == 4;
        }
        while (!bytes.empty()) {
            if (client.skip > 0) {
                auto const some = std::min(client.skip, bytes.size());
                client.skip -= some;
                bytes.remove_prefix(some);
                continue;
            }
            client.head[client.head_bytes++] = static_cast<unsigned char>(bytes[0]);
            bytes.remove_prefix(1);
            auto const& head = client.head;
            if (client.head_bytes < 2) continue;
            std::size_t const more = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0;
            if (client.head_bytes < 2 + more) continue;
            client.skip = head[1];
            if (more > 0) {
                client.skip = 0;
                for (std::size_t i = 0; i < more; ++i)
                    client.skip = client.skip << 8 | head[2 + i];
            }
            client.head_bytes = 0;
            if (head[0] != 0x81 || client.skip == kHeartbeat.size()) continue;
            ++messages_;
            on_message();
        }
    }

    uint16_t port_;
    int epoll_;
    std::vector<Client> clients_;
    uint64_t messages_ = 0;
};

}  // namespace bench
