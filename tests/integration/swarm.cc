// swarm: many clients in one process, for the hard days. Plain sockets and a frame reader of its own, so that
// nothing of the server judges itself. Reads a command a line from stdin, answers each with a line of JSON.
//
//   open COUNT STAGE RATE     brings clients to the stage, RATE a second (0: as fast as they are taken)
//   mute                      they read no more
//   idle SECONDS              reads what comes
//   texts N SECONDS           waits until each that is left has had N messages in all
//   ended SECONDS             waits until the server has ended each
//   leave fin|rst             all leave
//   churn COUNT AT_ONCE HOLD_MS RATE fin|rst|both STAGE[,STAGE...]
//                             opens and drops so many, over the stages in turn
//   latency RATE SECONDS BYTES
//                             publishes to the topic: from before the request to each client's read
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

double since(Clock::time_point then) {
    return Seconds(Clock::now() - then).count();
}

[[noreturn]] void die(const std::string& why) {
    std::cerr << "swarm: " << why << '\n';
    std::exit(2);
}

// --- what clients say

/// What is sent, and what has to come before the next step.
struct Step {
    enum class Await : uint8_t { none, head, text };
    std::string bytes;
    Await await = Await::none;
};

/// A place in a connection's life, with the way there.
struct Stage {
    std::vector<Step> steps;
    bool api = false;    // on the API listener
    bool reads = true;   // what comes once it is there
    bool stays = false;  // in a churn: until the server ends it
};

std::string frame(std::string_view payload, int first_byte = 0x81) {
    std::string out{static_cast<char>(first_byte)};
    if (payload.size() < 126) {
        out += static_cast<char>(0x80 | payload.size());
    } else {
        out += static_cast<char>(0x80 | 126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size() & 255);
    }
    return out.append(4, '\0').append(payload);  // a mask of zeros
}

std::string repeat(const std::string& what, int times) {
    std::string out;
    while (times-- > 0)
        out += what;
    return out;
}

std::map<std::string, Stage> make_stages(const std::string& topic, const std::string& key) {
    std::string const head =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    std::string const message = R"({"type":"subscribe","id":1,"data":{"topics":[")" + topic + "\"]}}";
    std::string const ping = frame(std::string(125, 'p'), 0x89);
    std::string const post =
        "POST /api/publish HTTP/1.1\r\nHost: api\r\nX-API-Key: " + key + "\r\nContent-Length: 65000\r\n\r\n{";
    std::string const metrics = "GET /metrics HTTP/1.1\r\nHost: api\r\n\r\n";

    Step const upgrade{head, Step::Await::head}, subscribe{frame(message), Step::Await::text};
    auto then = [&](const std::string& bytes) { return std::vector<Step>{upgrade, subscribe, {bytes}}; };
    return {
        {"connected", {}},
        {"half-head", {.steps = {{head.substr(0, 60)}}}},
        {"upgraded", {.steps = {upgrade}}},
        {"subscribed", {.steps = {upgrade, subscribe}}},
        {"half-frame", {.steps = then(frame(message).substr(0, 20))}},
        {"half-fragment", {.steps = then(frame("{\"type\":", 0x01) + frame("\"pong\"", 0x00))}},
        {"closing", {.steps = then(frame("\x03\xe8", 0x88))}},
        {"unread", {.steps = then(repeat(ping, 9) + repeat(frame(message), 5)), .reads = false}},
        {"api-connected", {.api = true}},
        {"api-half-head", {.steps = {{metrics.substr(0, 20)}}, .api = true}},
        {"api-half-body", {.steps = {{post}}, .api = true}},
        {"api-unread", {.steps = {{repeat(metrics, 20)}}, .api = true, .reads = false}},
        // Who stays like this until the server has enough of it.
        {"never-reads", {.steps = {upgrade, subscribe}, .reads = false, .stays = true}},
        {"floods", {.steps = then(repeat(frame(message), 50)), .stays = true}},
        {"vanishes", {.steps = {upgrade, subscribe}}},
        {"waits-with-half-a-frame", {.steps = then(frame(message).substr(0, 20)), .stays = true}},
    };
}

// --- what the server says

