#pragma once

#include <optional>
#include <string_view>

#include "ringcast/http/request.h"

namespace rc::http {

/// Splits a complete head, to its last empty line, by Boost.Beast's parser: sets method text, target,
/// version, fields, content_length and chunked. Beast alone is too lenient (obs-fold, bytes over 0x7f,
/// repeated and listed Content-Length, `xchunked` read as no body): what reaches it has passed HeadParser's
/// filter, and HeadParser judges what comes out.
/// @return why Beast refuses it, nothing if it does not
std::optional<std::string_view> split_head(std::string_view text, RequestHead& head);

}  // namespace rc::http
