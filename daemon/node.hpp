#pragma once

#include "daemon/problem.hpp"
#include "daemon/variables.hpp"

namespace keepwell {

// One value of a YAML document, with its place. Aliases and merge keys are resolved, variables are replaced.
struct Node {
    enum class Kind : std::uint8_t { null, scalar, sequence, mapping };

    Kind kind = Kind::null;
    bool quoted = false;         // a scalar in quotes or a block scalar: text, whatever it looks like
    bool from_variable = false;  // a scalar that held ${...}; its text is not to be shown
    bool broken = false;         // a scalar whose variable could not be replaced: told already, to be skipped
    Mark mark{};                 // where the value begins
    Mark key_mark{};             // where its key begins; no place for what is not in a mapping
    std::string key{};           // of a value in a mapping
    std::string text{};          // of a scalar
    std::vector<Node> children{};  // of a sequence or a mapping, in the order of the file

    bool is_null() const { return kind == Kind::null; }
    bool is_scalar() const { return kind == Kind::scalar; }
    bool is_sequence() const { return kind == Kind::sequence; }
    bool is_mapping() const { return kind == Kind::mapping; }

    const Node* find(std::string_view name) const;  // the value under a key; null when there is none
    bool operator==(const Node&) const = default;
    Mark place() const { return key_mark.line != 0 ? key_mark : mark; }
};

// Lays one mapping over another: what both have is taken from `over`, mappings within mappings are laid over
// each other likewise.
void lay_over(Node& under, const Node& over);

// The value under keys with dots between them (`restart.docker.timeout`); made, and a mapping in the way made
// of whatever stood there, when it is missing.
Node& place_for(Node& root, std::string_view path);

// `a list`, `a mapping`, `nothing`, or the text itself: what was found instead of what was expected.
std::string found(const Node& node);

// Replaces the variables in all scalars (not in keys). What cannot be replaced is added to the problems and
// stays as it is; so does everything after `limit` bytes of replaced text.
void expand_all(Node& root, const Variables& variables, std::size_t limit, std::vector<Problem>& problems);

}  // namespace keepwell
