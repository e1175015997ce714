#pragma once

#include <liburing.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "options.h"

namespace rc::bench {

/// What one publication sends, and to whom.
struct Publication {
    std::string frame;
    std::optional<uint64_t> user;  // none: everybody
};

struct Counters {
    uint64_t clients = 0, publications = 0, sends = 0, failures = 0, enters = 0, turns = 0;
};

/// One thread with one ring: accepts, answers handshakes and requests, and sends. All but post() and stop()
/// on its own thread, from run() on.
class Worker {
  public:
    Worker(const Options& options, int client_listener, int api_listener);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Every worker gets what one of them has read. Set before run().
    void know(std::vector<Worker*> all) { all_ = std::move(all); }
    /// Returns after stop(). @throws std::runtime_error when the kernel refuses the ring
    void run();
    void stop();
    [[nodiscard]] const Counters& counters() const { return counters_; }  // after run()

  private:
    enum class Kind : uint8_t {
        none,
        accept_client,
        accept_api,
        receive_client,
        receive_api,
        send,
        close,
        wake
    };
    using Shared = std::shared_ptr<const Publication>;

    void set_up();
    io_uring_sqe* sqe();
    static void tag(io_uring_sqe* entry, Kind kind, uint64_t value);
    void submit();
    void arm(Kind kind, int file);
    void handle(const io_uring_cqe& cqe);
    void on_client_bytes(uint32_t slot, std::string_view bytes);
    void on_client_text(uint32_t slot, uint8_t opcode, std::string_view text);
    void on_api_bytes(int descriptor, std::string_view bytes);
    void end_client(uint32_t slot);
    void close_client(uint32_t slot);
    void post(const Shared& publication);
    void answer(int file, bool client, std::string bytes);
    void send_frame(uint32_t slot, const std::string& frame, uint64_t batch);
    void publish_all();
    void fan_out(const std::string& frame);

    const Options& options_;
    int client_listener_, api_listener_, event_;
    bool direct_;  // clients have places in the ring's table instead of descriptors
    io_uring ring_{};
    io_uring_buf_ring* buffers_ = nullptr;
    std::string buffer_memory_;
    std::vector<Worker*> all_;
    std::atomic<bool> stopping_{false};
    uint64_t event_count_ = 0;

    std::vector<uint8_t> open_;    // by slot
    std::vector<uint32_t> order_;  // open slots
    std::vector<uint32_t> place_;  // of a slot in order_
    std::vector<uint64_t> user_of_;
    std::unordered_map<uint32_t, std::string> partial_;  // client bytes that are not whole yet
    std::unordered_map<int, std::string> requests_;      // likewise of publishers
    std::unordered_map<uint64_t, uint32_t> users_;
    std::deque<std::string> answers_;  // live until they are submitted
    struct Batch {
        std::string frame;
        uint32_t sends;
    };
    std::unordered_map<uint64_t, Batch> batches_;  // sends with completions
    uint64_t newest_batch_ = 0;
    std::vector<Shared> waiting_;  // read in this turn
    std::mutex posted_mutex_;
    std::vector<Shared> posted_;  // by other workers
    std::mt19937 random_{1};
    Counters counters_;
};

}  // namespace rc::bench
