#include "deploy/app/log.hpp"

#include <fmt/format.h>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>

namespace keepwell::app {
namespace {

struct Log {
    Level least = Level::info;
    std::string role{};
    std::mutex writing{};
};

Log& the_log()
{
    static Log log;
    return log;
}

std::string_view name(Level level)
{
    static constexpr std::array<std::string_view, 4> names{"debug", "info", "warning", "error"};
    return names.at(static_cast<std::size_t>(level));
}

std::string timestamp()
{
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    return fmt::format("{}.{:03}Z", text.data(), milliseconds);
}

bool needs_quotes(std::string_view value)
{
    return value.empty() || value.find_first_of(" =\"\\") != value.npos ||
           value.find_first_of(std::string_view{"\0\t\n\r\x1b\x7f", 6}) != value.npos;
}

void append(std::string& line, std::string_view key, std::string_view value)
{
    if (!line.empty())
        line += ' ';
    line.append(key).push_back('=');
    if (!needs_quotes(value)) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value)
        if (c == '"' || c == '\\')
            line.append(1, '\\').push_back(c);
        else if (c == '\n')
            line += "\\n";
        else
            line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    line += '"';
}

}  // namespace

void set_log(Level least, std::string_view role)
{
    the_log().least = least;
    the_log().role = role;
}

void log(Level level, std::string_view message, std::initializer_list<LogField> fields)
{
    Log& log = the_log();
    if (level < log.least)
        return;
    std::string line;
    append(line, "ts", timestamp());
    append(line, "level", name(level));
    append(line, "msg", message);
    append(line, "role", log.role);
    for (const auto& [key, value] : fields)
        append(line, key, value);
    line += '\n';
    const std::lock_guard lock{log.writing};
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
}

}  // namespace keepwell::app
