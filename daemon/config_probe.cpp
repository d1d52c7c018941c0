#include "daemon/config_probe.hpp"

#include "daemon/config.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/document.hpp"
#include "daemon/kinds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace keepwell {

namespace {

constexpr std::size_t longest_name = 63;

using Word = std::pair<std::string_view, std::string_view>;

std::array<Word, 5> words_of(const Placeholders& words)
{
    return {Word{"{instance}", words.instance}, Word{"{address}", words.address},
            Word{"{container}", words.container}, Word{"{service}", words.service},
            Word{"{project}", words.project}};
}

void replace_all(std::string& text, std::string_view word, std::string_view value)
{
    for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; at += value.size())
        text.replace(at, word.size(), value);
}

bool holds(const Node& node, std::string_view word)
{
    return node.text.contains(word) ||
           std::ranges::any_of(node.children, [&](const Node& child) { return holds(child, word); });
}

void fill_in(Node& node, const Placeholders& words)
{
    if (node.text.contains('{'))
        for (const auto& [word, value] : words_of(words))
            replace_all(node.text, word, value);
    for (auto& child : node.children)
        fill_in(child, words);
}

bool is_kind(const Node& child) { return find_kind(child.key) != nullptr; }

// The spec of the one key that is a kind; null when there is none, more than one, or a mistake in it.
SharedSpec read_kind(Reader& reader, const Node& entry)
{
    const auto first = std::ranges::find_if(entry.children, is_kind);
    if (first == entry.children.end()) {
        reader.complain(entry.place(), "no kind of probe is given",
                        fmt::format("add one of {}", fmt::join(kind_names(), ", ")));
        return nullptr;
    }
    const auto second = std::find_if(first + 1, entry.children.end(), is_kind);
    if (second != entry.children.end())
        reader.complain(second->key_mark,
                        fmt::format("one probe is of one kind, found {} and {}", first->key, second->key),
                        "begin another entry with \"- \"");
    const auto step = reader.enter(first->key);
    return find_kind(first->key)->read(reader, *first);
}

// An unknown key that is near a kind rather explains what is missing.
bool has_unknown_key(const Node& entry, std::span<const Row> rows)
{
    return std::ranges::any_of(entry.children, [&](const Node& child) {
        return !is_kind(child) && std::ranges::find(rows, child.key, &Row::name) == rows.end();
    });
}

// What has no place was not written here: a container's health check, whose times Docker takes, too.
void check_timing(Reader& reader, const Node& entry, const Timing& timing)
{
    if (timing.timeout.value <= timing.interval.value || entry.place().line == 0)
        return;
    const auto* own = entry.find("timeout");
    reader.warn(own ? own->key_mark : entry.place(),
                fmt::format("the timeout ({}) is longer than the interval ({})", timing.timeout.text(),
                            timing.interval.text()),
                "attempts are skipped while one is still waiting");
}

// A heartbeat that is posted comes under the service's name unless it says otherwise.
void name_heartbeat(Probe& probe, std::string_view service)
{
    const auto* beat = std::get_if<HeartbeatSpec>(probe.spec.get());
    if (!beat || !beat->name.empty() || !beat->file.empty())
        return;
    auto named = *beat;
    named.name = service;
    probe.spec = std::make_shared<const ProbeSpec>(std::move(named));
}

// Gives the probes without a name that of their kind, numbered from the second on.
void name_probes(std::vector<Probe>& probes)
{
    std::unordered_set<std::string> taken;
    for (const auto& probe : probes)
        taken.insert(probe.name);
    for (auto& probe : probes) {
        if (!probe.name.empty())
            continue;
        const std::string kind{kind_of(*probe.spec)};
        probe.name = kind;
        for (int number = 2; !taken.insert(probe.name).second; ++number)
            probe.name = fmt::format("{}-{}", kind, number);
    }
}

// `a.b=value` becomes {a: {b: value}} within `into`.
void add_setting(Node& into, std::string_view setting, std::vector<Problem>& problems)
{
    const auto equals = setting.find('=');
    if (equals == setting.npos || equals == 0) {
        problems.push_back({.text = "expected key=value, found " + shown(setting)});
        return;
    }
    auto& place = place_for(into, setting.substr(0, equals));
    // What does not begin like a list, a mapping or a quoted text is a text as it stands.
    const auto value = setting.substr(equals + 1);
    const auto key = std::move(place.key);
    if (value.starts_with('[') || value.starts_with('{') || value.starts_with('"') ||
        value.starts_with('\'')) {
        auto document = parse_document(value, {}, [](std::string_view) { return std::nullopt; });
        for (auto& problem : document.problems)
            problems.push_back({.path = key, .text = problem.text, .suggestion = problem.suggestion});
        place = std::move(document.root);
    } else {
        place = Node{.kind = Node::Kind::scalar, .text = std::string{value}};
    }
    place.key = key;
}

Node target_node(std::string key, std::span<const std::string> words)
{
    if (words.size() == 1)
        return {.kind = Node::Kind::scalar, .key = std::move(key), .text = words.front()};
    Node list{.kind = Node::Kind::sequence, .key = std::move(key)};
    for (const auto& word : words)
        list.children.push_back({.kind = Node::Kind::scalar, .text = word});
    return list;
}

}  // namespace

bool is_name(std::string_view text)
{
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    return !text.empty() && text.size() <= longest_name && is_word(text.front()) &&
           std::ranges::all_of(text, [&](char c) { return is_word(c) || c == '-' || c == '.'; });
}

void check_name(Reader& reader, Mark mark, std::string_view name, const std::string& name_shown)
{
    if (!is_name(name))
        reader.complain(
            mark, name_shown + " cannot be a name",
            "use at most 63 letters, digits, \"_\", \"-\" and \".\", not beginning with \"-\" or \".\"");
}