/// Cuts a stream into frames.
class FrameReader {
  public:
    /// Calls on_text for each whole text but heartbeats, on_close for a close frame.
    template <class OnText, class OnClose>
    void feed(std::string_view bytes, OnText&& on_text, OnClose&& on_close) {
        if (!rest_.empty()) bytes = rest_.append(bytes);
        std::size_t used = 0;
        for (;;) {
            auto const left = bytes.substr(used);
            if (left.size() < 2) break;
            std::size_t size = static_cast<uint8_t>(left[1]) & 127, head = 2;
            if (size >= 126) {
                std::size_t const more = size == 126 ? 2 : 8;
                if (left.size() < head + more) break;
                size = 0;
                for (std::size_t i = 0; i < more; ++i)
                    size = size << 8 | static_cast<uint8_t>(left[head + i]);
                head += more;
            }
            if (left.size() < head + size) break;
            auto const payload = left.substr(head, size);
            int const opcode = left[0] & 15;
            if (opcode == 1 && payload != R"({"type":"ping"})") on_text(payload);
            if (opcode == 8) on_close(payload);
            used += head + size;
        }
        std::string left(bytes.substr(used));
        rest_ = std::move(left);
    }

  private:
    std::string rest_;
};

struct Client {
    int fd = -1;
    bool connected = false, there = false, muted = false, awaiting = false;
    const Stage* stage = nullptr;
    uint32_t step = 0;
    uint64_t number = 0;
    uint32_t texts = 0;  // messages since it was there
    int status = 0;      // of an answer that was no 101
    int close_code = 0;
    std::string head;  // until its end
    FrameReader frames;
    Clock::time_point until{};  // a churn's hold
    Clock::time_point ended{};
};

struct Options {
    sockaddr_in clients{}, api{};
    std::vector<sockaddr_in> sources;
    std::string topic = "all", key;
};

class Swarm {
  public:
    explicit Swarm(const Options& options)
        : options_(options), stages_(make_stages(options.topic, options.key)), epoll_(::epoll_create1(0)) {}

    std::string command(const std::string& line);

  private:
    enum class Leave : uint8_t { fin, rst };

    Client& connect(const Stage& stage);
    void on_event(Client& client, uint32_t events);
    void walk(Client& client);
    void take(Client& client, std::string_view bytes);
    void read(Client& client);
    void listen_to(Client& client, uint32_t events, int how = EPOLL_CTL_MOD);
    void end(Client& client);
    void leave(Client& client, Leave how);

    /// Turns until `done` says so or the time has come.
    template <class Done>
    void pump(double seconds, Done&& done);
    void turn(int wait_ms);
    [[nodiscard]] std::size_t count(auto&& which) const {
        return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), which));
    }
    const Stage& stage(const std::string& name) const {
        auto const it = stages_.find(name);
        if (it == stages_.end()) die("no stage " + name);
        return it->second;
    }

    std::string open(uint64_t count, const Stage& stage, double rate);
    std::string texts(uint32_t wanted, double seconds);
    std::string ended(double seconds);
    std::string churn(uint64_t count, uint64_t at_once, int hold_ms, double rate, const std::string& how,
                      const std::string& names);
    std::string latency(double rate, double seconds, std::size_t bytes);

    const Options& options_;
    std::map<std::string, Stage> stages_;
    int epoll_;
    std::deque<Client> clients_;  // stable addresses
    std::vector<Client*> free_;   // in a churn
    uint64_t connects_ = 0, reached_ = 0;
    bool churning_ = false;
    std::function<void(std::string_view)> on_message_;
};

