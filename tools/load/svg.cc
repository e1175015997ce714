#include "svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace rc::load {
namespace {

constexpr double kWidth = 860, kHeight = 300, kLeft = 78, kRight = 20, kTop = 24, kBottom = 46;
constexpr double kInnerWidth = kWidth - kLeft - kRight, kInnerHeight = kHeight - kTop - kBottom;
constexpr std::size_t kColours = 7, kTipsMax = 60;

struct Range {
    double low = 0, high = 1;
};

/// What the lines cover; the vertical axis begins at zero, or at a power of ten.
struct Axes {
    Range x, y;
    bool logarithmic;
    [[nodiscard]] double place_x(double value) const {
        return kLeft + (value - x.low) / (x.high - x.low) * kInnerWidth;
    }
    [[nodiscard]] double place_y(double value) const {
        double const share = logarithmic ? (std::log10(std::max(value, y.low)) - std::log10(y.low)) /
                                               (std::log10(y.high) - std::log10(y.low))
                                         : (value - y.low) / (y.high - y.low);
        return kTop + (1 - share) * kInnerHeight;
    }
};

Axes axes_of(const Plot& plot) {
    Axes axes{{INFINITY, -INFINITY}, {INFINITY, -INFINITY}, plot.y_logarithmic};
    for (const auto& series : plot.series) {
        for (auto [x, y] : series.points) {
            axes.x = {std::min(axes.x.low, x), std::max(axes.x.high, x)};
            if (plot.y_logarithmic && y <= 0) continue;
            axes.y = {std::min(axes.y.low, y), std::max(axes.y.high, y)};
        }
    }
    if (!plot.x_ticks.empty()) axes.x = {plot.x_ticks.front().at, plot.x_ticks.back().at};
    if (!(axes.x.high > axes.x.low)) axes.x.high = axes.x.low + 1;
    if (plot.y_logarithmic) {
        if (!(axes.y.high > 0)) axes.y = {1, 10};
        axes.y = {std::pow(10, std::floor(std::log10(axes.y.low))),
                  std::pow(10, std::ceil(std::log10(axes.y.high * 1.0001)))};
    } else {
        axes.y = {0, axes.y.high > 0 ? round_ticks(axes.y.high).back() : 1};
    }
    return axes;
}

std::vector<double> y_ticks(const Axes& axes) {
    if (!axes.logarithmic) return round_ticks(axes.y.high);
    std::vector<double> out;
    for (double tick = axes.y.low; tick <= axes.y.high * 1.001; tick *= 10)
        out.push_back(tick);
    return out;
}

void draw_frame(std::string& out, const Plot& plot, const Axes& axes) {
    auto to = std::back_inserter(out);
    for (std::size_t i = 0; i < plot.bands.size(); ++i) {
        double const begin = axes.place_x(std::clamp(plot.bands[i].begin, axes.x.low, axes.x.high));
        double const end = axes.place_x(std::clamp(plot.bands[i].end, axes.x.low, axes.x.high));
        if (end - begin < 1) continue;
        if (i % 2 == 0)
            fmt::format_to(to, R"(<rect class="band" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>)", begin,
                           kTop, end - begin, kInnerHeight);
        if (end - begin > 7 * static_cast<double>(plot.bands[i].name.size()))
            fmt::format_to(to, R"(<text class="dim" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)",
                           (begin + end) / 2, kTop - 8, escape(plot.bands[i].name));
    }
    for (double const tick : y_ticks(axes)) {
        double const y = axes.place_y(tick);
        fmt::format_to(to, R"(<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>)", kLeft, y,
                       kWidth - kRight, y);
        fmt::format_to(to, R"(<text class="dim" x="{}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 8,
                       y + 4, escape(plot.y_text(tick)));
    }
    auto ticks = plot.x_ticks;
    if (ticks.empty()) {
        for (double const tick : round_ticks(axes.x.high))
            if (tick >= axes.x.low && tick <= axes.x.high) ticks.push_back({tick, plot.x_text(tick)});
    }
    for (const auto& tick : ticks) {
        double const x = axes.place_x(tick.at);
        fmt::format_to(to, R"(<line class="grid" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}"/>)", x,
                       kHeight - kBottom, kHeight - kBottom + 5);
        fmt::format_to(to, R"(<text class="dim" x="{:.1f}" y="{}" text-anchor="{}">{}</text>)", x,
                       kHeight - kBottom + 19, x > kWidth - kRight - 25 ? "end" : "middle",
                       escape(tick.name));
    }
    fmt::format_to(to, R"(<text class="dim" x="{}" y="{}" text-anchor="middle">{}</text>)",
                   kLeft + kInnerWidth / 2, kHeight - 6, escape(plot.x_title));
}

