#include "probes/http_field.hpp"

#include "probes/printable.hpp"
#include "probes/transfer.hpp"

#include <algorithm>

namespace keepwell {

bool is_token(std::string_view text)
{
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";  // RFC 9110 §5.6.2
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.contains(c);
    });
}

bool is_field_value(std::string_view text)
{
    return std::ranges::none_of(text, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

std::string method_fault(std::string_view method)
{
    if (is_token(method) && !same_name(method, "CONNECT"))
        return {};
    return "method: \"" + excerpt(method) + "\" is not a request method";
}

std::string header_fault(std::string_view name, std::string_view value)
{
    if (!is_token(name))
        return "headers: \"" + excerpt(name) + "\" is not a header name";
    if (!is_field_value(value))
        return "headers: the value of " + std::string{name} + " has control characters";
    return {};
}

std::string bearer_token_fault(std::string_view token)
{
    if (is_field_value(token))
        return {};
    return "bearer_token: it has control characters; does its file hold more than one line?";
}

}  // namespace keepwell
