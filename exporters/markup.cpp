#include "exporters/markup.hpp"

#include "probes/utf8.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

std::string_view entity(char c)
{
    switch (c) {
        case '&': return "&amp;";
        case '<': return "&lt;";
        case '>': return "&gt;";
        case '"': return "&quot;";
        case '\'': return "&#39;";
        default: return {};
    }
}

bool is_control(char c)
{
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
}

}  // namespace

void Markup::escape(std::string_view text)
{
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0 || is_control(text.front()))
            out_ += replacement;
        else if (const auto name = entity(text.front()); !name.empty())
            out_ += name;
        else
            out_ += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
}

std::string url_segment(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || c == '-' || c == '.' || c == '_' || c == '~')
            encoded += c;
        else
            ((encoded += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
    return encoded;
}

std::string length_text(std::chrono::nanoseconds length)
{
    const auto seconds = std::chrono::duration<double>(length).count();
    if (seconds < 0.0009995)
        return fmt::format("{:.0f} µs", seconds * 1e6);
    if (seconds < 0.09995)
        return fmt::format("{:.1f} ms", seconds * 1e3);
    if (seconds < 0.9995)
        return fmt::format("{:.0f} ms", seconds * 1e3);
    return fmt::format("{:.2f} s", seconds);
}

std::string age_text(std::chrono::nanoseconds age)
{
    using namespace std::chrono;
    const auto whole = std::max(duration_cast<seconds>(age), seconds{0});
    if (whole < minutes{1})
        return fmt::format("{} s", whole.count());
    if (whole < hours{1})
        return fmt::format("{} min", duration_cast<minutes>(whole).count());
    if (whole < days{2})
        return fmt::format("{} h", duration_cast<hours>(whole).count());
    return fmt::format("{} d", duration_cast<days>(whole).count());
}

}  // namespace keepwell
