#pragma once

#include <span>
#include <string_view>

namespace keepwell::app {

struct PageFile {
    std::string_view path{};  // "/", "/app.js"
    std::string_view type{};
    std::string_view content{};
};

// The files of the page, part of the program (from page/, by CMake).
std::span<const PageFile> page_files();

}  // namespace keepwell::app
