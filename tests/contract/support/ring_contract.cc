#include "ring_contract.h"

#include <cerrno>

namespace rc::contract {

void RingContract::start(WorldOptions options) {
    if (world_) finish();
    if (GetParam().tiny_queues) options.submissions = 2;
    world_ = GetParam().make(options);
    if (!world_) GTEST_SKIP() << "io_uring is refused here";
    ring().bind(kTable, *this);
}

void RingContract::finish() {
    if (!world_) return;
    world().exhaust_buffers(0);
    for (auto& request : requests_) {
        request.then = nullptr;  // what it refers to ended with the test's body
        if (request.done()) continue;
        if (request.token.kind != io::Kind::close && request.token.kind != io::Kind::shutdown)
            cancel(request);
    }
    run_until(
        [&] {
            for (auto& request : requests_) {
                if (!request.done()) return false;
            }
            return true;
        },
        "everything that was cancelled ends");
    // An accept may have been quicker than its cancellation.
    for (auto& connection : connections_) {
        if (connection.open) run(close(connection));
    }
    rest();
    EXPECT_EQ(ring().stats().buffers_lent, 0U);
    connections_.clear();
    requests_.clear();
    world_.reset();
}

Request& RingContract::make(io::Kind kind) {
    auto& request = requests_.emplace_back();
    request.token = {next_slot_++, 0x9e3779b9U * next_slot_, kTable, kind};
    return request;
}

Connection& RingContract::connect(Listener which) {
    auto& connection = connections_.emplace_back();
    connection.peer = world().knock(which);
    auto& request = accept(which);
    run(request);
    EXPECT_GE(request.result(), 0);
    connection.file = {request.result(), direct()};
    return connection;
}

Request& RingContract::accept_at(int descriptor) {
    auto& request = make(io::Kind::accept);
    ring().accept(request.op, request.token, descriptor, request.peer, direct());
    return request;
}

Request& RingContract::receive(const Connection& from, io::ReceiveMode mode) {
    return receive_at(from.file, mode);
}

Request& RingContract::receive_at(io::File file, io::ReceiveMode mode) {
    auto& request = make(io::Kind::recv);
    request.file = file;
    ring().recv(request.op, request.token, file, mode);
    return request;
}

Request& RingContract::await_bytes(const Connection& from) {
    auto& request = make(io::Kind::poll);
    request.file = from.file;
    ring().await_bytes(request.op, request.token, from.file);
    return request;
}

Request& RingContract::send(const Connection& to, std::string text) {
    return send_at(to.file, std::move(text));
}

Request& RingContract::send_at(io::File file, std::string text) {
    auto& request = make(io::Kind::send);
    request.text = std::move(text);
    request.file = file;
    iovec const part{request.text.data(), request.text.size()};
    ring().send(request.op, request.token, file, {&part, 1});
    return request;
}

Request& RingContract::close(Connection& connection) {
    auto& request = make(io::Kind::close);
    connection.open = false;
    ring().close(request.op, request.token, connection.file);
    return request;
}

Request& RingContract::shut_down(const Connection& connection) {
    auto& request = make(io::Kind::shutdown);
    EXPECT_FALSE(ring().shutdown_send(request.op, request.token, connection.file));
    return request;
}

Request& RingContract::poll(int descriptor) {
    auto& request = make(io::Kind::poll);
    ring().poll(request.op, request.token, descriptor);
    return request;
}

uint32_t RingContract::reap(uint32_t completions_max) {
    auto const before = completions_;
    reaping_ = true;
    auto const n = ring().reap(completions_max);
    reaping_ = false;
    EXPECT_EQ(n, completions_ - before) << "what reap() says, and how often it called";
    EXPECT_LE(n, completions_max);
    return n;
}

void RingContract::turn(Duration wait_max) {
    ring().submit_and_wait(wait_max);
    reap();
}

void RingContract::run_until(const std::function<bool()>& so, const char* what) {
    for (int turns = 0; turns < 1'000; ++turns) {
        if (so()) return;
        turn();
    }
    if (!so()) GTEST_FAIL() << "never: " << what;
}

void RingContract::rest() {
    // What was submitted before the fence, and needs nothing from outside, is done when the fence is.
    int const descriptor = world().pollable();
    world().make_readable(descriptor);
    run(poll(descriptor));
    while (world().may_move())
        turn(Duration::zero());
    turn(Duration::zero());
}

void RingContract::on_completion(const io::Completion& completion) {
    EXPECT_TRUE(reaping_) << "a completion from another call than reap()";
    EXPECT_FALSE(in_sink_) << "a completion inside another one";
    ++completions_;
    for (auto& request : requests_) {
        if (!(request.token == completion.token)) continue;
        EXPECT_TRUE(request.op.in_flight()) << "a completion after the last one";
        bool const is_receive = completion.token.kind == io::Kind::recv;
        EXPECT_TRUE(!completion.more || is_receive);
        EXPECT_TRUE(!completion.more || completion.result > 0);
        auto const bytes =
            is_receive && completion.result > 0 ? static_cast<std::size_t>(completion.result) : 0;
        EXPECT_EQ(completion.bytes.size(), bytes);
        request.said.push_back({completion.result, completion.more, std::string(completion.bytes)});
        if (!completion.more) request.op.finish();
        in_sink_ = true;
        if (request.then) request.then(request);
        in_sink_ = false;
        return;
    }
    ADD_FAILURE() << "a completion for a token that nobody has";
}

std::string RingContract::receive_all(const Connection& from, std::size_t bytes, io::ReceiveMode mode) {
    std::string all;
    for (int asked = 0; all.size() < bytes && asked < 100'000; ++asked) {
        auto& request = receive(from, mode);
        run_until([&] { return request.done() || all.size() + request.bytes().size() >= bytes; },
                  "bytes come");
        if (!request.done()) {
            cancel(request);
            run(request);
        }
        all += request.bytes();
        if (request.result() <= 0 && request.result() != -ENOBUFS && request.result() != -ECANCELED) break;
        if (::testing::Test::HasFailure()) break;
    }
    return all;
}

Request& RingContract::fill(Connection& connection, std::string& sent) {
    for (int tries = 0; tries < 10'000; ++tries) {
        auto& request = send(connection, pattern(4'096));
        rest();
        // The far end's kernel takes what its buffer has room for in its own time: acknowledgements may wait
        // for 40 ms, and no event says that there will be none.
        for (int i = 0; i < 12 && !request.done(); ++i)
            turn();
        if (!request.done()) return request;
        EXPECT_GT(request.result(), 0);
        if (request.result() <= 0) break;
        sent.append(request.text, 0, static_cast<std::size_t>(request.result()));
    }
    ADD_FAILURE() << "the send buffer has no end";
    return requests_.back();
}

std::string RingContract::pattern(std::size_t bytes, char first) {
    std::string out(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        out[i] = static_cast<char>(first + static_cast<char>((i + i / 26 + i / 977) % 26));
    return out;
}

std::vector<Variant> variants() {
    return {
        {.name = "Uring", .make = make_uring_world},
        {.name = "UringOrdinaryDescriptors", .make = make_uring_world, .direct = false},
        {.name = "UringTinyQueues", .make = make_uring_world, .tiny_queues = true},
        {.name = "Fake", .make = make_fake_world},
        {.name = "FakeOrdinaryDescriptors", .make = make_fake_world, .direct = false},
        {.name = "FakeTinyQueues", .make = make_fake_world, .tiny_queues = true},
        {.name = "FakeShuffled", .make = make_shuffled_fake_world},
        {.name = "FakeLateCancels", .make = make_late_fake_world},
    };
}

}  // namespace rc::contract
