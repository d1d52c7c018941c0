#pragma once

#include "daemon/reader.hpp"
#include "probes/spec.hpp"

namespace keepwell {

// A kind of probe as the configuration, the command line and the documentation see it.
struct Kind {
    std::string_view name;
    std::string_view summary;
    const Shape* shape;
    SharedSpec (*read)(Reader& reader, const Node& node);  // null when something is wrong
};

// All kinds, in the order of ProbeSpec.
std::span<const Kind> kinds();
const Kind* find_kind(std::string_view name);
std::span<const std::string_view> kind_names();

// A spec as one line, without its defaults and its secrets: `redis {address: cache:6379}`.
std::string text_of(const ProbeSpec& spec);

}  // namespace keepwell
