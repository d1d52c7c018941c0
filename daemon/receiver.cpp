#include "daemon/receiver.hpp"

#include <algorithm>
#include <array>

namespace keepwell {

namespace {

// As Prometheus has them: letters, digits and underscores, no digit first.
bool is_label_name(std::string_view name)
{
    return !name.empty() && (name.front() < '0' || name.front() > '9') &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

}  // namespace

std::vector<std::string> AlertmanagerSettings::faults() const
{
    std::vector<std::string> found;
    if (url.empty())
        found.emplace_back("url: no address is given");
    if (std::ranges::any_of(url, &Url::has_query))
        found.emplace_back("url: an Alertmanager's address has no query");
    if (username.empty() != password.empty())
        found.emplace_back("username and password belong together");
    if (!password.empty() && !bearer_token.empty())
        found.emplace_back("bearer_token: there is a password already");
    constexpr std::array<std::string_view, 6> ours{"alertname",       "severity",  "compose_project",
                                                   "compose_service", "container", "hold"};
    for (const auto& [name, value] : labels) {
        if (!is_label_name(name))
            found.push_back("labels: \"" + name + "\" cannot be the name of a label");
        else if (std::ranges::find(ours, name) != ours.end())
            found.push_back("labels: " + name + " is set by keepwell itself");
    }
    return found;
}

}  // namespace keepwell
