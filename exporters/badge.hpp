#pragma once

#include <string>
#include <string_view>

namespace keepwell {

// A badge for documents and other pages: the name on the left, the state in its colour on the right, as SVG
// that stands alone.
std::string badge_svg(std::string_view name, std::string_view state);

}  // namespace keepwell