Client& Swarm::connect(const Stage& stage) {
    if (free_.empty()) {
        clients_.emplace_back();
        free_.push_back(&clients_.back());
    }
    Client& client = *free_.back();
    free_.pop_back();
    client = Client{};
    client.stage = &stage;
    client.number = connects_++;
    client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client.fd < 0) die(std::string("socket: ") + std::strerror(errno));
    int const on = 1, small = 4096;
    ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!stage.reads) ::setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    auto const& from = options_.sources[client.number % options_.sources.size()];
    ::setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (::bind(client.fd, reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0) die("bind");
    auto const& to = stage.api ? options_.api : options_.clients;
    if (::connect(client.fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 && errno != EINPROGRESS)
        die(std::string("connect: ") + std::strerror(errno));
    listen_to(client, EPOLLOUT, EPOLL_CTL_ADD);
    return client;
}

void Swarm::listen_to(Client& client, uint32_t events, int how) {
    epoll_event event{.events = events, .data = {.ptr = &client}};
    ::epoll_ctl(epoll_, how, client.fd, &event);
}

void Swarm::on_event(Client& client, uint32_t events) {
    if (client.fd < 0) return;
    if (!client.connected) {
        if (events & (EPOLLERR | EPOLLHUP)) return end(client);
        client.connected = true;
        listen_to(client, EPOLLIN);
        return walk(client);
    }
    if (client.muted) return end(client);  // only the end of it is heard
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(client);
}

void Swarm::walk(Client& client) {
    const auto& steps = client.stage->steps;
    while (client.step < steps.size()) {
        const auto& step = steps[client.step];
        if (!client.awaiting) {
            auto const sent = ::send(client.fd, step.bytes.data(), step.bytes.size(), MSG_NOSIGNAL);
            if (sent != static_cast<ssize_t>(step.bytes.size())) return end(client);
            client.awaiting = step.await != Step::Await::none;
        }
        if (client.awaiting) return;
        ++client.step;
    }
    if (client.there) return;
    client.there = true;
    ++reached_;
    if (!client.stage->reads) {
        client.muted = true;
        listen_to(client, 0);
    }
}

void Swarm::take(Client& client, std::string_view bytes) {
    if (client.stage->api) return;
    if (client.head.size() < 4 || !client.head.ends_with("\r\n\r\n")) {
        auto const before = client.head.size();
        client.head.append(bytes);
        auto const end_of_head = client.head.find("\r\n\r\n");
        if (client.head.size() > 12 && client.status == 0) client.status = std::atoi(client.head.c_str() + 9);
        if (end_of_head == std::string::npos) return;
        bytes.remove_prefix(end_of_head + 4 - before);
        client.head = "\r\n\r\n";
        client.head.shrink_to_fit();
        if (client.status != 101) return;  // the server ends it
        if (client.awaiting) {
            client.awaiting = false;
            ++client.step;
            walk(client);
        }
    }
    if (client.status != 101 || client.fd < 0) return;
    client.frames.feed(
        bytes,
        [&](std::string_view text) {
            if (!client.there && client.awaiting) {
                client.awaiting = false;
                ++client.step;
                return walk(client);
            }
            ++client.texts;
            if (on_message_) on_message_(text);
        },
        [&](std::string_view body) {
            client.close_code =
                body.size() < 2 ? 1005 : static_cast<uint8_t>(body[0]) << 8 | static_cast<uint8_t>(body[1]);
        });
    if (client.close_code != 0) leave(client, Leave::fin);  // its FIN is answer enough
}

void Swarm::read(Client& client) {
    static std::array<char, 1 << 16> buffer;
    auto const n = ::recv(client.fd, buffer.data(), buffer.size(), 0);
    if (n > 0) return take(client, {buffer.data(), static_cast<std::size_t>(n)});
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) end(client);
}

void Swarm::end(Client& client) {
    if (client.fd < 0) return;
    ::close(client.fd);
    client.fd = -1;
    client.ended = Clock::now();
    if (churning_) free_.push_back(&client);
}

void Swarm::leave(Client& client, Leave how) {
    if (client.fd < 0) return;
    if (how == Leave::rst) {
        linger const now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    } else {
        ::shutdown(client.fd, SHUT_WR);  // close() alone is a reset where something is unread
    }
    end(client);
}

void Swarm::turn(int wait_ms) {
    static std::array<epoll_event, 1024> events;
    int const n = ::epoll_wait(epoll_, events.data(), events.size(), wait_ms);
    for (int i = 0; i < n; ++i)
        on_event(*static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr),
                 events[static_cast<std::size_t>(i)].events);
}

template <class Done>
void Swarm::pump(double seconds, Done&& done) {
    auto const began = Clock::now();
    while (!done() && since(began) < seconds)
        turn(1);
}

// --- commands

std::string Swarm::open(uint64_t count, const Stage& stage, double rate) {
    auto const began = Clock::now();
    uint64_t opened = 0;
    auto const first = clients_.size();
    auto settled = [&] {
        return static_cast<uint64_t>(std::count_if(clients_.begin() + static_cast<std::ptrdiff_t>(first),
                                                   clients_.end(),
                                                   [](auto& c) { return c.there || c.fd < 0; }));
    };
    uint64_t const reached_before = reached_;
    uint64_t ended_seen = 0;
    while (opened < count || reached_ - reached_before + ended_seen < count) {
        if (since(began) > 120) break;
        uint64_t const due = rate > 0 ? static_cast<uint64_t>(since(began) * rate) + 1 : count;
        uint64_t const under_way = opened - (reached_ - reached_before) - ended_seen;
        // Below what a listener's queue holds, unless the rate says otherwise.
        for (uint64_t room = rate > 0 ? count : 512 - std::min<uint64_t>(512, under_way);
             opened < std::min(due, count) && room > 0; --room, ++opened)
            connect(stage);
        turn(1);
        if (opened == count || under_way >= 512) ended_seen = settled() - (reached_ - reached_before);
    }
    std::map<int, int> statuses;
    uint64_t there = 0;
    for (auto it = clients_.begin() + static_cast<std::ptrdiff_t>(first); it != clients_.end(); ++it) {
        there += it->there && it->fd >= 0;
        if (it->status != 0 && it->status != 101) ++statuses[it->status];
    }
    std::ostringstream out;
    out << R"({"there":)" << there << R"(,"seconds":)" << since(began) << R"(,"statuses":{)";
    const char* comma = "";
    for (auto [status, n] : statuses) {
        out << comma << '"' << status << "\":" << n;
        comma = ",";
    }
    out << "}}";
    return out.str();
}

