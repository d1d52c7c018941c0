#include "probes/sql.hpp"

#include "probes/printable.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace keepwell {

namespace {

std::optional<double> number_in(std::string_view text)
{
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number))
        return std::nullopt;
    return number;
}

std::string shown(const QueryValue& value)
{
    if (!value.row)
        return "no row";
    return value.text ? fmt::format("'{}'", server_words(*value.text, Secret{})) : "NULL";
}

}  // namespace

Verdict judge_value(const QueryValue& value, const std::optional<std::string>& expect,
                    const Pattern& expect_regex, Progress& progress)
{
    if (value.text)
        if (const auto number = number_in(*value.text))
            progress.note("query_value", *number);
    if (expect && value.text != expect)
        return rejected(Reason::value_mismatch, fmt::format("{}, expected '{}'", shown(value), *expect));
    if (!expect_regex.empty() && !(value.text && expect_regex.found_in(*value.text)))
        return rejected(Reason::value_mismatch,
                        fmt::format("{} does not match {}", shown(value), expect_regex.text()));
    return ok();
}

std::string server_words(std::string_view text, const Secret& secret)
{
    std::string words{text};
    if (!secret.empty())
        for (auto at = words.find(secret.reveal()); at != std::string::npos;
             at = words.find(secret.reveal(), at + Secret::text().size()))
            words.replace(at, secret.reveal().size(), Secret::text());
    return first_line(printable(words));
}

}  // namespace keepwell
