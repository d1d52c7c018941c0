#pragma once

#include <compare>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// HTTP statuses: `200`, `200-299`, `2xx`, or several of these with commas between them.
class StatusRanges {
public:
    StatusRanges() = default;
    StatusRanges(int first, int last) : ranges_{{first, last}} {}

    static constexpr std::string_view type_name = "statuses";
    static constexpr bool comma_list = true;  // may also be given as a list
    static std::expected<StatusRanges, std::string> parse(std::string_view text);
    std::string text() const;

    bool contains(int status) const;
    bool operator==(const StatusRanges&) const = default;

private:
    struct Range {
        int first = 0;
        int last = 0;
        bool operator==(const Range&) const = default;
    };
    static std::expected<Range, std::string> parse_range(std::string_view text);

    std::vector<Range> ranges_{};
};

}  // namespace keepwell
