#include "daemon/shape.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t longest = std::chrono::nanoseconds{366 * 24h}.count();  // longer is a slip of the unit

std::string in_words(std::int64_t value, Shape::Measure measure)
{
    switch (measure) {
        case Shape::Measure::nanoseconds: return Duration{std::chrono::nanoseconds{value}}.text();
        case Shape::Measure::bytes: return ByteSize{static_cast<std::uint64_t>(value)}.text();
        case Shape::Measure::plain: break;
    }
    return std::to_string(value);
}

}  // namespace

Bounds limits_of(const Bounds& bounds, Shape::Measure measure)
{
    if (measure == Shape::Measure::plain)
        return bounds;
    const auto most = measure == Shape::Measure::nanoseconds ? std::min(bounds.most, longest) : bounds.most;
    return {std::max<std::int64_t>(bounds.least, 0), most};
}

std::string limits_in_words(const Bounds& bounds, Shape::Measure measure)
{
    const auto limits = limits_of(bounds, measure);
    const bool open_below = limits.least <= std::numeric_limits<std::int32_t>::min();
    const auto huge = measure == Shape::Measure::plain ? std::numeric_limits<std::int32_t>::max()
                                                       : std::numeric_limits<std::int64_t>::max();
    const bool open_above = limits.most >= huge;
    if (open_below && open_above)
        return "";
    if (open_above)
        return " of at least " + in_words(limits.least, measure);
    if (open_below)
        return " of at most " + in_words(limits.most, measure);
    return fmt::format(" between {} and {}", in_words(limits.least, measure), in_words(limits.most, measure));
}

const Row* Shape::bare() const
{
    if (rows.empty() || probe)
        return nullptr;
    const auto& first = *rows.front().shape;
    const bool stands_alone = first.is_scalar() || (first.form == Form::list && first.element->is_scalar());
    return stands_alone ? &rows.front() : nullptr;
}

bool Shape::needs_keys() const
{
    return probe || std::ranges::any_of(rows, [](const Row& row) { return row.need == Need::required; });
}

bool Row::names_file() const
{
    static constexpr std::array<std::string_view, 3> as_in_libpq{"ssl_root_cert", "ssl_cert", "ssl_key"};
    return shape->form == Shape::Form::text && shape->type_name == "text" &&
           (name.ends_with("_file") || std::ranges::find(as_in_libpq, name) != as_in_libpq.end());
}

std::string number_text(double value) { return fmt::format("{}", value); }

std::string text_of_rows(std::span<const Row> rows, const void* object)
{
    std::string text;
    for (const auto& row : rows) {
        const auto value = row.text(object);
        if (value != row.default_text)
            text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", row.name, value);
    }
    return "{" + text + "}";
}

}  // namespace keepwell
