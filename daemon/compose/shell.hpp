#pragma once

#include "daemon/variables.hpp"

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::compose {

// One word of a command line, after quotes and variables.
struct Word {
    std::string text{};
    std::string variable{};      // the last variable whose value went into it; empty: none did
    std::string substitution{};  // the command inside `$(...)` or backticks, when the word is nothing else
    bool operator==(const Word&) const = default;
};

// A command and what its output must hold: `redis-cli ping | grep -q PONG`.
struct Command {
    std::vector<Word> words{};
    std::vector<Word> filters{};  // patterns of `| grep`, in their order
    std::string opened{};         // target of its last redirection: bash connects to /dev/tcp/HOST/PORT
    bool operator==(const Command&) const = default;
};

// What a health check's shell line comes to: all of the commands must succeed, and of each, one of its
// alternatives.
using Alternatives = std::vector<Command>;  // `a || b`
using Script = std::vector<Alternatives>;   // `... && ...`

// Takes a line of sh(1) apart, as far as a health check needs it: words, quotes, `&&`, `||`, `| grep`; what
// only shapes output and exit code (`>/dev/null`, `|| exit 1`, a leading `exec` or `timeout 5`) is left out.
// The error says what else the line does, which no probe can do for it.
std::expected<Script, std::string> parse_shell(std::string_view line, const Variables& variables);

// The same for words that need no shell.
Script script_of(std::span<const std::string> argv);

}  // namespace keepwell::compose
