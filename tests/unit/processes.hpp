#pragma once

#include "tests/unit/scripted_server.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace keepwell::test {

// How many descriptors this process holds.
inline std::size_t open_descriptors()
{
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

// What `act` gives while this process can open nothing more.
inline auto without_descriptors(const auto& act)
{
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    auto result = act();
    ::setrlimit(RLIMIT_NOFILE, &before);
    return result;
}

// Is there a child of ours, running or not yet reaped?
inline bool has_children()
{
    siginfo_t ended{};
    return ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// Runs (or has run) as anything but a zombie.
inline bool is_alive(pid_t pid)
{
    std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text;
    std::getline(stat, text, '\0');  // all of it, or nothing when it ends right now
    const auto after_name = text.rfind(')');
    return after_name != text.npos && text.substr(after_name + 2, 1) != "Z";
}

// Lets the loop run until `done`; false when that takes longer than the limit.
inline bool run_until(asio::io_context& loop, const std::function<bool()>& done,
                      Clock::duration limit = std::chrono::seconds(10))
{
    const auto deadline = Clock::now() + limit;
    while (!done()) {
        if (Clock::now() > deadline)
            return false;
        loop.restart();
        loop.run_for(std::chrono::milliseconds(5));
        loop.restart();
    }
    return true;
}

// A folder of its own that goes with the test.
class Folder {
public:
    Folder()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "keepwell-test-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text, unsigned mode = 0644) const
    {
        const auto path = *this / name;
        std::ofstream{path} << text;
        std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
        return path;
    }

private:
    std::string path_;
};

}  // namespace keepwell::test
