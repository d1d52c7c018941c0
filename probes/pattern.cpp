#include "probes/pattern.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace keepwell {

namespace {

bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }

// Takes the name of a group from the beginning of what follows a dollar sign; empty when there is none.
std::string_view take_group(std::string_view& rest)
{
    const bool braced = rest.starts_with('{');
    const auto begin = rest.substr(braced ? 1 : 0);
    const auto size = static_cast<std::size_t>(std::ranges::find_if_not(begin, is_word) - begin.begin());
    if (size == 0 || (braced && !begin.substr(size).starts_with('}')))
        return {};
    rest.remove_prefix(size + (braced ? 2 : 0));
    return begin.substr(0, size);
}

int index_of(const re2::RE2& compiled, std::string_view group)
{
    int index = -1;
    const auto* last = group.data() + group.size();
    const auto [end, error] = std::from_chars(group.data(), last, index);
    if (error == std::errc{} && end == last)
        return index;
    const auto& named = compiled.NamedCapturingGroups();
    const auto found = named.find(std::string{group});
    return found == named.end() ? -1 : found->second;
}

}  // namespace

std::expected<Pattern, std::string> Pattern::parse(std::string_view text)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    auto compiled = std::make_shared<const re2::RE2>(re2::StringPiece{text.data(), text.size()}, options);
    if (!compiled->ok())
        return std::unexpected("bad regular expression (RE2): " + compiled->error());
    Pattern pattern;
    pattern.text_ = text;
    pattern.compiled_ = std::move(compiled);
    return pattern;
}

bool Pattern::found_in(std::string_view subject) const
{
    return !compiled_ || RE2::PartialMatch(re2::StringPiece{subject.data(), subject.size()}, *compiled_);
}

std::optional<std::string> Pattern::expanded(std::string_view subject, std::string_view form) const
{
    if (!compiled_)
        return {};
    std::vector<re2::StringPiece> groups(static_cast<std::size_t>(compiled_->NumberOfCapturingGroups()) + 1);
    if (!compiled_->Match(re2::StringPiece{subject.data(), subject.size()}, 0, subject.size(),
                          re2::RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size())))
        return {};
    std::string text;
    while (!form.empty()) {
        const auto plain = form.substr(0, form.find('$'));
        text += plain;
        form.remove_prefix(std::min(form.size(), plain.size() + 1));
        if (plain.data() + plain.size() == form.data())
            break;  // no dollar sign
        if (form.starts_with('$')) {
            form.remove_prefix(1);
            text += '$';
        } else if (const auto group = take_group(form); group.empty()) {
            text += '$';
        } else if (const auto index = index_of(*compiled_, group);
                   index >= 0 && index < static_cast<int>(groups.size())) {
            const auto& piece = groups[static_cast<std::size_t>(index)];
            text.append(piece.data(), piece.size());
        }
    }
    return text;
}

}  // namespace keepwell
