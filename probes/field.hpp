#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace keepwell {

enum class Need : std::uint8_t { required, optional };

// The smallest and largest value a number, a size (bytes) or a duration (nanoseconds) may have.
struct Bounds {
    std::int64_t least = std::numeric_limits<std::int64_t>::min();
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// One configuration key of a struct. The row is the one source for parsing, unknown-key errors, defaults,
// the JSON Schema and the reference page. A field of type Secret answers to NAME and to NAME_file.
template <class Struct, class Value>
struct Field {
    std::string_view name;
    Value Struct::* member;
    Need need;
    std::string_view help;
    Bounds bounds{};

    constexpr Field between(std::int64_t least, std::int64_t most) const
    {
        return {name, member, need, help, {least, most}};
    }
};

template <class Struct, class Value>
constexpr Field<Struct, Value> required(std::string_view name, Value Struct::* member, std::string_view help)
{
    return {name, member, Need::required, help};
}

template <class Struct, class Value>
constexpr Field<Struct, Value> optional(std::string_view name, Value Struct::* member, std::string_view help)
{
    return {name, member, Need::optional, help};
}

// What a field table may hold, besides bool, integers, std::string, std::vector<T>, std::optional<T>,
// std::map<std::string, std::string> and structs with fields() of their own:
//   - a text value: `static std::expected<T, std::string> T::parse(std::string_view)` (the error says what is
//     expected), `std::string T::text() const`, `static constexpr std::string_view T::type_name`;
//   - an enum E with `constexpr auto enum_names(E)` found by ADL: an array of Named<E>.
template <class E>
struct Named {
    E value;
    std::string_view name;
};

// The name of an enumerator, from its enum_names() table.
template <class E>
constexpr std::string_view name_of(E value)
{
    for (const auto& [candidate, name] : enum_names(E{}))
        if (candidate == value)
            return name;
    return "?";
}

}  // namespace keepwell
