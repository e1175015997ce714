#include "ringcast/http/path.h"

#include <algorithm>

#include "grammar.h"

namespace rc::http {
namespace {

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out.push_back(' ');
        } else if (text[i] != '%') {
            out.push_back(text[i]);
        } else {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_value(text[i + 1]);
            const int low = hex_value(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            out.push_back(static_cast<char>(high << 4 | low));
            i += 2;
        }
    }
    return out;
}

/// Calls visit(raw name, raw value) for each parameter until it returns false.
template <class Visit>
void for_each_parameter(std::string_view query, Visit visit) {
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view parameter = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (parameter.empty()) continue;
        const size_t equals = std::min(parameter.find('='), parameter.size());
        if (!visit(parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size()))))
            return;
    }
}

}  // namespace

std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> segments;
    while (path.starts_with('/')) {
        path.remove_prefix(1);
        const std::string_view segment = path.substr(0, path.find('/'));
        segments.push_back(segment);
        path.remove_prefix(segment.size());
    }
    return segments;
}

std::optional<std::string> percent_decode_once(std::string_view text) {
    return decode(text, false);
}

bool query_well_formed(std::string_view query) {
    return decode(query, true).has_value();
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    std::optional<std::string> value;
    for_each_parameter(query, [&](std::string_view raw_name, std::string_view raw_value) {
        if (decode(raw_name, true) != name) return true;
        value = decode(raw_value, true);
        return false;
    });
    return value;
}

size_t query_count(std::string_view query, std::string_view name) {
    size_t found = 0;
    for_each_parameter(query, [&](std::string_view raw_name, std::string_view) {
        found += decode(raw_name, true) == name ? 1 : 0;
        return true;
    });
    return found;
}

}  // namespace rc::http
