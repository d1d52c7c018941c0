#include "exporters/badge.hpp"

#include "daemon/health.hpp"
#include "exporters/markup.hpp"
#include "probes/utf8.hpp"

#include <algorithm>

namespace keepwell {

namespace {

// Of Verdana at 11 px, roughly; textLength makes the text as long as was reckoned with.
constexpr std::size_t character_width = 7, margin = 8;

// Dark enough for white letters (WCAG AA).
std::string_view colour_of(std::string_view state)
{
    return state == name_of(State::healthy)       ? "#1b7a4d"
           : state == name_of(State::unhealthy)   ? "#c42b2b"
           : state == name_of(State::starting)    ? "#9a5700"
           : state == name_of(State::maintenance) ? "#1c66b5"
           : state == name_of(State::unknown)     ? "#6b4fb3"
                                                  : "#5b6773";
}

std::size_t characters(std::string_view text)
{
    std::size_t count = 0;
    for (; !text.empty(); ++count)
        text.remove_prefix(std::max<std::size_t>(utf8_length(text), 1));
    return count;
}

void write_text(Markup& svg, std::string_view text, std::size_t x, std::size_t width)
{
    svg << R"(<text x=")" << x << R"(" y="14" textLength=")" << width << R"(">)" << text << "</text>";
}

}  // namespace

std::string badge_svg(std::string_view name, std::string_view state)
{
    const auto name_width = characters(name) * character_width;
    const auto state_width = characters(state) * character_width;
    const auto left = name_width + 2 * margin;
    const auto width = left + state_width + 2 * margin;
    std::string text;
    Markup svg{text};
    svg << R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" << width << R"(" height="20" viewBox="0 0 )"
        << width << R"( 20" role="img" aria-label=")" << name << ": " << state << R"("><title>)" << name
        << ": " << state << R"(</title><rect width=")" << width << R"(" height="20" rx="4" fill=")"
        << colour_of(state) << R"("/><path fill="#3b4450" d="M4 0h)" << left - 4 << "v20h-" << left - 4
        << R"(a4 4 0 0 1-4-4v-12a4 4 0 0 1 4-4z"/>)"
        << R"(<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">)";
    write_text(svg, name, margin, name_width);
    write_text(svg, state, left + margin, state_width);
    svg << "</g></svg>\n";
    return text;
}

}  // namespace keepwell
