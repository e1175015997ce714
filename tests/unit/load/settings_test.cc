#include "settings.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace rc::load {
namespace {

/// What is said on stderr, when the status is not none.
struct Read {
    explicit Read(const std::string& line) {
        std::istringstream words("ringcast-load " + line);
        for (std::string word; words >> word;)
            texts.push_back(word);
        for (auto& text : texts)
            arguments.push_back(text.data());
        ::testing::internal::CaptureStderr();
        ::testing::internal::CaptureStdout();
        status = read_settings(static_cast<int>(arguments.size()), arguments.data(), settings);
        said = ::testing::internal::GetCapturedStderr();
        printed = ::testing::internal::GetCapturedStdout();
    }
    std::vector<std::string> texts;
    std::vector<char*> arguments;
    Settings settings;
    std::optional<int> status;
    std::string said, printed;
};

TEST(LoadSettings, AreThoseOfTheCommandLine) {
    Read const read(
        "fanout --url ws://127.0.0.1:99/there?x=1 --api http://[::1]:98 -n 77 --rate 2.5 --duration 250ms");
    ASSERT_FALSE(read.status) << read.said;
    EXPECT_EQ(read.settings.scenario, Scenario::fanout);
    EXPECT_EQ(read.settings.address.format(), "127.0.0.1:99");
    EXPECT_EQ(read.settings.target, "/there?x=1");
    EXPECT_EQ(read.settings.api_address.format(), "[::1]:98");
    EXPECT_EQ(read.settings.connections, 77U);
    EXPECT_EQ(read.settings.duration, milliseconds(250));
    EXPECT_EQ(read.settings.in_flight, 64U) << "an open loop";
    EXPECT_EQ(Read("fanout").settings.in_flight, 1U);
}

TEST(LoadSettings, SpreadManyConnectionsOverThreadsAndSources) {
    Read const read("idle -n 60000");
    ASSERT_FALSE(read.status) << read.said;
    EXPECT_EQ(read.settings.sources.size(), 5U);
    EXPECT_EQ(read.settings.sources[1].format(), "127.0.0.3:0");
    EXPECT_TRUE(Read("idle -n 100").settings.sources.empty());
    EXPECT_EQ(Read("idle --sources 127.0.0.9,2").settings.sources.size(), 3U);
    EXPECT_EQ(Read("idle -n 2 --threads 8").settings.threads, 2U);
}

TEST(LoadSettings, RefuseWhatMeansNothing) {
    for (auto [line, words] : std::initializer_list<std::pair<const char*, const char*>>{
             {"", "scenario"},
             {"dance", "dance"},
             {"fanout --rounds 3", "--rounds"},
             {"echo --topic x", "--topic"},
             {"storm --duration 5s", "--duration"},
             {"idle --url http://127.0.0.1/", "ws://"},
             {"idle --url ws://example.com/", "example.com"},
             {"idle --duration 5", "duration"},
             {"fanout --bytes 20", "--bytes"},
             {"idle --sources x", "--sources"},
             {"idle --server-pid 2147483000", "--server-pid"},
             {"fanout --api-key-file /nonexistent", "/nonexistent"},
             {"fanout --rate 0", "--rate"}}) {
        Read const read(line);
        EXPECT_EQ(read.status, 2) << line;
        EXPECT_NE(read.said.find(words), std::string::npos) << line << ": " << read.said;
    }
}

TEST(LoadSettings, HelpIsAManual) {
    Read const read("--help");
    EXPECT_EQ(read.status, 0);
    for (const char* word :
         {"idle", "storm", "fanout", "targeted", "mixed", "echo", "--server-pid", "Examples:", "Status:"})
        EXPECT_NE(read.printed.find(word), std::string::npos) << word;
}

TEST(LoadSettings, NameUsersAsIntegersOrByLength) {
    Settings settings;
    EXPECT_EQ(settings.user(41), "42");
    settings.user_bytes = 28;
    EXPECT_EQ(settings.user(41).size(), 30U);
    EXPECT_NE(settings.user(41), settings.user(42));
}

}  // namespace
}  // namespace rc::load
