#include "probes/hex_bytes.hpp"

namespace keepwell {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

int value_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::expected<HexBytes, std::string> HexBytes::parse(std::string_view text)
{
    HexBytes hex;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == ' ') {
            ++i;
            continue;
        }
        const int high = value_of(text[i]);
        const int low = i + 1 < text.size() ? value_of(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            return std::unexpected("expected pairs of hexadecimal digits, such as \"0d0a\" or \"01 02 ff\"");
        hex.bytes += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return hex;
}

std::string HexBytes::text() const
{
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

}  // namespace keepwell
