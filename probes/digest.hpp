#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// Bytes, not hexadecimal digits.
std::string sha1(std::string_view text);
std::string sha256(std::string_view text);

// HMAC-SHA256 (RFC 2104) of a message, as 64 lower-case hexadecimal digits.
std::string hmac_sha256(std::string_view key, std::string_view message);

// `text` encrypted for the owner of an RSA public key (PEM; PKCS #1 OAEP with SHA-1, RFC 8017); nothing when
// the key is not one, or the text is too long for it.
std::optional<std::string> rsa_oaep(std::string_view public_key, std::string_view text);

}  // namespace keepwell
