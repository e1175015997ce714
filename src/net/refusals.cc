#include "ringcast/net/refusals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "ringcast/base/assert.h"
#include "ringcast/base/log.h"

namespace rc::net {
namespace {

constexpr auto retry = Remedy::retry, rearm = Remedy::rearm, over = Remedy::close, fatal = Remedy::fatal;
constexpr std::optional<Remedy> _ = std::nullopt;

struct Row {
    int error;
    std::array<std::optional<Remedy>, 6> remedies;  // in the order of kColumns
};

constexpr std::array kColumns{io::Kind::accept,   io::Kind::recv,  io::Kind::send,
                              io::Kind::shutdown, io::Kind::close, io::Kind::poll};
constexpr std::array<const char*, kColumns.size()> kNames{"an accept",  "a receive", "a send",
                                                          "a shutdown", "a close",   "a poll"};

// EBADF and ENOTSOCK of a connection are not fatal: kernels 6.6 to 6.8 could accept a bogus descriptor. A
// close that was interrupted has closed. Of a network that fails an accept takes one pending connection's
// error, and the next accept the next connection (accept(2)). A socket for which the kernel has no memory is
// given up, so that the memory comes back.
// clang-format off
constexpr std::array kTable = std::to_array<Row>({
    //                 accept  receive send    shutdown close  poll
    {EINTR,           {retry,  retry,  retry,  retry,   over,  retry}},
    {EAGAIN,          {retry,  retry,  retry,  retry,   _,     retry}},
    {ECANCELED,       {retry,  retry,  retry,  retry,   _,     retry}},
    {ENOBUFS,         {rearm,  rearm,  over,   over,    _,     _}},
    {ENOMEM,          {rearm,  over,   over,   over,    _,     retry}},
    {EMFILE,          {rearm,  _,      _,      _,       _,     _}},
    {ENFILE,          {rearm,  _,      _,      _,       _,     _}},
    {ECONNABORTED,    {retry,  over,   over,   over,    _,     _}},
    {ECONNRESET,      {retry,  over,   over,   over,    over,  _}},
    {ECONNREFUSED,    {retry,  over,   over,   over,    _,     _}},
    {ENOTCONN,        {_,      over,   over,   over,    _,     _}},
    {EPIPE,           {_,      over,   over,   over,    _,     _}},
    {ESHUTDOWN,       {_,      over,   over,   over,    _,     _}},
    {ETIMEDOUT,       {retry,  over,   over,   over,    _,     _}},
    {EPROTO,          {retry,  over,   over,   _,       _,     _}},
    {ENOPROTOOPT,     {retry,  over,   over,   _,       _,     _}},
    {ENETDOWN,        {retry,  over,   over,   over,    _,     _}},
    {ENETRESET,       {retry,  over,   over,   over,    _,     _}},
    {ENETUNREACH,     {retry,  over,   over,   over,    _,     _}},
    {EHOSTDOWN,       {retry,  over,   over,   over,    _,     _}},
    {EHOSTUNREACH,    {retry,  over,   over,   over,    _,     _}},
    {ENONET,          {retry,  over,   over,   over,    _,     _}},
    {EACCES,          {rearm,  over,   over,   _,       _,     _}},
    {EPERM,           {rearm,  over,   over,   _,       _,     _}},
    {EMSGSIZE,        {_,      _,      over,   _,       _,     _}},
    {EIO,             {_,      over,   over,   _,       over,  _}},
    {EBADF,           {fatal,  _,      _,      _,       _,     fatal}},
    {ENOTSOCK,        {fatal,  _,      _,      _,       _,     _}},
    {EINVAL,          {fatal,  fatal,  fatal,  fatal,   fatal, fatal}},
    {EFAULT,          {fatal,  fatal,  fatal,  _,       _,     _}},
});
// clang-format on

std::size_t column_of(io::Kind kind) {
    auto const at = std::find(kColumns.begin(), kColumns.end(), kind);
    RC_ASSERT(at != kColumns.end());
    return static_cast<std::size_t>(at - kColumns.begin());
}

}  // namespace

std::optional<Remedy> expected_remedy(io::Kind kind, int error) {
    auto const column = column_of(kind);
    for (const auto& row : kTable) {
        if (row.error == error) return row.remedies[column];
    }
    return std::nullopt;
}

Remedy Refusals::judge(io::Kind kind, int32_t result) {
    RC_ASSERT(result < 0);
    int const error = -result;
    auto const* name = kNames[column_of(kind)];
    auto const remedy = expected_remedy(kind, error);
    if (remedy == Remedy::fatal) {
        auto const line = fmt::format("{} is refused: {}", name, std::strerror(error));
        assertion_failed(line.c_str(), __FILE__, __LINE__);
    }
    if (remedy) return *remedy;
    unexpected.add();
    auto const place = static_cast<std::size_t>(kind) * kErrorsMax +
                       std::min<std::size_t>(static_cast<std::size_t>(error), kErrorsMax - 1);
    if (!said_[place]) {
        said_.set(place);
        log::error("{} was refused with an error that is not expected of it (said once): {} ({})", name,
                   std::strerror(error), error);
    }
    return Remedy::close;
}

}  // namespace rc::net
