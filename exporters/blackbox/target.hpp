#pragma once

#include <string>
#include <string_view>

namespace keepwell::blackbox {

// A target as it may be shown: on one line, with *** in place of user name, password, the values of a query
// and a fragment. Where something is hidden a tag follows, such as `[5f2a91]`: the same for the same target,
// as long as keepwell runs, so that targets that look alike are told apart.
std::string shown_target(std::string_view target);

// A URL with its path and query percent-encoded where whoever wrote it did not: spaces and what is not ASCII,
// and in the path what no URL may hold. Go's HTTP client does the same.
std::string encoded(std::string_view url);

}  // namespace keepwell::blackbox
