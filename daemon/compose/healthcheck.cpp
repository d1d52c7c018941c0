#include "daemon/compose/healthcheck.hpp"

#include "daemon/compose/tools.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace keepwell::compose {

namespace {

using Why = Untranslated::Why;

constexpr int deepest = 4;  // shells within shells

bool is_local(std::string_view host)
{
    constexpr std::array<std::string_view, 7> names{"",    "localhost", "127.0.0.1", "0.0.0.0",
                                                    "::1", "[::1]",     "[::]"};
    return std::ranges::find(names, host) != names.end();
}

bool is_number(std::string_view text)
{
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == text.npos;
}

std::string program_of(const Command& command)
{
    const auto& path = command.words.front().text;
    return path.substr(path.rfind('/') + 1);
}

std::vector<NativeProbe> probes_of(const Script& script, const Inside& inside, int depth);

std::vector<NativeProbe> probes_of_line(std::string_view line, const Inside& inside, int depth)
{
    if (depth == deepest)
        throw Untranslated{Why::too_clever, "nests shells too deeply"};
    const auto script = parse_shell(line, inside.variables);
    if (!script)
        throw Untranslated{Why::too_clever, script.error()};
    return probes_of(*script, inside, depth + 1);
}

// bash connects when it redirects: `</dev/tcp/localhost/9000`.
std::vector<NativeProbe> connection(std::string_view path, const Inside& inside)
{
    constexpr std::string_view prefix = "/dev/tcp/";
    const auto rest = path.substr(prefix.size());
    const auto slash = rest.find('/');
    if (slash == rest.npos)
        throw Untranslated{Why::too_clever, "opens no port"};
    return {{"tcp", outside_address(rest.substr(0, slash), rest.substr(slash + 1), inside)}};
}

// `[ "$(redis-cli ping)" = PONG ]`: what the inner command asks, and the output that it must have.
std::vector<NativeProbe> comparison(const Command& command, const Inside& inside, int depth)
{
    const auto inner =
        std::ranges::find_if(command.words, [](const Word& word) { return !word.substitution.empty(); });
    if (inner == command.words.end())
        throw Untranslated{Why::looks_inside, "compares what only the container knows"};
    std::string wanted;
    bool equal = false;
    for (const auto& word : std::span{command.words}.subspan(1)) {
        if (word.text == "=" || word.text == "==" || word.text == "-eq")
            equal = true;
        else if (word.substitution.empty() && word.text != "]" && word.text != "]]")
            wanted = word.text;
    }
    auto probes = probes_of_line(inner->substitution, inside, depth);
    const bool status = inner->substitution.contains("http_code");
    if (!equal || (!status && wanted != "PONG"))
        throw Untranslated{Why::too_clever, "compares a command's output"};
    if (status)
        for (auto& probe : probes) {
            std::erase_if(probe.settings, [](const Setting& each) { return each.key == "status"; });
            probe.settings.push_back({"status", wanted});
        }
    return probes;
}

std::vector<NativeProbe> probes_of(const Command& command, const Inside& inside, int depth)
{
    if (command.opened.starts_with("/dev/tcp/"))
        return connection(command.opened, inside);
    if (command.words.empty())
        throw Untranslated{Why::looks_inside, "opens a file in the container"};
    const auto program = program_of(command);
    constexpr std::array shells{"sh", "bash", "ash", "dash"};
    if (std::ranges::find(shells, program) != shells.end()) {
        const auto option = std::ranges::find_if(command.words, [](const Word& word) {
            return word.text.starts_with('-') && word.text.ends_with('c');  // `-c`, `-ec`
        });
        if (option == command.words.end() || option + 1 == command.words.end())
            throw Untranslated{Why::too_clever, "runs a script of its own"};
        return probes_of_line((option + 1)->text, inside, depth);
    }
    if (program == "[" || program == "[[" || program == "test")
        return comparison(command, inside, depth);
    const auto name = program.substr(0, program.find_last_not_of("0123456789.") + 1);  // python3.11
    for (const auto tools : {http_tools(), database_tools(), port_tools()})
        if (const auto found = std::ranges::find(tools, name, &NamedTool::program); found != tools.end())
            return {found->tool(command, inside)};
    if (program.contains('='))  // of which nobody should see the value
        throw Untranslated{Why::too_clever,
                           "sets a variable of its own, " + program.substr(0, program.find('='))};
    throw Untranslated{Why::too_clever, "runs a program of its own, " + program};
}

// Any of them is enough: fine when they ask the same, as `curl ... || wget ...` for images that lack one.
std::vector<NativeProbe> probes_of(const Alternatives& alternatives, const Inside& inside, int depth)
{
    auto first = probes_of(alternatives.front(), inside, depth);
    for (const auto& other : std::span{alternatives}.subspan(1)) {
        const auto probes = probes_of(other, inside, depth);
        const auto same = [](const NativeProbe& a, const NativeProbe& b) {
            return a.kind == b.kind && a.target == b.target;
        };
        if (!std::ranges::equal(first, probes, same))
            throw Untranslated{Why::too_clever, "is content with one of several different answers"};
    }
    return first;
}

std::vector<NativeProbe> probes_of(const Script& script, const Inside& inside, int depth)
{
    std::vector<NativeProbe> all;
    for (const auto& alternatives : script) {
        const auto& words = alternatives.front().words;
        const bool only_talks = !words.empty() &&
                                (words.front().text == "echo" || words.front().text == "exit") &&
                                alternatives.front().opened.empty() && script.size() > 1;
        if (only_talks || (!words.empty() && words.front().text == "cd"))
            continue;
        for (auto& probe : probes_of(alternatives, inside, depth))
            if (std::ranges::find(all, probe) == all.end())
                all.push_back(std::move(probe));
    }
    return all;
}

}  // namespace

