#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// A number of bytes: `65536`, `64KiB`, `1MiB`, `10MB`.
struct ByteSize {
    std::uint64_t bytes = 0;

    static constexpr std::string_view type_name = "size";
    static std::expected<ByteSize, std::string> parse(std::string_view text);
    std::string text() const;
    auto operator<=>(const ByteSize&) const = default;
};

}  // namespace keepwell
