#include "ringcast/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>
#include <thread>
#include <vector>

namespace rc {
namespace {

/// Takes stderr's place by a small pipe. Nobody reads it before finish() or read_from_now_on(), so that the
/// log thread can be held in its write.
class CapturedStderr {
  public:
    CapturedStderr() : stderr_(::dup(STDERR_FILENO)) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        read_end_ = ends[0];
        EXPECT_GE(::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes), 0);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[1]);
    }
    ~CapturedStderr() { finish(); }
    CapturedStderr(const CapturedStderr&) = delete;
    CapturedStderr& operator=(const CapturedStderr&) = delete;

    void read_from_now_on() {
        reader_ = std::thread([this] {
            std::array<char, 4096> bytes{};
            for (ssize_t n = 0; (n = ::read(read_end_, bytes.data(), bytes.size())) > 0;)
                text_.append(bytes.data(), static_cast<std::size_t>(n));
        });
    }

    /// Gives stderr back. @return what was written to it, line by line
    std::vector<std::string> finish() {
        if (stderr_ >= 0) {
            if (!reader_.joinable()) read_from_now_on();
            ::dup2(stderr_, STDERR_FILENO);  // closes the pipe's last write end
            ::close(stderr_);
            reader_.join();
            ::close(read_end_);
            stderr_ = -1;
        }
        std::vector<std::string> lines;
        for (std::size_t from = 0; from < text_.size();) {
            auto const end = text_.find('\n', from);
            lines.push_back(text_.substr(from, end - from));
            from = end == std::string::npos ? text_.size() : end + 1;
        }
        return lines;
    }

    static constexpr int kPipeBytes = 4096;

  private:
    int stderr_;
    int read_end_ = -1;
    std::thread reader_;
    std::string text_;
};

int number_behind(const std::string& line, std::string_view word) {
    auto const at = line.find(word);
    if (at == std::string::npos) return -1;
    int number = -1;
    std::from_chars(line.data() + at + word.size(), line.data() + line.size(), number);
    return number;
}

TEST(Log, LinesBelowTheLevelAreNotWritten) {
    CapturedStderr captured;
    captured.read_from_now_on();
    log::start(log::Level::warning);
    EXPECT_FALSE(log::wanted(log::Level::debug));
    EXPECT_FALSE(log::wanted(log::Level::info));
    EXPECT_TRUE(log::wanted(log::Level::warning));
    EXPECT_TRUE(log::wanted(log::Level::error));
    log::debug("one {}", 1);
    log::info("two {}", 2);
    log::warning("three {}", 3);
    log::error("four {}", 4);
    log::stop();
    auto const lines = captured.finish();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[0].ends_with(" warning three 3")) << lines[0];
    EXPECT_TRUE(lines[1].ends_with(" error four 4")) << lines[1];
}

TEST(Log, AnnouncementsAreBareLinesAtEveryLevel) {
    CapturedStderr captured;
    log::start(log::Level::error);
    log::announce("ringcastd ready");
    log::stop();
    EXPECT_EQ(captured.finish(), std::vector<std::string>{"ringcastd ready"});
}

TEST(Log, WithoutTheLogThreadALineIsWrittenAtOnce) {
    log::start(log::Level::info);
    log::stop();
    CapturedStderr captured;
    log::info("too early or too late");
    auto const lines = captured.finish();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(lines[0].ends_with(" info too early or too late")) << lines[0];
}

TEST(Log, ALongLineIsCut) {
    CapturedStderr captured;
    captured.read_from_now_on();
    log::start(log::Level::info);
    log::write(log::Level::info, std::string(log::kLineBytesMax, 'a'));
    log::write(log::Level::info, std::string(log::kLineBytesMax + 1, 'b'));
    log::stop();
    auto const lines = captured.finish();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[0].ends_with(" " + std::string(log::kLineBytesMax, 'a')));
    EXPECT_TRUE(lines[1].ends_with(" " + std::string(log::kLineBytesMax, 'b')));
}

TEST(Log, EachThreadsLinesKeepTheirOrder) {
    constexpr int kThreads = 3;
    constexpr int kLines = 200;  // fits a mailbox whatever the log thread does
    auto const dropped_before = log::dropped();
    CapturedStderr captured;
    captured.read_from_now_on();
    log::start(log::Level::info);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([t] {
            for (int i = 0; i < kLines; ++i)
                log::info("thread={} line={}", t, i);
        });
    for (auto& thread : threads)
        thread.join();
    log::stop();
    std::vector<int> next(kThreads, 0);
    for (const auto& line : captured.finish()) {
        auto const thread = number_behind(line, "thread=");
        ASSERT_TRUE(thread >= 0 && thread < kThreads) << line;
        EXPECT_EQ(number_behind(line, "line="), next[static_cast<std::size_t>(thread)]++);
    }
    EXPECT_EQ(next, std::vector<int>(kThreads, kLines));
    EXPECT_EQ(log::dropped(), dropped_before);
}

TEST(Log, AStderrThatTakesNothingHoldsUpNobody) {
    auto const dropped_before = log::dropped();
    CapturedStderr captured;
    log::start(log::Level::info);
    auto log_much = [] {
        for (int i = 0; i < 200; ++i)
            log::info("{}", std::string(400, '.'));
    };
    log_much();
    std::thread(log_much).join();  // a thread's first line, while the log thread waits for the pipe
    log::announce("nobody reads this");
    log::stop();
    log::info("nor this");
    auto const lines = captured.finish();
    EXPECT_LT(lines.size(), 20U);
    EXPECT_EQ(lines.size() + log::dropped() - dropped_before, 402U);
}

TEST(Log, AFullMailboxDropsLinesAndCountsThem) {
    constexpr int kLines = 1'000;
    constexpr std::size_t kBytes = 400;
    constexpr auto kTakenMax =
        CapturedStderr::kPipeBytes / kBytes + 1;  // in the pipe, and the one that waits
    constexpr auto kMailbox = 256U;
    auto const dropped_before = log::dropped();
    CapturedStderr captured;
    log::start(log::Level::info);
    // Nobody reads the pipe, so the log thread is soon held in its write; this loop never is.
    for (int i = 0; i < kLines; ++i)
        log::info("line={} {}", i, std::string(kBytes, '.'));
    auto const dropped = log::dropped() - dropped_before;
    EXPECT_GE(dropped, kLines - kMailbox - kTakenMax);
    EXPECT_LE(dropped, kLines - kMailbox);
    captured.read_from_now_on();
    log::stop();
    auto const lines = captured.finish();
    EXPECT_EQ(lines.size() + dropped, static_cast<std::size_t>(kLines));
    int last = -1;
    for (const auto& line : lines) {
        EXPECT_GT(number_behind(line, "line="), last);
        last = number_behind(line, "line=");
    }
}

}  // namespace
}  // namespace rc
