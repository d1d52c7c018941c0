#include "exporters/exposition.hpp"

#include "probes/utf8.hpp"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::string_view openmetrics_type = "application/openmetrics-text";

// What a media range of an Accept header is worth to its sender, 0 to 1; its q is 1 where it says none.
double weight_of(std::string_view range)
{
    const auto found = range.find("q=");
    double weight = 1;
    if (found != range.npos)
        std::from_chars(range.data() + found + 2, range.data() + range.size(), weight);
    return weight;
}

}  // namespace

Format format_for(std::string_view accept)
{
    double openmetrics = 0;
    double text = 0;
    while (!accept.empty()) {
        const auto range = accept.substr(0, accept.find(','));
        accept.remove_prefix(std::min(accept.size(), range.size() + 1));
        auto& weight = range.contains(openmetrics_type) ? openmetrics : text;
        weight = std::max(weight, weight_of(range));
    }
    return openmetrics > 0 && openmetrics >= text ? Format::openmetrics : Format::text;
}

std::string_view content_type(Format format)
{
    return format == Format::text ? "text/plain; version=0.0.4; charset=utf-8"
                                  : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

std::string label(std::string_view name, std::string_view value)
{
    std::string text{name};
    text += "=\"";
    for (const char c : valid_utf8(value)) {
        if (c == '\\' || c == '"')
            (text += '\\') += c;
        else if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text += '"';
}

}  // namespace keepwell
