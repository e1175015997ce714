#include "svg.h"

#include <gtest/gtest.h>

namespace rc::load {
namespace {

TEST(Svg, TicksAreRoundAndCoverTheHighest) {
    EXPECT_EQ(round_ticks(10), (std::vector<double>{0, 2, 4, 6, 8, 10}));
    EXPECT_EQ(round_ticks(0), (std::vector<double>{0, 1}));
    for (double highest = 1e-9; highest < 1e12; highest *= 1.37) {
        auto const ticks = round_ticks(highest);
        EXPECT_GE(ticks.back(), highest * 0.999);
        EXPECT_GE(ticks.size(), 3U) << highest;
        EXPECT_LE(ticks.size(), 7U) << highest;
    }
}

TEST(Svg, TextIsNoMarkup) {
    EXPECT_EQ(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
}

TEST(Svg, LinesStayInsideTheirFrame) {
    auto text = [](double value) { return std::to_string(value); };
    Plot const plot{.title = "t",
                    .series = {{"one", {{0, 0}, {1, 1000}}}, {"two", {{0, 5}, {1, 1e9}}}},
                    .y_logarithmic = true,
                    .y_text = text,
                    .x_text = text};
    auto const svg = to_svg(plot);
    EXPECT_NE(svg.find("M78.0 254.0L840.0 "), std::string::npos) << "zero lies on the axis: " << svg;
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(Svg, SevenLinesHaveColoursOfTheirOwn) {
    auto text = [](double value) { return std::to_string(value); };
    Plot plot{.title = "t", .y_text = text, .x_text = text};
    for (int i = 0; i < 7; ++i)
        plot.series.push_back({"s", {{0, 1}, {1, 2}}});
    auto const svg = to_svg(plot);
    for (int i = 0; i < 7; ++i)
        EXPECT_NE(svg.find("line line" + std::to_string(i) + "\""), std::string::npos) << i;
}

TEST(Svg, SaysWhereThereIsNothingToShow) {
    EXPECT_NE(to_svg({.title = "t", .series = {{"one", {}}}}).find("Nothing was measured"),
              std::string::npos);
}

}  // namespace
}  // namespace rc::load
