#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// A length of time as people write it for Docker and Prometheus: `500ms`, `10s`, `1m30s`, `2h`, `7d`, `1w`;
// `0` needs no unit.
struct Duration {
    std::chrono::nanoseconds value{};

    constexpr Duration() = default;
    template <class Rep, class Period>
    constexpr Duration(
        std::chrono::duration<Rep, Period> length)  // NOLINT(google-explicit-constructor): a unit is a value
        : value{length}
    {
    }
    constexpr operator std::chrono::nanoseconds() const { return value; }

    static constexpr std::string_view type_name = "duration";
    static std::expected<Duration, std::string> parse(std::string_view text);
    std::string text() const;  // the shortest form that parses back to the same value
    auto operator<=>(const Duration&) const = default;
};

}  // namespace keepwell
