#include "probes/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace keepwell {

namespace {

constexpr std::size_t longest_line = 200;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// How many bytes the well-formed and harmless character at the start of `bytes` has; 0 when there is none.
std::size_t character_length(std::string_view bytes)
{
    const auto first = static_cast<unsigned char>(bytes.front());
    if (first < 0x80)
        return first == '\n' || first == '\t' || (first >= 0x20 && first != 0x7f) ? 1 : 0;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < length)
        return 0;
    std::uint32_t code = first & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (!is_continuation(bytes[i]))
            return 0;
        code = code << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3fu);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    const bool control = code < 0xa0;
    return overlong || surrogate || control || code > 0x10ffff ? 0 : length;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

bool speaks_of_error(std::string_view line)
{
    static constexpr std::array words{"emerg", "error",     "fatal",   "fail",    "denied",  "cannot",
                                      "can't", "not found", "no such", "refused", "invalid", "exception"};
    std::string lower{line};
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return std::ranges::any_of(words, [&](std::string_view word) { return lower.contains(word); });
}

std::string cut(std::string_view line)
{
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r'))
        line.remove_suffix(1);
    if (line.size() <= longest_line)
        return std::string{line};
    auto end = longest_line - 3;
    while (end > 0 && is_continuation(line[end]))
        --end;
    return std::string{line.substr(0, end)} + "...";
}

// Calls `visit` with each line until it returns true.
template <class Visit>
void for_each_line(std::string_view text, Visit visit)
{
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (visit(text.substr(0, end)) || end == text.npos)
            return;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

std::string printable(std::string_view bytes)
{
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto length = character_length(bytes);
        if (length > 0)
            text += bytes.substr(0, length);
        else if (!bytes.starts_with("\r\n"))
            text += '?';
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return text;
}

std::string last_of(std::string text, std::size_t most)
{
    if (text.size() <= most)
        return text;
    auto begin = text.size() - most;
    while (begin < text.size() && is_continuation(text[begin]))
        ++begin;
    return text.substr(begin);
}

std::string telling_line(std::string_view output)
{
    std::string_view last, found;
    for_each_line(output, [&](std::string_view line) {
        if (is_blank(line))
            return false;
        last = line;
        if (speaks_of_error(line))
            found = line;
        return !found.empty();
    });
    return cut(found.empty() ? last : found);
}

std::string first_line(std::string_view output)
{
    std::string_view first;
    for_each_line(output, [&](std::string_view line) {
        first = line;
        return !is_blank(line);
    });
    return cut(first);
}

std::string excerpt(std::string_view bytes, std::size_t most)
{
    const auto looked_at = bytes.substr(0, 4 * most + 4);  // white space shrinks
    std::string text;
    for (const char c : printable(looked_at)) {
        const bool blank = c == ' ' || c == '\n' || c == '\t';
        if (!blank)
            text += c;
        else if (!text.empty() && text.back() != ' ')
            text += ' ';
    }
    if (text.ends_with(' '))
        text.pop_back();
    if (text.size() <= most && looked_at.size() == bytes.size())
        return text;
    auto end = std::min(most - 3, text.size());
    while (end > 0 && end < text.size() && is_continuation(text[end]))
        --end;
    return text.substr(0, end) + "...";
}

}  // namespace keepwell
