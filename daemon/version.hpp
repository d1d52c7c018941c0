#pragma once

#include <string_view>

namespace keepwell {

inline constexpr std::string_view version = KEEPWELL_VERSION;
#ifdef __clang__
inline constexpr std::string_view compiler = "clang " __clang_version__;
#else
inline constexpr std::string_view compiler = "gcc " __VERSION__;
#endif

}  // namespace keepwell
