#include "probes/pattern.hpp"

#include <re2/re2.h>

namespace keepwell {

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

}  // namespace keepwell
