#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace keepwell {

// A regular expression of the user's, compiled once: RE2 syntax, so matching takes linear time whatever it
// says.
class Pattern {
public:
    Pattern() = default;

    static constexpr std::string_view type_name = "regex";
    static std::expected<Pattern, std::string> parse(std::string_view text);
    const std::string& text() const { return text_; }

    bool empty() const { return !compiled_; }
    bool found_in(std::string_view subject) const;  // anywhere; an empty pattern is found everywhere
    // `form` with what the groups of the first match hold for `$1`, `${1}` and `${name}` in it, and a dollar
    // sign for `$$`; nothing when there is no match. A group that is not there is empty.
    std::optional<std::string> expanded(std::string_view subject, std::string_view form) const;
    bool operator==(const Pattern& other) const { return text_ == other.text_; }

private:
    std::string text_{};
    std::shared_ptr<const re2::RE2> compiled_{};
};

}  // namespace keepwell
