#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace keepwell {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { logfmt, json };

// A key and its value; values are quoted and escaped as the format needs.
struct LogField {
    std::string_view key;
    std::string value;
};

// Where log lines go: standard error, one line per event, written by a thread of its own behind a bounded
// queue, so that a blocked terminal or a full disk never holds up the loop (the oldest lines are dropped
// then).
void start_log(LogLevel least, LogFormat format);
void stop_log();            // writes what is queued
bool logs(LogLevel level);  // is a line of this level written at all?

// One event: `time`, `level`, `msg`, then the fields in order. Nothing secret may be passed in.
void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

// The line without a logger around it, for tests and for those who write it elsewhere. No newline at the end.
std::string format_line(LogFormat format, std::string_view time, LogLevel level, std::string_view message,
                        std::initializer_list<LogField> fields);

}  // namespace keepwell
