#include "daemon/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace keepwell {

namespace {

constexpr std::size_t longest_word = 64;  // longer words are nobody's slip
constexpr std::size_t longest_shown = 60;
constexpr std::size_t most_listed = 16;
constexpr std::size_t most_compared =
    1000;  // with all of 100,000 services, each slip would take a tenth of a second

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : (c == '-' ? '_' : c); }

// Optimal string alignment (Damerau-Levenshtein without overlapping edits). Case and - versus _ cost nothing.
std::size_t distance(std::string_view from, std::string_view to)
{
    using Row = std::array<std::size_t, longest_word + 1>;
    Row before{}, above{}, row{};
    std::iota(above.begin(), above.end(), 0u);
    for (std::size_t i = 1; i <= from.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const auto a = lower(from[i - 1]);
            const auto b = lower(to[j - 1]);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a == b ? 0 : 1)});
            if (i > 1 && j > 1 && a == lower(to[j - 2]) && lower(from[i - 2]) == b)
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
    }
    return above[to.size()];
}

}  // namespace

std::string Path::text() const
{
    std::string text;
    for (const auto& step : steps_) {
        if (!step.key.data())
            text += fmt::format("[{}]", step.index);
        else
            text += text.empty() ? std::string{step.key} : fmt::format(".{}", step.key);
    }
    return text;
}

std::string to_string(const Problem& problem)
{
    std::string line = problem.file;
    if (problem.mark.line != 0)
        line += fmt::format(":{}:{}", problem.mark.line, problem.mark.column);
    if (!line.empty())
        line += ": ";
    if (problem.severity == Severity::warning)
        line += "warning: ";
    if (!problem.path.empty())
        line += problem.path + ": ";
    line += problem.text;
    if (!problem.suggestion.empty())
        line += "; " + problem.suggestion;
    return line;
}

std::string render(std::span<const Problem> problems)
{
    std::string text;
    for (const auto& problem : problems)
        text += to_string(problem) + '\n';
    return text;
}

bool has_errors(std::span<const Problem> problems)
{
    return std::ranges::any_of(problems, [](const auto& each) { return each.severity == Severity::error; });
}

void sort_by_place(std::vector<Problem>& problems)
{
    std::ranges::sort(problems, [](const Problem& a, const Problem& b) {
        return std::tie(a.mark, a.severity, a.path, a.text) < std::tie(b.mark, b.severity, b.path, b.text);
    });
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known)
{
    if (word.size() > longest_word)
        return {};
    std::string_view best;
    auto least = std::max<std::size_t>(1, word.size() / 3) + 1;  // a third of the letters may be wrong
    for (const auto candidate : known) {
        if (candidate.size() > longest_word)
            continue;
        const bool begins = word.size() > 2 && candidate.starts_with(word);
        const auto steps = begins ? 1 : distance(word, candidate);
        if (steps < least && steps < candidate.size()) {
            least = steps;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known)
{
    if (known.size() > most_compared)
        return {};
    if (const auto near = nearest(word, known); !near.empty())
        return fmt::format("did you mean \"{}\"?", near);
    if (known.empty() || known.size() > most_listed)
        return {};
    return fmt::format("known here: {}", fmt::join(known, ", "));
}

std::string without_credentials(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find_first_of(" \t\n"));
        const auto sign = word.rfind('@');
        const auto scheme = word.substr(0, sign).find("://");
        const auto begin = scheme == word.npos ? 0 : scheme + 3;
        if (sign != word.npos && word.substr(0, sign).contains(':'))
            out.append(word.substr(0, begin)).append("***").append(word.substr(sign));
        else
            out.append(word);
        text.remove_prefix(word.size());
        const auto blank = text.substr(0, text.find_first_not_of(" \t\n"));
        out.append(blank);
        text.remove_prefix(blank.size());
    }
    return out;
}

std::string shown(std::string_view text)
{
    const auto clean = without_credentials(text.substr(0, 1 << 16));
    std::string out = "\"";
    for (const char c : clean) {
        if (out.size() > longest_shown && (static_cast<unsigned char>(c) & 0xC0) != 0x80) {
            out += "...";
            break;
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "?";
        else
            out += c;
    }
    return out + '"';
}

}  // namespace keepwell
