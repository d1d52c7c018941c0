#pragma once

#include "probes/field.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace keepwell {

// What one place of a JSON document must hold.
struct JsonCheck {
    std::string pointer{};  // RFC 6901; empty: the whole document
    std::string equals{};

    static constexpr auto fields()
    {
        return std::tuple{
            required("pointer", &JsonCheck::pointer,
                     "where in the document, such as \"/checks/0/status\" (RFC 6901)"),
            required("equals", &JsonCheck::equals, "the value there: text, or JSON (true, 3, {\"a\": 1})"),
        };
    }
    bool operator==(const JsonCheck&) const = default;
};

// What is wrong with the pointer itself; nothing when it is well formed.
std::optional<std::string> pointer_fault(std::string_view pointer);

// The first check that the document fails, in words; nothing when it passes all. Never throws: a document
// that is not JSON, or is nested deeper than 64 levels, is such a failure.
std::optional<std::string> json_mismatch(std::string_view document, const std::vector<JsonCheck>& checks);

}  // namespace keepwell
