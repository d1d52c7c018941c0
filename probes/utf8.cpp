#include "probes/utf8.hpp"

namespace keepwell {

std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
    if (byte(0) < 0x80)
        return 1;
    if (byte(0) >= 0xc2 && byte(0) <= 0xdf && continues(1))
        return 2;
    if (byte(0) >= 0xe0 && byte(0) <= 0xef && continues(1) && continues(2) &&
        (byte(0) != 0xe0 || byte(1) >= 0xa0) && (byte(0) != 0xed || byte(1) < 0xa0))
        return 3;
    if (byte(0) >= 0xf0 && byte(0) <= 0xf4 && continues(1) && continues(2) && continues(3) &&
        (byte(0) != 0xf0 || byte(1) >= 0x90) && (byte(0) != 0xf4 || byte(1) < 0x90))
        return 4;
    return 0;
}

std::string valid_utf8(std::string_view text)
{
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        const auto length = utf8_length(text);
        valid += length ? text.substr(0, length) : std::string_view{"\xef\xbf\xbd"};
        text.remove_prefix(length ? length : 1);
    }
    return valid;
}

}  // namespace keepwell
