#include "exporters/hmac.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace keepwell {

std::string hmac_sha256(std::string_view key, std::string_view message)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    std::size_t size = 0;
    // OpenSSL refuses a key without bytes, which RFC 2104 pads with zeros as it does any other.
    const auto padded = key.empty() ? std::string_view{"\0", 1} : key;
    if (!::EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, padded.data(), padded.size(),
                     reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest.data(),
                     digest.size(), &size))
        throw std::runtime_error{"HMAC-SHA256 is not available"};
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[digest[i] >> 4];
        text += digits[digest[i] & 15];
    }
    return text;
}

}  // namespace keepwell
