#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace rc::load {

/// A line of a plot: points from left to right.
struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;
};

/// A place on an axis that is named.
struct Tick {
    double at;
    std::string name;
};

/// A stretch of the horizontal axis with a name.
struct Band {
    std::string name;
    double begin, end;
};

/// Lines over two axes. Colours are those of the page: the classes line0 to line6.
struct Plot {
    std::string title, x_title, y_title;
    std::vector<Series> series;
    std::vector<Band> bands;
    std::vector<Tick> x_ticks;  // none: round numbers
    bool x_in_steps = false;    // a value holds until the next one
    bool y_logarithmic = false;
    std::function<std::string(double)> y_text;  // of a value
    std::function<std::string(double)> x_text;
};

/// The plot as an SVG element with a legend; a note in words where there is nothing to show.
std::string to_svg(const Plot& plot);
/// Text as it may stand in HTML.
std::string escape(std::string_view text);

/// From three to seven round numbers that span 0 to `highest`.
std::vector<double> round_ticks(double highest);

}  // namespace rc::load
