#include "ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "../../src/server/mail.h"
#include "report.h"

namespace rc::sim {
namespace {

uint32_t user_number(std::string_view name) {
    auto const n = number_after(name, "u");
    if (n >= kUsersMax) violated(fmt::format("a publication to nobody: {}", name));
    return static_cast<uint32_t>(n);
}

template <class T>
const T& content(const reactor::Mail& mail) {
    return *mail.as<server::Parcel<T>>().content;
}

}  // namespace

uint64_t number_after(std::string_view text, std::string_view mark) {
    auto const at = text.find(mark);
    if (at == std::string_view::npos) return kNoNumber;
    uint64_t number = kNoNumber;
    std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), number);
    return number;
}

uint32_t Ledger::add(Publication publication) {
    publication.user_place.fill(kNone);
    publications_.push_back(std::move(publication));
    return size() - 1;
}

Publication& Ledger::at(uint32_t n) {
    if (n >= publications_.size()) violated(fmt::format("publication {} was never sent", n));
    return publications_[n];
}

// Of one publisher's connection, whatever it sent later is accepted later, among the messages of one user or
// topic.
void Ledger::in_order(uint32_t n, std::map<uint32_t, uint32_t>& newest, std::string_view what) {
    uint32_t const publisher = publications_[n].publisher;
    if (publisher == 0) return;
    auto const [at, fresh] = newest.try_emplace(publisher, n);
    if (!fresh && at->second > n)
        violated(fmt::format("publication {} of a publisher was accepted behind its {} ({})", n, at->second,
                             what));
    at->second = n;
}

void Ledger::posted(const reactor::Mail& mail) {
    if (mail.stamp != stamp_ + 1) violated(fmt::format("stamp {} follows {}", mail.stamp, stamp_));
    stamp_ = mail.stamp;
    trace("stamp {} of kind {} is posted", stamp_, mail.kind);
    switch (static_cast<server::MailKind>(mail.kind)) {
        case server::MailKind::live_publication: {
            auto const& live = *content<std::shared_ptr<const server::LivePublication>>(mail);
            auto const n = static_cast<uint32_t>(number_after(live.frame.view(), R"("n":)"));
            auto& publication = at(n);
            bool const again = publication.posted;
            publication.posted = true;
            publication.stamp = stamp_;
            if (publication.kind == Publication::Kind::live_users) {
                for (const auto& user : live.users) {
                    auto const u = user_number(user.text);
                    if (publication.user_place[u] != kNone) violated(fmt::format("{} was accepted twice", n));
                    publication.user_place[u] = static_cast<uint32_t>(live_[u].size());
                    publication.user_stamp[u] = stamp_;
                    live_[u].push_back(n);
                    in_order(n, newest_[u], "live");
                }
                break;
            }
            if (again) violated(fmt::format("publication {} was accepted twice", n));
            auto& order = live.broadcast ? broadcasts_ : topics_.at(publication.topic);
            publication.place = static_cast<uint32_t>(order.size());
            order.push_back(n);
            in_order(n, newest_[2 * kUsersMax + (live.broadcast ? kTopicsMax : publication.topic)], "topic");
            break;
        }
        case server::MailKind::publication: {
            auto const& stored = *content<std::shared_ptr<const store::Publication>>(mail);
            auto const n = static_cast<uint32_t>(number_after(stored.message->data, R"("n":)"));
            auto& publication = at(n);
            publication.posted = true;
            publication.stamp = stamp_;
            for (const auto& addressee : stored.addressees) {
                auto const u = user_number(addressee.user.text);
                if ((publication.users >> u & 1) == 0) violated(fmt::format("{} is not for user {}", n, u));
                if (publication.user_place[u] != kNone)
                    violated(fmt::format("publication {} was logged twice for user {}", n, u));
                if (!logs_[u].empty() && addressee.offset <= logs_[u].back().offset)
                    violated(fmt::format("offset {} of user {} is not ascending", addressee.offset, u));
                publication.user_place[u] = static_cast<uint32_t>(logs_[u].size());
                publication.user_stamp[u] = stamp_;
                logs_[u].push_back({.offset = addressee.offset, .stamp = stamp_, .n = n});
                in_order(n, newest_[kUsersMax + u], "log");
            }
            break;
        }
        case server::MailKind::read_mark: {
            auto const& mark = *content<std::shared_ptr<const store::ReadMark>>(mail);
            auto const u = user_number(mark.user.text);
            UserEvent event{.offset = mark.offset, .stamp = stamp_, .unread = mark.unread_count};
            if (!mark.all) event.marked = static_cast<uint32_t>(number_after(mark.notification_id, "n"));
            logs_[u].push_back(event);
            break;
        }
        case server::MailKind::gather_request: break;  // stands behind what was published before it
        default: violated("a stamp on a mail that is no publication");
    }
}

uint32_t Ledger::place_of(uint32_t user, uint64_t offset) const {
    auto const& log = logs_[user];
    auto const at = std::lower_bound(log.begin(), log.end(), offset,
                                     [](const UserEvent& e, uint64_t o) { return e.offset < o; });
    if (at == log.end() || at->offset != offset) return kNone;
    return static_cast<uint32_t>(at - log.begin());
}

void Ledger::check_outcomes() const {
    for (uint32_t n = 0; n < size(); ++n) {
        auto const& publication = publications_[n];
        if (publication.under_way > 0) violated(fmt::format("publication {} was never answered", n));
        if (publication.accepted && !publication.posted)
            violated(fmt::format("publication {} was accepted and posted to nobody", n));
        if (publication.posted && !publication.accepted && !publication.unknown)
            violated(fmt::format("publication {} was refused and yet posted", n));
    }
}

}  // namespace rc::sim
