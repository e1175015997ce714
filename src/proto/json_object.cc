#include "ringcast/proto/json_object.h"

#include <algorithm>

#include "fields.h"
#include "json_document.h"

namespace rc::proto {

std::optional<std::string> JsonField::text() const {
    auto text = read_string({raw_}, "");
    if (!text) return std::nullopt;
    return std::move(*text);
}

std::optional<uint64_t> JsonField::integer() const {
    return json::unsigned_integer(raw_);
}

std::optional<UserId> JsonField::user_id() const {
    auto user = read_user_id({raw_}, "");
    if (!user) return std::nullopt;
    return std::move(*user);
}

std::optional<std::vector<JsonField>> JsonField::elements() const {
    if (json::Value{raw_}.kind() != json::Kind::array) return std::nullopt;
    std::vector<JsonField> out;
    for (json::Elements elements(raw_); elements.next();)
        out.emplace_back(elements.value().raw);
    return out;
}

std::optional<JsonField> JsonObject::find(std::string_view name) const {
    auto const found = std::ranges::find(members_, name, &decltype(members_)::value_type::first);
    if (found == members_.end()) return std::nullopt;
    return found->second;
}

struct JsonReader::Impl {
    json::Document document;
};

JsonReader::JsonReader() : impl_(std::make_unique<Impl>()) {}
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

Result<JsonObject> JsonReader::object(std::string_view text) {
    JsonObject out;
    out.text_ = std::make_unique<const std::string>(text);
    auto const root = impl_->document.validate(*out.text_);
    if (!root) return tl::unexpected(root.error());
    if (root->kind() != json::Kind::object) return refuse_kind("the text", "an object", *root);
    for (json::Members members(root->raw); members.next();)
        out.members_.emplace_back(members.key(), JsonField(members.value().raw));
    std::vector<std::string_view> names;
    names.reserve(out.members_.size());
    for (const auto& [name, value] : out.members_)
        names.push_back(name);
    std::ranges::sort(names);
    if (std::ranges::adjacent_find(names) != names.end())
        return fail(Errc::invalid_message, "a name stands there twice");
    return out;
}

}  // namespace rc::proto
