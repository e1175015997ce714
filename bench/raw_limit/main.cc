// raw_limit: what the kernel allows. It takes clients and publishers like a server, trusts both, does no work
// but the sending, and so is the ceiling for every server on the same machine (docs/benchmarking.md).
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "worker.h"

namespace rc::bench {
namespace {

sockaddr_in parse(const std::string& text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    auto const colon = text.rfind(':');
    if (colon == std::string::npos ||
        ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1)
        throw std::runtime_error(fmt::format("{}: not an IPv4 address and a port", text));
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(colon + 1))));
    return address;
}

/// Whoever is accepted inherits its options. The address gets the port that was chosen for port 0.
int listen_on(sockaddr_in& address, const Options& options) {
    auto const check = [](int result, const char* what) {
        if (result < 0) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
    };
    int const listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int const on = 1;
    check(::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    check(::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
    check(::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    check(::setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &options.send_buffer, sizeof options.send_buffer),
          "SO_SNDBUF");
    check(::setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, options.congestion.data(),
                       static_cast<socklen_t>(options.congestion.size())),
          "TCP_CONGESTION");
    socklen_t size = sizeof address;
    check(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(::listen(listener, 4096), "listen");
    check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return listener;
}

std::string format(const sockaddr_in& address) {
    char text[INET_ADDRSTRLEN];
    ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(address.sin_port));
}

void serve(const Options& options) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    auto clients = parse(options.listen), api = parse(options.api_listen);
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<Worker*> all;
    for (uint32_t i = 0; i < options.threads; ++i) {
        int const client_listener = listen_on(clients, options), api_listener = listen_on(api, options);
        workers.push_back(std::make_unique<Worker>(options, client_listener, api_listener));
        all.push_back(workers.back().get());
    }
    std::vector<std::jthread> threads;
    for (Worker* worker : all) {
        worker->know(all);
        threads.emplace_back([worker] {
            try {
                worker->run();
            } catch (const std::exception& error) {
                fmt::print(stderr, "raw_limit: {}\n", error.what());
                std::exit(1);
            }
        });
    }
    fmt::print(stderr, "raw_limit ready clients {} api {}\n", format(clients), format(api));
    int signal = 0;
    ::sigwait(&signals, &signal);
    for (Worker* worker : all)
        worker->stop();
    threads.clear();
    Counters sum;
    for (Worker* worker : all) {
        auto const& one = worker->counters();
        sum.clients += one.clients, sum.publications += one.publications, sum.sends += one.sends;
        sum.failures += one.failures, sum.enters += one.enters, sum.turns += one.turns;
    }
    fmt::print(R"({{"clients":{},"publications":{},"sends":{},"failures":{},"enters":{},"turns":{}}})"
               "\n",
               sum.clients, sum.publications, sum.sends, sum.failures, sum.enters, sum.turns);
}

}  // namespace
}  // namespace rc::bench

int main(int argc, char** argv) {
    using rc::bench::Send;
    rc::bench::Options options;
    CLI::App app{
        "The ceiling: one prebuilt frame to many sockets, and nothing else. SIGTERM ends it, and prints its "
        "counters."};
    app.add_option("--listen", options.listen, "where clients connect")->capture_default_str();
    app.add_option("--api-listen", options.api_listen,
                   "where POST sends its data to all clients, or to its userId's")
        ->capture_default_str();
    app.add_option("--threads", options.threads, "each with a ring and listeners")->capture_default_str();
    app.add_option("--first-cpu", options.first_cpu, "thread i is pinned to this CPU + i; -1: none is")
        ->capture_default_str();
    app.add_option("--send", options.send,
                   "loop: send(2); cqe: io_uring; quiet: io_uring without completions")
        ->transform(
            CLI::CheckedTransformer(
                std::map<std::string, Send>{{"loop", Send::loop}, {"cqe", Send::cqe}, {"quiet", Send::quiet}})
                .description(""))
        ->default_str("quiet");
    app.add_option("--chunk", options.chunk, "sends between two submissions")->capture_default_str();
    app.add_flag("--coalesce", options.coalesce, "what one turn has read goes out as one buffer");
    app.add_flag("--shuffle", options.shuffle, "sockets in a new random order each time");
    app.add_flag("--echo", options.echo, "what a client sends comes back to it");
    app.add_option("--send-buffer", options.send_buffer, "SO_SNDBUF in bytes")->capture_default_str();
    app.add_option("--congestion", options.congestion, "TCP_CONGESTION")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        rc::bench::serve(options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "raw_limit: {}\n", error.what());
        return 1;
    }
    return 0;
}