std::string outside_host(std::string_view host, const Inside& inside)
{
    const bool self = inside.variables("HOSTNAME") == std::string{host};
    return is_local(host) || self ? inside.host : std::string{host};
}

std::string outside_address(std::string_view host, std::string_view port, const Inside& inside)
{
    if (!is_number(port))
        throw Untranslated{Why::too_clever, "asks a port that is known only in the container"};
    const auto outside = outside_host(host, inside);
    const bool brackets = outside.contains(':') && !outside.starts_with('[');
    return (brackets ? "[" + outside + "]" : outside) + ":" + std::string{port};
}

std::string outside_url(std::string_view url, const Inside& inside)
{
    const auto scheme_end = url.find("://");
    const std::string scheme{scheme_end == url.npos ? "http" : url.substr(0, scheme_end)};
    if (scheme != "http" && scheme != "https")
        throw Untranslated{Why::too_clever, "asks by " + scheme};
    auto rest = scheme_end == url.npos ? url : url.substr(scheme_end + 3);
    const auto path_at = std::min(rest.find_first_of("/?#"), rest.size());
    auto authority = rest.substr(0, path_at);
    if (authority.contains('@'))
        throw Untranslated{Why::too_clever, "has credentials in its URL"};
    auto path = std::string{rest.substr(path_at, rest.find('#') - path_at)};
    if (!path.starts_with('/'))
        path.insert(0, "/");
    const auto colon = authority.ends_with(']') ? authority.npos : authority.rfind(':');
    if (colon == authority.npos)
        return scheme + "://" + outside_host(authority, inside) + path;
    return scheme + "://" + outside_address(authority.substr(0, colon), authority.substr(colon + 1), inside) +
           path;
}

Setting setting(std::string key, const Word& word) { return {std::move(key), word.text, word.variable}; }

Setting secret_setting(std::string key, std::string value, const Word& word, const Inside& inside)
{
    const bool whole = !word.variable.empty() && inside.variables(word.variable) == value;
    return {std::move(key), std::move(value), whole ? word.variable : std::string{}, true};
}

std::expected<std::vector<NativeProbe>, Untranslated> translate(std::span<const std::string> test,
                                                                const Inside& inside)
{
    if (test.empty() || test.front() == "NONE")
        return std::unexpected{Untranslated{Why::none_given, "is switched off"}};
    try {
        if (test.front() == "CMD-SHELL" && test.size() == 2)
            return probes_of_line(test[1], inside, 0);
        if (test.front() == "CMD" && test.size() > 1)
            return probes_of(script_of(test.subspan(1)), inside, 0);
    } catch (const Untranslated& problem) {
        return std::unexpected{problem};
    }
    return std::unexpected{Untranslated{Why::too_clever, "is not of the form that Docker knows"}};
}

}  // namespace keepwell::compose
