#include "daemon/encoding.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr int most_open_brackets = 1000;

// The length of the UTF-8 sequence that begins here; 0 when it is none (RFC 3629: no overlong forms, no
// surrogates).
std::size_t sequence_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const auto first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool surrogate = first == 0xED && byte(1) > 0x9F;
        return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool overlong = first == 0xF0 && byte(1) < 0x90;
        const bool too_large = first == 0xF4 && byte(1) > 0x8F;
        return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
    }
    return 0;
}

bool is_forbidden_control(unsigned char c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

}  // namespace

std::optional<Problem> unreadable(std::string_view text)
{
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        return Problem{.mark = {1, 1}, .text = "this text is UTF-16", .suggestion = "save it as UTF-8"};
    Mark mark{1, 1};
    int open = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == 0)
            return Problem{.mark = mark, .text = "a NUL byte", .suggestion = "this seems to be no text file"};
        if (is_forbidden_control(c))
            return Problem{.mark = mark,
                           .text = fmt::format("the control character 0x{:02x}", c),
                           .suggestion = "remove it, or write it as an escape in double quotes"};
        const auto length = sequence_length(text.substr(i, 4));
        if (length == 0)
            return Problem{.mark = mark,
                           .text = fmt::format("the byte 0x{:02x} is not UTF-8 here", c),
                           .suggestion = "save the file as UTF-8"};
        open += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        if (open > most_open_brackets)
            return Problem{.mark = mark,
                           .text = "more than 1000 brackets are opened in this line",
                           .suggestion = "keepwell needs no more than a dozen levels"};
        i += length;
        mark.column += static_cast<std::uint32_t>(length);
        if (c == '\n') {
            mark = {mark.line + 1, 1};
            open = 0;
        }
    }
    return std::nullopt;
}

}  // namespace keepwell
