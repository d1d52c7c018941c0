#include "daemon/file_text.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace keepwell {

namespace {

constexpr std::size_t piece = 64 << 10;

std::string last_error() { return std::generic_category().message(errno); }

std::expected<std::string, std::string> read_all(int file, std::size_t most_bytes,
                                                 std::chrono::milliseconds patience)
{
    std::string text;
    for (ssize_t size = 1; size > 0 && text.size() <= most_bytes;) {
        pollfd ready{.fd = file, .events = POLLIN, .revents = 0};
        const int answer = ::poll(&ready, 1, static_cast<int>(patience.count()));
        if (answer == 0)
            return std::unexpected("it is a pipe to which nobody writes");
        if (answer < 0 && errno != EINTR)
            return std::unexpected(last_error());
        const auto before = text.size();
        text.resize(before + piece);
        size = ::read(file, text.data() + before, piece);
        text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        if (size < 0 && errno != EINTR && errno != EAGAIN)
            return std::unexpected(last_error());
        size = size < 0 ? 1 : size;
    }
    return text;
}

}  // namespace

std::expected<std::string, std::string> text_of_file(const std::string& path, std::size_t most_bytes,
                                                     std::chrono::milliseconds patience)
{
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return std::unexpected(last_error());
    auto text = read_all(file, most_bytes, patience);
    ::close(file);
    return text;
}

}  // namespace keepwell
