#include "probes/status_ranges.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace keepwell {

namespace {

constexpr const char* expected_form =
    "expected HTTP statuses between 100 and 599, such as \"200-299,301\" or \"2xx\"";

std::string_view trimmed(std::string_view text)
{
    const auto first = text.find_first_not_of(' ');
    if (first == text.npos)
        return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::optional<int> status_in(std::string_view text)
{
    int status = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (error != std::errc{} || end != text.data() + text.size() || status < 100 || status > 599)
        return std::nullopt;
    return status;
}

}  // namespace

std::expected<StatusRanges::Range, std::string> StatusRanges::parse_range(std::string_view text)
{
    if (text.size() == 3 && text[0] >= '1' && text[0] <= '5' &&
        (text.substr(1) == "xx" || text.substr(1) == "XX"))
        return Range{(text[0] - '0') * 100, (text[0] - '0') * 100 + 99};
    const auto dash = text.find('-');
    const auto first = status_in(trimmed(text.substr(0, dash)));
    const auto last = dash == text.npos ? first : status_in(trimmed(text.substr(dash + 1)));
    if (!first || !last || *first > *last)
        return std::unexpected(expected_form);
    return Range{*first, *last};
}

std::expected<StatusRanges, std::string> StatusRanges::parse(std::string_view text)
{
    StatusRanges result;
    for (;;) {
        const auto comma = text.find(',');
        const auto range = parse_range(trimmed(text.substr(0, comma)));
        if (!range)
            return std::unexpected(range.error());
        result.ranges_.push_back(*range);
        if (comma == text.npos)
            return result;
        text.remove_prefix(comma + 1);
    }
}

std::string StatusRanges::text() const
{
    std::string result;
    for (const auto& [first, last] : ranges_) {
        result += (result.empty() ? "" : ",") + std::to_string(first);
        if (last != first)
            result += "-" + std::to_string(last);
    }
    return result;
}

bool StatusRanges::contains(int status) const
{
    return std::ranges::any_of(
        ranges_, [&](const Range& range) { return range.first <= status && status <= range.last; });
}

}  // namespace keepwell
