#pragma once

#include <string>
#include <string_view>

namespace keepwell {

// HMAC-SHA256 (RFC 2104) of a message, as 64 lower-case hexadecimal digits.
std::string hmac_sha256(std::string_view key, std::string_view message);

}  // namespace keepwell
