#pragma once

#include <string>
#include <string_view>

/// Adds members to the text of an object without touching the bytes that are there.
namespace rc::proto {

/// Appends `"name":"text"` to a list of members, with a comma where one is needed.
/// @param name  needs no escapes
void append_member(std::string& members, std::string_view name, std::string_view text);

/// The same with a value that is JSON already.
void append_raw_member(std::string& members, std::string_view name, std::string_view value_json);

/// The object with the members behind its own; white space before its closing brace stays before it.
/// @param object_json  an object from brace to brace
/// @param members      as made by append_member(); may be empty
std::string with_members_appended(std::string_view object_json, std::string_view members);

}  // namespace rc::proto