std::string Swarm::texts(uint32_t wanted, double seconds) {
    auto const began = Clock::now();
    auto lacking = [&] { return count([&](auto& c) { return c.fd >= 0 && c.texts < wanted; }); };
    for (int n = 0; lacking() > 0 && since(began) < seconds; ++n)
        pump(0.01, [] { return false; });
    std::ostringstream out;
    uint32_t most = 0;
    for (const auto& client : clients_)
        if (client.fd >= 0) most = std::max(most, client.texts);
    auto const left = count([](auto& c) { return c.fd >= 0; });
    out << R"({"left":)" << left << R"(,"reached":)" << left - lacking() << R"(,"most":)" << most
        << R"(,"seconds":)" << since(began) << '}';
    return out.str();
}

std::string Swarm::ended(double seconds) {
    auto const began = Clock::now();
    auto left = [&] { return count([](auto& c) { return c.fd >= 0; }); };
    while (left() > 0 && since(began) < seconds)
        pump(0.02, [] { return false; });
    std::vector<double> times;
    std::map<int, int> codes;
    for (const auto& client : clients_) {
        if (client.fd >= 0) continue;
        times.push_back(Seconds(client.ended - began).count());
        ++codes[client.close_code];
    }
    std::sort(times.begin(), times.end());
    std::ostringstream out;
    out << R"({"left":)" << left() << R"(,"seconds":)" << since(began) << R"(,"codes":{)";
    const char* comma = "";
    for (auto [code, n] : codes) {
        out << comma << '"' << code << "\":" << n;
        comma = ",";
    }
    out << R"(},"last":)" << (times.empty() ? 0 : times.back()) << R"(,"by_100_ms":[)";
    std::size_t counted = 0;
    for (int bound = 1; counted < times.size(); ++bound) {
        auto const behind = std::upper_bound(times.begin(), times.end(), bound / 10.0);
        auto const so_far = static_cast<std::size_t>(behind - times.begin());
        out << (bound > 1 ? "," : "") << so_far - counted;
        counted = so_far;
    }
    out << "]}";
    return out.str();
}

std::string Swarm::churn(uint64_t count, uint64_t at_once, int hold_ms, double rate, const std::string& how,
                         const std::string& names) {
    std::vector<const Stage*> stages;
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');)
        stages.push_back(&stage(name));
    churning_ = true;
    for (auto& client : clients_)
        if (client.fd < 0) free_.push_back(&client);
    auto const began = Clock::now();
    auto const first_number = connects_;
    uint64_t const reached_before = reached_;
    auto const hold = std::chrono::milliseconds(hold_ms);
    std::vector<Client*> held;
    // In turn; where some stay, one of the kind that is fewest, so that their mixture is kept.
    bool const mixture = std::any_of(stages.begin(), stages.end(), [](auto* s) { return s->stays; });
    auto next = [&] {
        auto held_of = [&](const Stage* s) {
            return std::count_if(held.begin(), held.end(), [s](auto* client) { return client->stage == s; });
        };
        if (!mixture) return stages[connects_ % stages.size()];
        return *std::min_element(stages.begin(), stages.end(),
                                 [&](auto* a, auto* b) { return held_of(a) < held_of(b); });
    };
    while (connects_ - first_number < count || !held.empty()) {
        uint64_t const due = rate > 0 ? static_cast<uint64_t>(since(began) * rate) + 1 : count;
        while (connects_ - first_number < std::min(due, count) && held.size() < at_once) {
            auto& client = connect(*next());
            client.until = Clock::time_point::max();
            held.push_back(&client);
        }
        turn(mixture ? 5 : 1);
        auto const now = Clock::now();
        std::erase_if(held, [&](Client* client) {
            if (client->fd >= 0 && client->there && !client->stage->stays) {
                if (client->until == Clock::time_point::max()) client->until = now + hold;
                if (client->until <= now) {
                    bool const reset =
                        how == "rst" || (how == "both" && client->number / stages.size() % 2 == 1);
                    leave(*client, reset ? Leave::rst : Leave::fin);
                }
            }
            if (client->fd >= 0) return false;
            return true;
        });
    }
    churning_ = false;
    std::ostringstream out;
    out << R"({"opened":)" << connects_ - first_number << R"(,"reached":)" << reached_ - reached_before
        << R"(,"seconds":)" << since(began) << '}';
    return out.str();
}

