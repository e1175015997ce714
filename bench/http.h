#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

/// A running ringcastd, and blocking keep-alive connections to its API.
namespace bench {

/// @return a socket that is connected to this port of this machine
inline int connect_to(uint16_t port) {
    int const connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int const on = 1;
    ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("the server does not take a connection");
    return connection;
}

inline std::string post_request(std::string_view path, std::string_view type, std::string_view body) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: b\r\nX-API-Key: bench\r\nContent-Type: {}\r\n"
        "Content-Length: {}\r\n\r\n{}",
        path, type, body.size(), body);
}

class Api {
  public:
    explicit Api(uint16_t port) : port_(port), socket_(connect_to(port)) {}
    ~Api() { ::close(socket_); }
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    /// @return the body of the answer, which must be a 200
    std::string post(std::string_view path, std::string_view type, std::string_view body) {
        return ask(post_request(path, type, body));
    }
    std::string publish(std::string_view body) { return post("/api/publish", "application/json", body); }
    std::string get(std::string_view path) {
        return ask(fmt::format("GET {} HTTP/1.1\r\nHost: b\r\nX-API-Key: bench\r\n\r\n", path));
    }

  private:
    std::string ask(std::string_view request) {
        if (last_) {
            ::close(socket_);
            socket_ = connect_to(port_);
        }
        while (!request.empty()) {
            auto const sent = ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
            if (sent <= 0) throw std::runtime_error("the server has gone");
            request.remove_prefix(static_cast<std::size_t>(sent));
        }
        std::string in;
        std::size_t whole = 0;
        while (whole == 0 || in.size() < whole) {
            char buffer[65'536];
            auto const got = ::recv(socket_, buffer, sizeof buffer, 0);
            if (got <= 0)
                throw std::runtime_error(fmt::format("the server has gone: {} {} after {} bytes", got,
                                                     got < 0 ? errno : 0, in.size()));
            in.append(buffer, static_cast<std::size_t>(got));
            auto const end = in.find("\r\n\r\n");
            if (whole > 0 || end == std::string::npos) continue;
            auto const head = lower(in.substr(0, end + 2));
            last_ = head.find("\r\nconnection: close\r\n") != std::string::npos;
            auto const length = head.find("\r\ncontent-length: ");
            if (length == std::string::npos) throw std::runtime_error("an answer without its length");
            whole = end + 4 + std::stoul(head.substr(length + 18));
        }
        auto const body = in.substr(in.find("\r\n\r\n") + 4);
        if (in.compare(9, 3, "200") != 0) throw std::runtime_error("refused: " + body);
        return body;
    }

    static std::string lower(std::string text) {
        for (char& c : text)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
        return text;
    }

    uint16_t port_;
    int socket_;
    bool last_ = false;  // of this connection
};

class Server {
  public:
    /// @param workers  0: as the environment says, or one for each CPU
    Server(const std::string& program, const std::string& data_dir, const std::string& settings = "",
           int workers = 0) {
        std::string const config = data_dir + ".toml";
        if (FILE* file = std::fopen(config.c_str(), "w")) {
            std::fputs(settings.c_str(), file);
            std::fclose(file);
        }
        int ends[2];
        if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(ends[1], STDERR_FILENO);
            ::close(ends[0]);
            ::setenv("RINGCAST_API_KEY", "bench", 1);
            if (workers > 0) ::setenv("RINGCAST_WORKERS", std::to_string(workers).c_str(), 1);
            ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), "--listen", "127.0.0.1:0",
                    "--api-listen", "127.0.0.1:0", "--data-dir", data_dir.c_str(), "--log-level", "error",
                    nullptr);
            ::_exit(127);
        }
        ::close(ends[1]);
        log_ = ends[0];
        std::string line;
        for (char c = 0; ::read(log_, &c, 1) == 1;) {
            if (c != '\n') {
                line += c;
                continue;
            }
            auto const clients = line.find("ready clients 127.0.0.1:");
            if (clients != std::string::npos) {
                client_port = static_cast<uint16_t>(std::stoi(line.substr(clients + 24)));
                api_port = static_cast<uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
                return;
            }
            line.clear();
        }
        throw std::runtime_error(program + " does not start: " + line);
    }
    ~Server() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(log_);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    uint16_t client_port = 0, api_port = 0;

    /// CPU that the threads whose name begins so have used, in seconds.
    [[nodiscard]] double cpu_of(const std::string& name) const {
        double nanoseconds = 0;
        for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_))) {
            std::string thread;
            double took = 0;
            std::ifstream(task.path() / "comm") >> thread;
            std::ifstream(task.path() / "schedstat") >> took;
            if (thread.rfind(name, 0) == 0) nanoseconds += took;
        }
        return nanoseconds / 1e9;
    }

  private:
    pid_t pid_ = -1;
    int log_ = -1;
};

/// A figure of /api/stats by its name there.
inline uint64_t figure(const std::string& stats, const std::string& name) {
    auto const store = stats.find("\"store\":");
    auto const at = stats.find('"' + name + "\":", store);
    if (at == std::string::npos) throw std::runtime_error("no figure " + name);
    return std::stoull(stats.substr(at + name.size() + 3));
}

}  // namespace bench
