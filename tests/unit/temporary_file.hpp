#pragma once

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace keepwell::test {

// A file that is gone when the test is over.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& content = {})
    {
        const int fd = ::mkstemp(path_.data());
        if (fd < 0)
            throw std::runtime_error{"mkstemp"};
        ::close(fd);
        write(content);
    }
    ~TemporaryFile() { ::unlink(path_.c_str()); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    void write(const std::string& content)
    {
        std::ofstream{path_, std::ios::binary | std::ios::trunc} << content;
    }
    const std::string& path() const { return path_; }

private:
    std::string path_ = "/tmp/keepwell-test-XXXXXX";
};

}  // namespace keepwell::test
