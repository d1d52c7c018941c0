#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// Any bytes, written as pairs of hexadecimal digits: `0d0a`, `01 02 ff`.
struct HexBytes {
    std::string bytes{};

    static constexpr std::string_view type_name = "hex";
    static std::expected<HexBytes, std::string> parse(std::string_view text);
    std::string text() const;
    bool operator==(const HexBytes&) const = default;
};

}  // namespace keepwell