std::string Swarm::latency(double rate, double seconds, std::size_t bytes) {
    std::vector<uint32_t> samples;  // microseconds
    auto microseconds = [] {
        return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
    };
    on_message_ = [&](std::string_view text) {
        auto const at = text.find("\"at\":");
        if (at == std::string_view::npos) return;
        int64_t sent = 0;
        std::from_chars(text.data() + at + 5, text.data() + text.size(), sent);
        samples.push_back(static_cast<uint32_t>(microseconds() - sent));
    };
    auto const receivers = count([](auto& c) { return c.fd >= 0 && c.there; });
    static const Stage publishing{.api = true};
    std::string const more(bytes, 'x');
    Client* publisher = nullptr;
    auto const began = Clock::now();
    uint64_t published = 0;
    auto const total = static_cast<uint64_t>(rate * seconds);
    while (published < total) {
        if (published % 500 == 0) {  // a connection serves 1,000
            if (publisher) leave(*publisher, Leave::fin);
            publisher = &connect(publishing);
            pump(5, [&] { return publisher->connected; });
        }
        pump(5, [&] { return since(began) >= static_cast<double>(published) / rate; });
        auto const body = R"({"type":"time","topic":")" + options_.topic + R"(","data":{"at":)" +
                          std::to_string(microseconds()) + R"(,"more":")" + more + "\"}}";
        auto const request = "POST /api/publish HTTP/1.1\r\nHost: api\r\nX-API-Key: " + options_.key +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        if (::send(publisher->fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) die("publish");
        ++published;
    }
    pump(5, [&] { return samples.size() >= total * receivers; });
    on_message_ = nullptr;
    if (publisher) leave(*publisher, Leave::fin);
    std::sort(samples.begin(), samples.end());
    auto at = [&](double share) {
        if (samples.empty()) return 0U;
        return samples[static_cast<std::size_t>(static_cast<double>(samples.size() - 1) * share)];
    };
    std::ostringstream out;
    out << R"({"receivers":)" << receivers << R"(,"published":)" << total << R"(,"received":)"
        << samples.size() << R"(,"p50_us":)" << at(0.5) << R"(,"p99_us":)" << at(0.99) << R"(,"max_us":)"
        << at(1) << '}';
    return out.str();
}

std::string Swarm::command(const std::string& line) {
    std::istringstream words(line);
    std::string what, name, how;
    uint64_t count = 0, at_once = 0;
    double rate = 0, seconds = 0;
    int hold_ms = 0;
    words >> what;
    if (what == "open" && words >> count >> name >> rate) return open(count, stage(name), rate);
    if (what == "texts" && words >> count >> seconds) return texts(static_cast<uint32_t>(count), seconds);
    if (what == "ended" && words >> seconds) return ended(seconds);
    if (what == "latency" && words >> rate >> seconds >> count) return latency(rate, seconds, count);
    if (what == "churn" && words >> count >> at_once >> hold_ms >> rate >> how >> name)
        return churn(count, at_once, hold_ms, rate, how, name);
    if (what == "idle" && words >> seconds) {
        pump(seconds, [] { return false; });
        return "{}";
    }
    if (what == "mute") {
        for (auto& client : clients_) {
            if (client.fd < 0) continue;
            client.muted = true;
            listen_to(client, 0);
        }
        return "{}";
    }
    if (what == "leave" && words >> name) {
        for (auto& client : clients_)
            leave(client, name == "rst" ? Leave::rst : Leave::fin);
        return "{}";
    }
    die("what is: " + line);
}

sockaddr_in parse(const std::string& text) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    auto const colon = text.find(':');
    if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &out.sin_addr) != 1) die("no address: " + text);
    if (colon != std::string::npos)
        out.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(colon + 1))));
    return out;
}

}  // namespace

// swarm CLIENTS API KEY TOPIC SOURCE...
int main(int argc, char** argv) {
    if (argc < 6) die("swarm CLIENTS API KEY TOPIC SOURCE...");
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    Options options;
    options.clients = parse(argv[1]);
    options.api = parse(argv[2]);
    options.key = argv[3];
    options.topic = argv[4];
    for (int i = 5; i < argc; ++i)
        options.sources.push_back(parse(argv[i]));
    Swarm swarm(options);
    for (std::string line; std::getline(std::cin, line);)
        std::cout << swarm.command(line) << std::endl;
}