bool needs_address(const Node& node) { return holds(node, "{address}"); }

bool differs_by_instance(const Node& node)
{
    return holds(node, "{instance}") || holds(node, "{address}") || holds(node, "{container}");
}

// After a start, a service that reports in by itself has the limit for its first report, as it has for each
// one after it: else it would be restarted for having been restarted. Not less often asked for that than
// otherwise.
void give_time_to_report(Timing& timing, const HeartbeatSpec& spec)
{
    timing.start_period = spec.max_age;
    timing.start_interval = std::min(timing.start_interval, timing.interval);
}

Probe read_probe(Reader& reader, const Node& entry, const Timing& defaults)
{
    if (!entry.is_mapping() && !entry.is_null()) {
        reader.expected(entry, "expected a probe such as {tcp: \"db:5432\"}");
        return {};
    }
    ProbeKeys keys;
    static_cast<Timing&>(keys) = defaults;
    const auto rows = rows_of<ProbeKeys>();
    reader.read_rows(entry, rows, &keys, is_kind, kind_names());
    Probe probe{.name = keys.name, .role = keys.role, .timing = keys};
    if (std::ranges::any_of(entry.children, is_kind) || !has_unknown_key(entry, rows))
        probe.spec = read_kind(reader, entry);
    if (const auto* name = entry.find("name"))
        check_name(reader, name->mark, keys.name, found(*name));
    const auto* heartbeat = probe.spec ? std::get_if<HeartbeatSpec>(probe.spec.get()) : nullptr;
    if (heartbeat && !entry.find("start_period") && defaults.start_period == Duration{})
        give_time_to_report(probe.timing, *heartbeat);
    check_timing(reader, entry, keys);
    return probe;
}

std::vector<Probe> read_probes(Reader& reader, const Node& list, const Timing& defaults,
                               const Placeholders& words)
{
    if (!list.is_sequence()) {
        reader.expected(list, "expected a list", list.is_mapping() ? "begin each probe with \"- \"" : "");
        return {};
    }
    std::vector<Probe> probes;
    std::unordered_set<std::string> names;
    for (std::size_t i = 0; i < list.children.size(); ++i) {
        auto entry = list.children[i];
        const auto step = reader.enter(i);
        if (words.address.empty() && !words.container.empty() && needs_address(entry)) {
            reader.warn(entry.place(),
                        fmt::format("{} has no address that keepwell can reach: it is not asked this now",
                                    words.container),
                        "put keepwell on one of its networks");
            continue;
        }
        fill_in(entry, words);
        auto probe = read_probe(reader, entry, defaults);
        if (!probe.name.empty() && !names.insert(probe.name).second)
            reader.complain(entry.find("name")->mark,
                            fmt::format("the name {} is here twice", found(*entry.find("name"))),
                            "names are unique within a service");
        if (!probe.spec)
            continue;
        name_heartbeat(probe, words.service);
        probes.push_back(std::move(probe));
    }
    name_probes(probes);
    return probes;
}

void ask_engine(Probe& probe, const EngineOptions& engine)
{
    if (!probe.spec || engine == EngineOptions{})
        return;
    auto spec = *probe.spec;
    if (auto* docker = std::get_if<DockerSpec>(&spec); docker && docker->engine == EngineOptions{})
        docker->engine = engine;
    else if (auto* exec = std::get_if<ExecSpec>(&spec);
             exec && !exec->container.empty() && exec->engine == EngineOptions{})
        exec->engine = engine;
    else
        return;
    probe.spec = std::make_shared<const ProbeSpec>(std::move(spec));
}

LoadedProbe make_probe(std::string_view kind, std::string_view target, std::span<const std::string> settings)
{
    const std::string word{target};
    return make_probe(kind, {&word, word.empty() ? 0U : 1U}, settings);
}

LoadedProbe make_probe(std::string_view kind, std::span<const std::string> target,
                       std::span<const std::string> settings)
{
    LoadedProbe loaded;
    const auto entry = probe_entry(kind, target, settings, loaded.problems);
    Reader reader{"", ".", loaded.problems};
    if (loaded.ok())
        loaded.probe = read_probe(reader, entry, {});
    if (loaded.probe.name.empty())
        loaded.probe.name = kind;
    for (auto& problem : loaded.problems)
        problem.mark = {};  // of a value by itself, which tells nobody anything
    return loaded;
}

Node probe_entry(std::string_view kind, std::span<const std::string> target,
                 std::span<const std::string> settings, std::vector<Problem>& problems)
{
    Node entry{.kind = Node::Kind::mapping};
    const auto* known = find_kind(kind);
    if (!known) {
        problems.push_back({.text = fmt::format("unknown kind {}", shown(kind)),
                            .suggestion = did_you_mean(kind, kind_names())});
        return entry;
    }
    Node spec{.kind = Node::Kind::mapping, .key = std::string{kind}};
    if (!target.empty())
        spec.children.push_back(target_node(std::string{known->shape->rows.front().name}, target));
    for (const std::string_view setting : settings) {
        const auto key = setting.substr(0, setting.find_first_of("=."));
        const auto own = rows_of<ProbeKeys>();
        const auto of_kind = known->shape->rows;
        const bool is_timing = std::ranges::find(own, key, &Row::name) != own.end() &&
                               std::ranges::find(of_kind, key, &Row::name) == of_kind.end();
        add_setting(is_timing ? entry : spec, setting, problems);
    }
    entry.children.push_back(std::move(spec));
    return entry;
}

}  // namespace keepwell
