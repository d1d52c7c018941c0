#include "daemon/shape.hpp"

#include <fmt/format.h>

namespace keepwell {

const Row* Shape::bare() const
{
    if (rows.empty() || probe)
        return nullptr;
    const auto& first = *rows.front().shape;
    const bool stands_alone = first.is_scalar() || (first.form == Form::list && first.element->is_scalar());
    return stands_alone ? &rows.front() : nullptr;
}

bool Row::names_file() const
{
    return shape->form == Shape::Form::text && shape->type_name == "text" && name.ends_with("_file");
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
