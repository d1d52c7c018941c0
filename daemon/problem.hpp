#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// Where something stands in a text: line and column (in bytes) counted from 1; 0 when there is no such place.
struct Mark {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    auto operator<=>(const Mark&) const = default;
};

enum class Severity : std::uint8_t { error, warning };

// What is wrong with a configuration, where, and what to do about it. A warning keeps nothing from starting.
// No member ever holds the value of a secret.
struct Problem {
    Severity severity = Severity::error;
    std::string file{};
    Mark mark{};
    std::string
        path{};  // the keys that lead there: `services.redis.probes[0].timeout`; empty for the whole file
    std::string text{};        // what is wrong
    std::string suggestion{};  // what to do; may be empty
    bool operator==(const Problem&) const = default;
};

// Who reads a file gives up after so many problems: nobody reads more, and a hostile file has millions.
inline constexpr std::size_t most_problems = 1000;

// The keys and indices that lead to where a reader is; costs nothing until somebody asks for the text.
class Path {
public:
    void enter(std::string_view key) { steps_.push_back({key, 0}); }  // the key must outlive the step
    void enter(std::size_t index) { steps_.push_back({{}, index}); }
    void leave() { steps_.pop_back(); }
    std::string text() const;  // `services.redis.probes[0].timeout`

private:
    struct Step {
        std::string_view key{};
        std::size_t index = 0;
    };
    std::vector<Step> steps_{};
};

// The line for people: `keepwell.yaml:12:7: services.api.probes[0].timout: unknown key "timout"; did you mean
// "timeout"?`
std::string to_string(const Problem& problem);

// One line each, in the order of the file.
std::string render(std::span<const Problem> problems);

bool has_errors(std::span<const Problem> problems);

// Sorts by place; errors before warnings of the same place, then by path and text.
void sort_by_place(std::vector<Problem>& problems);

// The known word that `word` is most likely a slip of (swapped, missing, added or wrong letters); empty when
// none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// `did you mean "timeout"?`, or the known words when none is near and they are few; empty otherwise.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// The text with *** instead of what looks like a user name and a password: `http://me:secret@host/`,
// `me:secret@host`.
std::string without_credentials(std::string_view text);

// A text as it may be shown in a message: in double quotes, on one line, shortened, without control
// characters and without credentials.
std::string shown(std::string_view text);

}  // namespace keepwell
