#include "exporters/blackbox/target.hpp"

#include "probes/digest.hpp"
#include "probes/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace keepwell::blackbox {

namespace {

constexpr std::string_view hidden = "***";

// Not guessable from outside, so that a tag says nothing of what is hidden.
const std::string& key_of_tags()
{
    static const std::string key = [] {
        std::random_device random;
        return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
    }();
    return key;
}

bool is_port(std::string_view text)
{
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Where the host begins in what follows the scheme. A password may hold what ends the host's part, though it
// should not: then what stands before that is no host with a port.
std::size_t end_of_user(std::string_view rest)
{
    const auto authority = rest.substr(0, rest.find_first_of("/?#"));
    if (const auto sign = authority.rfind('@'); sign != authority.npos)
        return sign + 1;
    const auto colon = authority.rfind(':');
    if (colon == authority.npos || authority.ends_with(']') || is_port(authority.substr(colon + 1)))
        return 0;
    return rest.rfind('@') + 1;  // 0 when there is none
}

void append_query(std::string& text, std::string_view query)
{
    for (char sign = '?';; sign = '&') {
        const auto part = query.substr(0, query.find('&'));
        const auto name = part.substr(0, part.find('='));
        (text += sign) += name.size() < part.size() ? name : std::string_view{};
        if (!part.empty())
            (text += name.size() < part.size() ? "=" : "") += hidden;
        if (part.size() == query.size())
            return;
        query.remove_prefix(part.size() + 1);
    }
}

std::string one_line(std::string_view text)
{
    auto line = printable(text);
    std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\t'; }, '?');
    return line;
}

}  // namespace

std::string shown_target(std::string_view target)
{
    const auto scheme = target.find("://");
    const auto begin = scheme == target.npos ? 0 : scheme + 3;
    auto rest = target.substr(begin);
    const auto user = end_of_user(rest);
    std::string text{target.substr(0, begin)};
    if (user > 0)
        (text += hidden) += '@';
    rest.remove_prefix(user);
    const auto fragment = rest.find('#');
    const auto query = rest.substr(0, fragment).find('?');
    text += rest.substr(0, std::min(query, fragment));
    if (query != rest.npos)
        append_query(text, rest.substr(0, fragment).substr(query + 1));
    if (fragment != rest.npos)
        (text += '#') += hidden;
    const bool whole = user == 0 && query == rest.npos && fragment == rest.npos;
    const auto tag = whole ? std::string{} : " [" + hmac_sha256(key_of_tags(), target).substr(0, 6) + "]";
    return one_line(text) + tag;
}

std::string encoded(std::string_view url)
{
    constexpr std::string_view not_in_paths = "\"<>\\^`{|}";
    const auto scheme = url.find("://");
    const auto authority = scheme == url.npos ? 0 : scheme + 3;
    const auto path = std::min(url.find_first_of("/?#", authority), url.size());
    const auto query = std::min(url.find_first_of("?#", path), url.size());
    std::string text{url.substr(0, path)};
    for (auto i = path; i < url.size(); ++i) {
        const auto c = static_cast<unsigned char>(url[i]);
        if (c == ' ' || c >= 0x80 || (i < query && not_in_paths.contains(url[i])))
            text += fmt::format("%{:02X}", c);
        else
            text += url[i];
    }
    return text;
}

}  // namespace keepwell::blackbox
