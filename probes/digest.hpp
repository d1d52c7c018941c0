#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// Bytes, not hexadecimal digits.
std::string sha1(std::string_view text);
std::string sha256(std::string_view text);

// `text` encrypted for the owner of an RSA public key (PEM; PKCS #1 OAEP with SHA-1, RFC 8017); nothing when
// the key is not one, or the text is too long for it.
std::optional<std::string> rsa_oaep(std::string_view public_key, std::string_view text);

}  // namespace keepwell
