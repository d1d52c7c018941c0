#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <string>

namespace keepwell {

// The text of a file that people configure us by, or why it cannot be read. A pipe (`<(decrypt file)`,
// /dev/stdin) is read until its writers have closed it; once they are silent for longer than `patience`, or
// nobody writes at all, that is an error. Of more than `most_bytes` a part is given that is longer than that.
std::expected<std::string, std::string> text_of_file(const std::string& path, std::size_t most_bytes,
                                                     std::chrono::milliseconds patience = {});

}  // namespace keepwell
