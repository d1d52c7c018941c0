#include "probes/byte_size.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace keepwell {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array units{Unit{"GiB", 1ull << 30},
                           Unit{"MiB", 1ull << 20},
                           Unit{"KiB", 1ull << 10},
                           Unit{"GB", 1'000'000'000},
                           Unit{"MB", 1'000'000},
                           Unit{"KB", 1000},
                           Unit{"kB", 1000},
                           Unit{"B", 1},
                           Unit{"", 1}};

}  // namespace

std::expected<ByteSize, std::string> ByteSize::parse(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto word = text.substr(static_cast<std::size_t>(end - text.data()));
    if (error == std::errc{})
        for (const auto& unit : units)
            if (unit.name == word && number <= std::numeric_limits<std::uint64_t>::max() / unit.bytes)
                return ByteSize{number * unit.bytes};
    return std::unexpected("expected a size in bytes such as 65536, \"64KiB\" or \"1MB\"");
}

std::string ByteSize::text() const
{
    for (const auto& unit : units)
        if (unit.bytes > 1 && unit.name.contains('i') && bytes != 0 && bytes % unit.bytes == 0)
            return std::to_string(bytes / unit.bytes) + std::string{unit.name};
    return std::to_string(bytes);
}

}  // namespace keepwell
