#include "ringcast/http/request.h"

#include "grammar.h"
#include "ringcast/base/ascii.h"

namespace rc::http {

std::optional<std::string_view> RequestHead::header(std::string_view lower_name) const {
    for (const HeaderField& field : fields) {
        if (equal_ignoring_case(field.name, lower_name)) return field.value;
    }
    return std::nullopt;
}

size_t RequestHead::count(std::string_view lower_name) const {
    size_t found = 0;
    for (const HeaderField& field : fields)
        found += equal_ignoring_case(field.name, lower_name) ? 1 : 0;
    return found;
}

std::vector<std::string_view> RequestHead::all(std::string_view lower_name) const {
    std::vector<std::string_view> values;
    for (const HeaderField& field : fields) {
        if (equal_ignoring_case(field.name, lower_name)) values.push_back(field.value);
    }
    return values;
}

bool RequestHead::lists(std::string_view lower_name, std::string_view lower_token) const {
    for (const HeaderField& field : fields) {
        if (!equal_ignoring_case(field.name, lower_name)) continue;
        std::string_view rest = field.value;
        while (true) {
            const size_t comma = rest.find(',');
            if (equal_ignoring_case(trim_blanks(rest.substr(0, comma)), lower_token)) return true;
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
    }
    return false;
}

}  // namespace rc::http
