#pragma once

#include "daemon/node.hpp"

#include <cstddef>

namespace keepwell {

// What a document may cost. Beyond it the text is refused, whatever it says.
struct DocumentLimits {
    std::size_t bytes = 10'000'000;
    std::size_t values = 2'000'000;
    std::size_t depth = 64;
    std::size_t copied_bytes = 64 << 20;  // by aliases, merge keys and variables together
};

struct Document {
    Node root{};
    std::vector<Problem> problems{};
    bool whole = false;  // nothing stopped the reading: the root holds everything that the text says
};

// Reads one YAML document; without `variables` a dollar sign means nothing. Never throws on bad input; a
// syntax error ends the reading, other problems do not.
Document parse_document(std::string_view text, std::string_view file,
                        const Variables& variables = environment, const DocumentLimits& limits = {});

}  // namespace keepwell
