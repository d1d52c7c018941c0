#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace keepwell {

// Is this still the file that was read? Two equal stamps: same inode, size and time of change; a missing file
// has the empty stamp. One stat(2), follows links.
struct FileStamp {
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t changed_ns = 0;

    static FileStamp of(const std::string& path)
    {
        struct stat info{};
        if (path.empty() || ::stat(path.c_str(), &info) != 0)
            return {};
        return {info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
    }
    bool operator==(const FileStamp&) const = default;
};

}  // namespace keepwell
