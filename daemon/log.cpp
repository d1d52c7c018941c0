#include "daemon/log.hpp"

#include "probes/utf8.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

namespace keepwell {

namespace {

constexpr std::size_t queue_lines = 1024;
LogFormat current_format = LogFormat::logfmt;
LogLevel least_level = LogLevel::info;
std::shared_ptr<spdlog::logger> logger;

std::string_view name(LogLevel level)
{
    constexpr std::array<std::string_view, 4> names{"debug", "info", "warn", "error"};
    return names[static_cast<std::size_t>(level)];
}

void append_escaped(std::string& line, std::string_view text)
{
    for (const char c : valid_utf8(text)) {
        if (c == '"' || c == '\\')
            (line += '\\') += c;
        else if (c == '\n')
            line += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            fmt::format_to(std::back_inserter(line), "\\u{:04x}", static_cast<unsigned char>(c));
        else
            line += c;
    }
}

bool needs_quotes(std::string_view value)
{
    return value.empty() || std::ranges::any_of(value, [](char c) {
               return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f;
           });
}

void append_quoted(std::string& line, std::string_view value)
{
    line += '"';
    append_escaped(line, value);
    line += '"';
}

std::string now_text()
{
    const auto now = std::chrono::system_clock::now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                       milliseconds);
}

}  // namespace

std::string format_line(LogFormat format, std::string_view time, LogLevel level, std::string_view message,
                        std::initializer_list<LogField> fields)
{
    std::string line;
    const auto append = [&](std::string_view key, std::string_view value) {
        if (format == LogFormat::json) {
            line += line.empty() ? '{' : ',';
            append_quoted(line, key);
            line += ':';
            append_quoted(line, value);
        } else {
            if (!line.empty())
                line += ' ';
            (line += key) += '=';
            if (needs_quotes(value))
                append_quoted(line, value);
            else
                line += value;
        }
    };
    append("time", time);
    append("level", name(level));
    append("msg", message);
    for (const auto& field : fields)
        append(field.key, field.value);
    if (format == LogFormat::json)
        line += '}';
    return line;
}

void start_log(LogLevel least, LogFormat format)
{
    current_format = format;
    least_level = least;
    if (!logger) {
        spdlog::init_thread_pool(queue_lines, 1);
        logger = spdlog::create_async_nb<spdlog::sinks::stderr_sink_st>("keepwell");
        logger->set_pattern("%v");
        logger->flush_on(spdlog::level::trace);
    }
}

void stop_log()
{
    logger.reset();
    spdlog::shutdown();
}

bool logs(LogLevel level) { return logger && level >= least_level; }

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields)
{
    if (logs(level))
        logger->log(spdlog::level::info, "{}",
                    format_line(current_format, now_text(), level, message, fields));
}

}  // namespace keepwell
