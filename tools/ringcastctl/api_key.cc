#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdio>

#include "commands.h"
#include "ringcast/auth/api_keys.h"
#include "ringcast/server/server.h"

namespace rc::ctl {

Result<int> new_api_key(const ApiKeyOptions& options) {
    std::array<uint64_t, 4> random{};
    if (::getrandom(random.data(), sizeof(random), 0) != sizeof(random))
        return fail(Errc::system, "the kernel gives no random bytes");
    std::string key = "rck_";  // so that those who search for secrets where none should be know one
    for (uint64_t part : random)
        key += fmt::format("{:016x}", part);
    std::string rights;
    for (const auto& right : options.rights)
        rights += fmt::format("{}\"{}\"", rights.empty() ? "" : ", ", right);
    auto const table = fmt::format("[[key]]\nname = \"{}\"\nrights = [{}]\nsha256 = \"{}\"\n", options.name,
                                   rights, auth::hex(auth::sha256(key)));
    if (auto good = server::check_api_key_text(table); !good) return tl::unexpected(good.error());
    std::fputs(table.c_str(), stdout);
    std::fflush(stdout);
    std::fprintf(stderr, "the key, which nothing shows again: %s\n", key.c_str());
    return 0;
}

}  // namespace rc::ctl
