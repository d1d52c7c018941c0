#include "daemon/action.hpp"

#include "daemon/timestamp.hpp"
#include "probes/account.hpp"
#include "probes/environment.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>

namespace keepwell {

namespace {

struct Placeholder {
    std::string_view name;      // in argv, between braces
    std::string_view variable;  // in the environment
    std::string (*value)(const ActionContext&);
};

constexpr std::array placeholders{
    Placeholder{"service", "KEEPWELL_SERVICE", [](const ActionContext& c) { return c.service; }},
    Placeholder{"instance", "KEEPWELL_INSTANCE", [](const ActionContext& c) { return c.instance; }},
    Placeholder{"address", "KEEPWELL_ADDRESS", [](const ActionContext& c) { return c.address; }},
    Placeholder{"project", "KEEPWELL_PROJECT", [](const ActionContext& c) { return c.project; }},
    Placeholder{"container", "KEEPWELL_CONTAINER", [](const ActionContext& c) { return c.container; }},
    Placeholder{"probe", "KEEPWELL_PROBE", [](const ActionContext& c) { return c.probe; }},
    Placeholder{"cause", "KEEPWELL_CAUSE", [](const ActionContext& c) { return c.cause; }},
    Placeholder{"reason", "KEEPWELL_REASON",
                [](const ActionContext& c) { return std::string{to_string(c.reason)}; }},
};

std::unexpected<std::string> bad_placeholder(std::string_view text)
{
    std::string known;
    for (const auto& each : placeholders)
        known += (known.empty() ? "{" : ", {") + std::string{each.name} + "}";
    return std::unexpected("\"" + std::string{text} + "\" is no placeholder: expected one of " + known +
                           ", or `{{` for a brace");
}

// As `docker kill --signal` takes them: a number, or a name with or without SIG before it.
bool is_signal(std::string_view text)
{
    constexpr int most = 64;
    int number = 0;
    const auto* begin = text.data();
    const auto* end = begin + text.size();
    if (const auto read = std::from_chars(begin, end, number); read.ec == std::errc{} && read.ptr == end)
        return number >= 1 && number <= most;
    if (text.starts_with("SIG"))
        text.remove_prefix(3);
    if (text == "RTMIN" || text == "RTMAX" || text.starts_with("RTMIN+") || text.starts_with("RTMAX-"))
        return true;
    for (int each = 1; each < NSIG; ++each)
        if (const char* name = ::sigabbrev_np(each); name && text == name)
            return true;
    return false;
}

}  // namespace

std::expected<std::string, std::string> fill_in(std::string_view word, const ActionContext& context)
{
    std::string result;
    while (!word.empty()) {
        if (word.starts_with("{{") || word.starts_with("}}")) {
            result += word.front();
            word.remove_prefix(2);
            continue;
        }
        if (word.front() != '{') {
            result += word.front();
            word.remove_prefix(1);
            continue;
        }
        const auto end = word.find('}');
        const auto* found = std::ranges::find(placeholders, word.substr(1, end == word.npos ? end : end - 1),
                                              &Placeholder::name);
        if (end == word.npos || found == placeholders.end())
            return bad_placeholder(word.substr(0, end == word.npos ? end : end + 1));
        result += found->value(context);
        word.remove_prefix(end + 1);
    }
    return result;
}

std::map<std::string, std::string> variables_of(const ActionContext& context)
{
    std::map<std::string, std::string> variables;
    for (const auto& each : placeholders)
        variables.emplace(each.variable, each.value(context));
    variables.emplace("KEEPWELL_DETAIL", context.detail);
    variables.emplace("KEEPWELL_TIME", rfc3339(context.at));
    return variables;
}

std::vector<std::string> CommandAction::faults() const
{
    std::vector<std::string> found;
    if (argv.empty() || argv.front().empty())
        found.emplace_back("argv: the program is missing");
    if (argv.size() == 1 && argv.front().find_first_of(" \t\n") != std::string::npos)
        found.emplace_back("argv is one word with blanks: write a list such as [systemctl, restart, nginx]");
    for (const auto& word : argv) {
        if (const auto filled = fill_in(word, {}); !filled)
            found.push_back("argv: " + filled.error());
        if (word.contains('\0'))
            found.emplace_back("argv: a word holds a NUL character");
    }
    for (const auto& [name, value] : environment) {
        if (auto fault = name_fault(name); !fault.empty())
            found.push_back("environment: " + fault);
        if (value.contains('\0'))
            found.push_back("environment: the value of " + name + " holds a NUL character");
    }
    if (auto fault = user_fault(user); !user.empty() && !fault.empty())
        found.push_back("user: " + fault);
    return found;
}

std::vector<std::string> DockerAction::faults() const
{
    std::vector<std::string> found;
    const bool is_exec = action == DockerVerb::exec;
    if (is_exec && (argv.empty() || argv.front().empty()))
        found.emplace_back("argv: `exec` needs a program, as a list such as [nginx, -s, reload]");
    if (!is_exec && !argv.empty())
        found.emplace_back("argv: only `action: exec` runs a program");
    for (const auto& word : argv) {
        if (const auto filled = fill_in(word, {}); !filled)
            found.push_back("argv: " + filled.error());
        if (word.contains('\0'))
            found.emplace_back("argv: a word holds a NUL character");
    }
    if (stop_timeout && action != DockerVerb::restart)
        found.emplace_back("stop_timeout: only a restart stops");
    if (!is_signal(signal))
        found.emplace_back("signal: expected a name such as HUP or SIGUSR1, or a number");
    return found;
}

}  // namespace keepwell