void draw_line(std::string& out, const Plot& plot, const Series& series, const Axes& axes,
               std::size_t number) {
    auto to = std::back_inserter(out);
    std::string path;
    double last_y = 0;
    for (std::size_t i = 0; i < series.points.size(); ++i) {
        double const x = axes.place_x(series.points[i].first), y = axes.place_y(series.points[i].second);
        if (i == 0) {
            fmt::format_to(std::back_inserter(path), "M{:.1f} {:.1f}", x, y);
        } else if (plot.x_in_steps) {
            fmt::format_to(std::back_inserter(path), "L{:.1f} {:.1f}L{:.1f} {:.1f}", x, last_y, x, y);
        } else {
            fmt::format_to(std::back_inserter(path), "L{:.1f} {:.1f}", x, y);
        }
        last_y = y;
    }
    fmt::format_to(to, R"(<path class="line line{}" d="{}"/>)", number % kColours, path);
    // What a pointer shows; not for each of thousands.
    std::size_t const step = series.points.size() / kTipsMax + 1;
    for (std::size_t i = 0; i < series.points.size(); i += step) {
        auto [x, y] = series.points[i];
        fmt::format_to(
            to, R"(<circle class="tip" cx="{:.1f}" cy="{:.1f}" r="7"><title>{}: {} at {}</title></circle>)",
            axes.place_x(x), axes.place_y(y), escape(series.name), escape(plot.y_text(y)),
            escape(plot.x_text(x)));
    }
}

}  // namespace

std::string escape(std::string_view text) {
    std::string out;
    for (char const c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
        }
    }
    return out;
}

std::vector<double> round_ticks(double highest) {
    if (!(highest > 0)) return {0, 1};
    double const rough = highest / 5, power = std::pow(10, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (double const factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= rough * 0.999) {
            step = factor * power;
            break;
        }
    }
    std::vector<double> out;
    for (int i = 0; out.empty() || out.back() < highest * 0.9999; ++i)
        out.push_back(i * step);
    return out;
}

std::string to_svg(const Plot& plot) {
    std::string out = fmt::format("<figure><figcaption>{}", escape(plot.title));
    bool const empty =
        std::ranges::all_of(plot.series, [](const auto& series) { return series.points.empty(); });
    if (empty) return out + "</figcaption><p class=\"dim\">Nothing was measured.</p></figure>\n";
    out += "<span class=\"legend\">";
    for (std::size_t i = 0; i < plot.series.size(); ++i)
        if (!plot.series[i].points.empty())
            fmt::format_to(std::back_inserter(out), R"(<span><i class="swatch{}"></i>{}</span>)",
                           i % kColours, escape(plot.series[i].name));
    fmt::format_to(std::back_inserter(out),
                   R"(</span></figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}: {}">)", kWidth,
                   kHeight, escape(plot.title), escape(plot.y_title));
    auto const axes = axes_of(plot);
    draw_frame(out, plot, axes);
    for (std::size_t i = 0; i < plot.series.size(); ++i)
        if (!plot.series[i].points.empty()) draw_line(out, plot, plot.series[i], axes, i);
    return out + "</svg></figure>\n";
}

}  // namespace rc::load
