#include "daemon/docker/probing.hpp"

#include "daemon/compose/guess.hpp"
#include "daemon/compose/healthcheck.hpp"
#include "daemon/config_probe.hpp"
#include "daemon/stack.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell::docker {

namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds docker_interval = 30s;  // moby daemon/health.go: what 0 stands for
constexpr nanoseconds docker_timeout = 30s;
constexpr nanoseconds docker_start_interval = 5s;
constexpr int docker_retries = 3;
constexpr nanoseconds shortest_interval = 1s;  // of asking the Engine
constexpr nanoseconds longest_interval = 10s;

Node scalar(std::string_view key, std::string text)
{
    return {.kind = Node::Kind::scalar, .key = std::string{key}, .text = std::move(text)};
}

Node duration(std::string_view key, nanoseconds length) { return scalar(key, Duration{length}.text()); }

nanoseconds or_default(std::int64_t value, nanoseconds otherwise, nanoseconds most)
{
    return value <= 0 ? otherwise : std::clamp<nanoseconds>(nanoseconds{value}, 10ms, most);
}

// A health check's times with Docker's meaning, kept within what keepwell takes.
struct Times {
    nanoseconds interval;
    nanoseconds timeout;
    nanoseconds start_period;
    nanoseconds start_interval;
    int retries;
};

Times times_of(const Healthcheck& check)
{
    return {or_default(check.interval, docker_interval, std::chrono::hours{24}),
            or_default(check.timeout, docker_timeout, std::chrono::hours{1}),
            std::clamp<nanoseconds>(nanoseconds{check.start_period}, 0s, std::chrono::hours{24}),
            or_default(check.start_interval, docker_start_interval, std::chrono::hours{24}),
            check.retries <= 0 ? docker_retries : std::min(check.retries, 1000)};
}

Node entry_of(const compose::NativeProbe& probe, std::vector<Problem>& problems)
{
    std::vector<std::string> settings;
    for (const auto& each : probe.settings)
        if (!each.secret)
            settings.push_back(each.key + "=" + each.value);
    auto entry = probe_entry(probe.kind, {&probe.target, 1}, settings, problems);
    // A secret is a text, whatever it looks like, and nobody shows it.
    for (const auto& each : probe.settings) {
        if (!each.secret)
            continue;
        auto& place = place_for(entry.children.back(), each.key);
        place = Node{.kind = Node::Kind::scalar,
                     .quoted = true,
                     .from_variable = true,
                     .key = place.key,
                     .text = each.value};
    }
    return entry;
}

Node list_of(std::vector<Node> entries)
{
    return {.kind = Node::Kind::sequence, .key = "probes", .children = std::move(entries)};
}

compose::Inside inside_of(const Container& container)
{
    return {"{address}", [&container](std::string_view name) -> std::optional<std::string> {
                for (const auto& each : container.environment)
                    if (each.starts_with(name) && each.size() > name.size() && each[name.size()] == '=')
                        return each.substr(name.size() + 1);
                if (name == "HOSTNAME")
                    return container.id.substr(0, 12);
                return std::nullopt;
            }};
}

// Only its program: the rest may hold a password.
std::string program_of(const Healthcheck& check)
{
    const std::string_view line = check.test.size() > 1 ? check.test[1] : check.test.front();
    const auto word = line.substr(0, line.find_first_of(" \t\n=:;|&"));
    return std::string{word.substr(word.rfind('/') + 1)};
}

Node engine_entry(std::string_view health, std::string_view role)
{
    Node kind{.kind = Node::Kind::mapping, .key = "docker"};
    kind.children = {scalar("container", "{container}"), scalar("health", std::string{health})};
    Node entry{.kind = Node::Kind::mapping};
    entry.children = {std::move(kind), scalar("role", std::string{role})};
    return entry;
}

// Docker has counted retries and start period already. What it calls `starting` is no failure before it
// could have had a verdict.
Probing by_verdict(const Healthcheck& check, std::string_view why)
{
    const auto times = times_of(check);
    Probing probing{.settings = {.kind = Node::Kind::mapping}};
    const auto until_verdict = std::min<nanoseconds>(
        times.start_period + (times.interval + times.timeout) * (times.retries + 1), std::chrono::hours{48});
    probing.settings.children = {
        list_of({engine_entry("true", "liveness")}),
        duration("interval", std::clamp(times.interval, shortest_interval, longest_interval)),
        duration("timeout", 5s),
        scalar("retries", "1"),
        duration("start_period", until_verdict),
        duration("start_interval", 1s)};
    probing.origin = fmt::format("Docker's verdict: its health check ({}) {}", program_of(check), why);
    return probing;
}

std::optional<Probing> by_translation(const Container& container)
{
    const auto& check = container.healthcheck;
    const auto probes = compose::translate(check.test, inside_of(container));
    if (!probes)
        return {};
    std::vector<Problem> problems;
    std::vector<Node> entries;
    for (const auto& probe : *probes)
        entries.push_back(entry_of(probe, problems));
    if (has_errors(problems))
        return {};
    const auto times = times_of(check);
    Probing probing{.settings = {.kind = Node::Kind::mapping}, .native = true};
    probing.settings.children = {
        list_of(std::move(entries)), duration("interval", times.interval), duration("timeout", times.timeout),
        scalar("retries", std::to_string(times.retries)), duration("start_period", times.start_period)};
    // As in Docker: without a start period it has no effect.
    if (times.start_period > 0s)
        probing.settings.children.push_back(duration("start_interval", times.start_interval));
    probing.origin = fmt::format("its own health check ({}), asked natively", program_of(check));
    return probing;
}

Probing by_guess(const Container& container, bool reachable)
{
    Probing probing{.settings = {.kind = Node::Kind::mapping}};
    const auto guessed = reachable ? compose::guess(container.image, container.ports, "{address}")
                                   : std::optional<compose::NativeProbe>{};
    std::vector<Problem> problems;
    auto entry = guessed ? entry_of(*guessed, problems) : engine_entry("false", "readiness");
    if (guessed)
        entry.children.push_back(scalar("role", "readiness"));
    probing.settings.children = {list_of({std::move(entry)})};
    probing.origin = guessed ? fmt::format("a guess from its image ({}) and ports; no reason for a restart",
                                           compose::image_name(container.image))
                             : "nothing tells how to ask it: only whether it runs; no reason for a restart";
    return probing;
}

}  // namespace

Probing probing_of(const Container& container, Access access)
{
    const auto& check = container.healthcheck;
    const bool reachable = access == Access::open || access == Access::misleading;
    if (check.test.empty())
        return by_guess(container, reachable);
    if (access == Access::misleading)
        return by_verdict(check, "passes inside, but what it asks does not answer from here");
    if (access == Access::taken)
        return by_verdict(check, "cannot be asked: it does not run, and its address is another's by now");
    if (!reachable)
        return by_verdict(check, "cannot be asked from here: there is no network in common");
    if (auto native = by_translation(container))
        return *std::move(native);
    const auto probes = compose::translate(check.test, inside_of(container));
    if (probes)
        return by_verdict(check, "cannot be said in probes of ours");
    if (probes.error().why != compose::Untranslated::Why::checks_nothing)
        return by_verdict(check, probes.error().words);
    auto guessed = by_guess(container, reachable);
    guessed.origin += fmt::format(" (its health check {})", probes.error().words);
    return guessed;
}

}  // namespace keepwell::docker
