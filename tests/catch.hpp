#pragma once
// Catch2 2 (Debian 12) and 3 (Debian 13) differ in where the header lives, and in what says that a text
// contains another: 3 means members of a range by Contains.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>

#include <string>

namespace Catch::Matchers {

inline auto ContainsSubstring(const std::string& text) { return Contains(text); }

}  // namespace Catch::Matchers
#endif
