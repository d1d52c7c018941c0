#pragma once

#include "daemon/compose/healthcheck.hpp"
#include "daemon/compose/shell.hpp"

#include <optional>
#include <string_view>

namespace keepwell::compose {

// One program that health checks call, in our words. Thrown instead: Untranslated.
using Tool = NativeProbe (*)(const Command& command, const Inside& inside);

struct NamedTool {
    std::string_view program;
    Tool tool;
};
std::span<const NamedTool> http_tools();      // curl, wget, python, node
std::span<const NamedTool> database_tools();  // redis-cli, pg_isready, psql, mysqladmin, mysql
std::span<const NamedTool> port_tools();      // nc, clients whose protocol is not ours, and what asks nobody

// The host as we reach it: the container's own address for its localhost.
std::string outside_host(std::string_view host, const Inside& inside);
// host:port, with brackets where they are needed.
std::string outside_address(std::string_view host, std::string_view port, const Inside& inside);
// A URL as curl takes it (the scheme may be missing), as we reach it, without its credentials.
std::string outside_url(std::string_view url, const Inside& inside);

// A setting whose value came from a word.
Setting setting(std::string key, const Word& word);
// The same for a secret, whose value may be a part of the word. It is a variable's when it is all of its
// value.
Setting secret_setting(std::string key, std::string value, const Word& word, const Inside& inside);

}  // namespace keepwell::compose
