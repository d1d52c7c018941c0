#pragma once

#include <string>
#include <string_view>

namespace keepwell {

// Length of the well-formed UTF-8 sequence (RFC 3629) at the start of a text that is not empty; 0 when there
// is none.
std::size_t utf8_length(std::string_view text);

// The text with every byte that is no part of well-formed UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace keepwell
