#pragma once

#include "daemon/reader.hpp"
#include "daemon/stack.hpp"

namespace keepwell {

// What words in braces stand for in the probes of one instance.
struct Placeholders {
    std::string_view project{};    // {project}
    std::string_view service{};    // {service}
    std::string_view instance{};   // {instance}: its name
    std::string_view address{};    // {address}
    std::string_view container{};  // {container}
};

// True when the node holds {instance}, {address} or {container}, so that it must be read for each instance by
// itself.
bool differs_by_instance(const Node& node);
bool needs_address(const Node& node);

// The entries of a `probes` list. Entries with mistakes are left out, and so are those that need the address
// of a container that has none.
std::vector<Probe> read_probes(Reader& reader, const Node& list, const Timing& defaults,
                               const Placeholders& words);

// One entry: settings, and exactly one key that is a kind.
Probe read_probe(Reader& reader, const Node& entry, const Timing& defaults);

// A probe that asks a Docker Engine, and does not say which, asks this one.
void ask_engine(Probe& probe, const EngineOptions& engine);

// An entry of `probes` from its parts: a kind, the value of the kind's first key, and settings as
// make_probe() takes them. What is wrong with the settings is added to the problems.
Node probe_entry(std::string_view kind, std::span<const std::string> target,
                 std::span<const std::string> settings, std::vector<Problem>& problems);

// Names stand in labels, URLs and file names.
bool is_name(std::string_view text);
void check_name(Reader& reader, Mark mark, std::string_view name, const std::string& name_shown);

}  // namespace keepwell
