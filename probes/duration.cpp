#include "probes/duration.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

struct Unit {
    std::string_view name;
    std::chrono::nanoseconds length;
};
constexpr std::array units{Unit{"w", 168h}, Unit{"d", 24h},  Unit{"h", 1h},   Unit{"m", 1min},
                           Unit{"s", 1s},   Unit{"ms", 1ms}, Unit{"us", 1us}, Unit{"ns", 1ns}};
constexpr std::string_view expected_form = "expected a duration such as \"500ms\", \"10s\" or \"1m30s\"";
constexpr long double most = 9e18L;  // about 285 years in nanoseconds: what the type can hold

// A whole number may have more digits than a double keeps.
long double exact(std::string_view digits, double number)
{
    std::uint64_t whole = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), whole);
    if (error != std::errc{} || end != digits.data() + digits.size())
        return number;
    return static_cast<long double>(whole);
}

}  // namespace

std::expected<Duration, std::string> Duration::parse(std::string_view text)
{
    if (text == "0")
        return Duration{};
    long double total = 0;  // exact for every whole number of nanoseconds
    auto rest = text;
    while (!rest.empty()) {
        double number = 0;
        const auto [end, error] =
            std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
        if (error != std::errc{} || number < 0 || !std::isfinite(number))
            return std::unexpected(std::string{expected_form});
        const auto digits = rest.substr(0, static_cast<std::size_t>(end - rest.data()));
        rest.remove_prefix(digits.size());
        const auto word = rest.substr(0, rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz"));
        const Unit* found = nullptr;
        for (const auto& unit : units)
            if (unit.name == word)
                found = &unit;
        if (!found)
            return std::unexpected(std::string{expected_form} +
                                   (word.empty() ? " (the unit is missing)" : ""));
        total += exact(digits, number) * static_cast<long double>(found->length.count());
        rest.remove_prefix(word.size());
    }
    if (text.empty())
        return std::unexpected(std::string{expected_form});
    if (total > most)
        return std::unexpected("longer than 285 years");
    return Duration{std::chrono::nanoseconds{std::llround(total)}};
}

std::string Duration::text() const
{
    if (value == 0ns)
        return "0s";
    std::string text;
    auto rest = value;
    for (const auto& unit : units) {
        if (unit.length >= 24h && value % unit.length != 0ns)
            continue;  // 36h reads better than 1d12h
        if (const auto count = rest / unit.length) {
            text += std::to_string(count) + std::string{unit.name};
            rest %= unit.length;
        }
    }
    return text;
}

}  // namespace keepwell
