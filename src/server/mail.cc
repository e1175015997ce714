#include "mail.h"

#include "key_files.h"
#include "ringcast/auth/key_fetch.h"
#include "ringcast/auth/token.h"

namespace rc::server {
namespace {

void drop(const reactor::Mail& mail) {
    switch (static_cast<MailKind>(mail.kind)) {
        case MailKind::store_request:
        case MailKind::store_answer: Parcel<StoreEnvelope>::open(mail); break;
        case MailKind::store_settle: Parcel<store::Settle>::open(mail); break;
        case MailKind::publication: Parcel<std::shared_ptr<const store::Publication>>::open(mail); break;
        case MailKind::read_mark: Parcel<std::shared_ptr<const store::ReadMark>>::open(mail); break;
        case MailKind::live_request: Parcel<LiveRequest>::open(mail); break;
        case MailKind::live_publication: Parcel<std::shared_ptr<const LivePublication>>::open(mail); break;
        case MailKind::gather_request: Parcel<GatherRequest>::open(mail); break;
        case MailKind::gather_answer: Parcel<GatherAnswer>::open(mail); break;
        case MailKind::user_count: Parcel<UserId>::open(mail); break;
        case MailKind::user_watch: Parcel<UserWatch>::open(mail); break;
        case MailKind::keys: Parcel<std::shared_ptr<const Keys>>::open(mail); break;
        case MailKind::token_check: Parcel<auth::UnprovenToken>::open(mail); break;
        case MailKind::keys_fetched: Parcel<Result<auth::Fetched>>::open(mail); break;
        case MailKind::token_verdict:
        case MailKind::keys_fetch:
        case MailKind::store_settled:
        case MailKind::live_answer:
        case MailKind::close_connection:
        case MailKind::address_report:
        case MailKind::address_word:
        case MailKind::control:
        case MailKind::progress: break;  // they carry themselves
    }
}

}  // namespace

std::vector<MailKind> drop_mail(reactor::Mesh& mesh) {
    std::vector<MailKind> dropped;
    for (uint32_t from = 0; from < mesh.size(); ++from) {
        for (uint32_t to = 0; to < mesh.size(); ++to) {
            auto& box = mesh.box(static_cast<reactor::CoreId>(from), static_cast<reactor::CoreId>(to));
            for (; const auto* mail = box.front(); box.pop()) {
                drop(*mail);
                dropped.push_back(static_cast<MailKind>(mail->kind));
            }
        }
    }
    return dropped;
}

}  // namespace rc::server
