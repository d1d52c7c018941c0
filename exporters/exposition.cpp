#include "exporters/exposition.hpp"

#include "probes/utf8.hpp"

namespace keepwell {

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
