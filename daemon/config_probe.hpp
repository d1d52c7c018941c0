#pragma once

#include "daemon/reader.hpp"
#include "daemon/stack.hpp"

namespace keepwell {

// What words in braces stand for in the probes of one instance.
struct Placeholders {
    std::string_view project{};   // {project}
    std::string_view service{};   // {service}
    std::string_view instance{};  // {instance}: its name
    std::string_view address{};   // {address}
};

// True when the node holds {instance} or {address}, so that it must be read for each instance by itself.
bool differs_by_instance(const Node& node);
bool needs_address(const Node& node);

// The entries of a `probes` list. Entries with mistakes are left out.
std::vector<Probe> read_probes(Reader& reader, const Node& list, const Timing& defaults,
                               const Placeholders& words);

// One entry: settings, and exactly one key that is a kind.
Probe read_probe(Reader& reader, const Node& entry, const Timing& defaults);

// Names stand in labels, URLs and file names.
bool is_name(std::string_view text);
void check_name(Reader& reader, Mark mark, std::string_view name, const std::string& name_shown);

}  // namespace keepwell
