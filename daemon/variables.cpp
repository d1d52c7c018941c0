#include "daemon/variables.hpp"

#include <algorithm>
#include <cstdlib>

namespace keepwell {

namespace {

constexpr int deepest = 16;  // ${A:-${B:-...}}

using Expanded = std::expected<std::string, std::string>;

bool may_stand_in_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// The length of the expression that begins after `${`, up to its own closing brace; npos when there is none.
std::size_t closing_brace(std::string_view text)
{
    int open = 1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '$' && i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '$'))
            open += text[++i] == '{' ? 1 : 0;
        else if (text[i] == '}' && --open == 0)
            return i;
    }
    return text.npos;
}

Expanded expand_nested(std::string_view text, const Variables& variables, int depth);

// `inside` is what stands between the braces.
Expanded value_of(std::string_view inside, const Variables& variables, int depth)
{
    const auto end = std::ranges::find_if_not(inside, may_stand_in_name);
    const std::string name{inside.begin(), end};
    auto rest = inside.substr(name.size());
    if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
        return std::unexpected(
            "\"${\" must be followed by the name of a variable; write \"$${\" for the two characters");
    auto value = variables(name);
    if (rest.empty()) {
        if (value)
            return *std::move(value);
        return std::unexpected("the variable " + name + " is not set; set it, or give a default: ${" + name +
                               ":-default}");
    }
    const bool empty_is_unset = rest.starts_with(':');
    if (empty_is_unset)
        rest.remove_prefix(1);
    const char sign = rest.empty() ? '\0' : rest[0];
    if (sign != '-' && sign != '?' && sign != '+')
        return std::unexpected("after ${" + name +
                               " only \"}\", \":-default}\", \":?message}\" or \":+other}\" may follow");
    rest.remove_prefix(1);
    const bool given = value && !(empty_is_unset && value->empty());
    if (sign == '+')
        return given ? expand_nested(rest, variables, depth + 1) : Expanded{};
    if (given)
        return *std::move(value);
    if (sign == '-')
        return expand_nested(rest, variables, depth + 1);
    const auto message = expand_nested(rest, variables, depth + 1);
    return std::unexpected("the variable " + name + " is not set" +
                           (message && !message->empty() ? ": " + *message : ""));
}

Expanded expand_nested(std::string_view text, const Variables& variables, int depth)
{
    if (depth > deepest)
        return std::unexpected("${...} nested more than 16 deep");
    std::string out;
    while (!text.empty()) {
        const auto dollar = std::min(text.find('$'), text.size());
        out += text.substr(0, dollar);
        text.remove_prefix(dollar);
        if (text.starts_with("$$")) {
            out += '$';
            text.remove_prefix(2);
        } else if (text.starts_with("${")) {
            text.remove_prefix(2);
            const auto length = closing_brace(text);
            if (length == text.npos)
                return std::unexpected("\"${\" without its \"}\"; write \"$${\" for the two characters");
            auto value = value_of(text.substr(0, length), variables, depth);
            if (!value)
                return value;
            out += *value;
            text.remove_prefix(length + 1);
        } else if (!text.empty()) {
            out += '$';
            text.remove_prefix(1);
        }
    }
    return out;
}

}  // namespace

std::optional<std::string> environment(std::string_view name)
{
    const char* value = std::getenv(std::string{name}.c_str());
    return value ? std::optional<std::string>{value} : std::nullopt;
}

std::expected<std::string, std::string> expand(std::string_view text, const Variables& variables)
{
    return expand_nested(text, variables, 0);
}

}  // namespace keepwell
