#pragma once

#include <span>
#include <string>
#include <string_view>

namespace keepwell {

// A file of exporters/page/, built into the program.
struct Asset {
    std::string_view name{};
    std::string_view content{};
    std::string_view tag{};  // changes with the content

    std::string_view type() const;
    std::string url() const;  // which changes with the content, so that it may be kept for ever
};

std::span<const Asset> assets();
const Asset* find_asset(std::string_view name);

}  // namespace keepwell
