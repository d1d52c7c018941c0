#include "probes/json_check.hpp"

#include "probes/printable.hpp"

#include <boost/json.hpp>

namespace keepwell {

namespace {

namespace json = boost::json;

constexpr std::size_t deepest = 64;
constexpr std::size_t shown_at_most = 100;

bool is_whole_number(const json::value& value) { return value.is_int64() || value.is_uint64(); }

// 1 and 1.0 are the same number, which Boost.JSON's == denies; large integers are compared as such.
bool same_value(const json::value& a, const json::value& b)
{
    if (a.is_number() && b.is_number() && !(is_whole_number(a) && is_whole_number(b)))
        return a.to_number<double>() == b.to_number<double>();
    return a == b;
}

bool is_as_expected(const json::value& found, const std::string& expected)
{
    if (found.is_string() && std::string_view{found.get_string()} == expected)
        return true;
    boost::system::error_code not_json;
    json::parse_options options;
    options.max_depth = deepest;
    const auto wanted = json::parse(expected, not_json, {}, options);
    return !not_json && same_value(found, wanted);
}

}  // namespace

std::optional<std::string> pointer_fault(std::string_view pointer)
{
    if (!pointer.empty() && !pointer.starts_with('/'))
        return "a JSON pointer begins with '/', such as \"/status\"";
    for (auto tilde = pointer.find('~'); tilde != pointer.npos; tilde = pointer.find('~', tilde + 1)) {
        const auto next = pointer.substr(tilde + 1, 1);
        if (next != "0" && next != "1")
            return "in a JSON pointer, '~' is written \"~0\" and a '/' within a name \"~1\"";
    }
    return std::nullopt;
}

std::optional<std::string> json_mismatch(std::string_view document, const std::vector<JsonCheck>& checks)
{
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = deepest;
    const auto value = json::parse(document, error, {}, options);
    if (error)
        return "the body is not JSON (" + error.message() + ")";
    for (const auto& check : checks) {
        boost::system::error_code missing;
        const auto* found = value.find_pointer(check.pointer, missing);
        if (!found)
            return "nothing at " + check.pointer + ", expected " + excerpt(check.equals, shown_at_most);
        if (!is_as_expected(*found, check.equals))
            return (check.pointer.empty() ? "the body" : check.pointer) + " is " +
                   excerpt(json::serialize(*found), shown_at_most) + ", expected " +
                   excerpt(check.equals, shown_at_most);
    }
    return std::nullopt;
}

}  // namespace keepwell
