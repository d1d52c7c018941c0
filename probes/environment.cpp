#include "probes/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

namespace keepwell {

namespace {

// The configuration's secrets are the process's, and so is the environment: one set for all.
std::set<std::string, std::less<>>& withheld()
{
    static std::set<std::string, std::less<>> secrets;
    return secrets;
}

// Shorter ones occur by chance.
constexpr std::size_t least_to_equal = 4;
constexpr std::size_t least_to_contain = 8;

bool tells_secret(std::string_view value)
{
    return std::ranges::any_of(withheld(), [&](const std::string& secret) {
        return value == secret || (secret.size() >= least_to_contain && value.contains(secret));
    });
}

// sd_notify(3) and sd_listen_fds(3): these speak to keepwell. A child that inherited them could answer for
// it.
constexpr std::array for_keepwell_alone{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                                        "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};

constexpr std::array secret_parts{"PASSWORD", "PASSWD",     "PASSPHRASE", "SECRET",
                                  "TOKEN",    "CREDENTIAL", "APIKEY",     "API_KEY"};
constexpr std::array secret_ends{"_KEY", "_PASS", "_PWD", "_AUTH"};

bool has_credentials(std::string_view value)
{
    const auto scheme = value.find("://");
    if (scheme == value.npos)
        return false;
    const auto authority = value.substr(scheme + 3, value.find_first_of("/?#", scheme + 3) - scheme - 3);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    return at != authority.npos && colon != authority.npos && colon + 1 < at;
}

}  // namespace

bool holds_secret(std::string_view name, std::string_view value)
{
    std::string upper{name};
    std::ranges::transform(upper, upper.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    if (upper.ends_with("_FILE"))  // says where the secret is, not what
        return false;
    return std::ranges::any_of(secret_parts, [&](std::string_view part) { return upper.contains(part); }) ||
           std::ranges::any_of(secret_ends, [&](std::string_view end) { return upper.ends_with(end); }) ||
           has_credentials(value);
}

void withhold(std::string secret)
{
    if (secret.size() >= least_to_equal)
        withheld().insert(std::move(secret));
}

std::vector<std::string> environment_for_child(const std::map<std::string, std::string>& added)
{
    std::vector<std::string> entries;
    for (char** each = environ; each && *each; ++each) {
        const std::string_view entry{*each};
        const auto name = entry.substr(0, entry.find('='));
        const auto value = entry.substr(std::min(name.size() + 1, entry.size()));
        if (name.size() == entry.size() || added.contains(std::string{name}) || tells_secret(value) ||
            std::ranges::find(for_keepwell_alone, name) != for_keepwell_alone.end() ||
            holds_secret(name, value))
            continue;
        entries.emplace_back(entry);
    }
    for (const auto& [name, value] : added)
        entries.push_back(name + "=" + value);
    return entries;
}

std::string without_secrets(std::string text, const std::map<std::string, std::string>& added)
{
    constexpr std::size_t too_short_to_tell = 4;
    for (const auto& [name, value] : added) {
        if (value.size() < too_short_to_tell || !holds_secret(name, value))
            continue;
        constexpr std::string_view shown = "<secret>";
        for (auto at = text.find(value); at != text.npos; at = text.find(value, at + shown.size()))
            text.replace(at, value.size(), shown);
    }
    return text;
}

std::string name_fault(std::string_view name)
{
    if (name.empty())
        return "a variable needs a name";
    if (name.contains('=') || name.contains('\0'))
        return "\"" + std::string{name} + "\" cannot be the name of a variable";
    return {};
}

}  // namespace keepwell
