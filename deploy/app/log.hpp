#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

// What happened, for people and for machines? One logfmt line per event on standard output:
//   ts=2026-01-31T12:00:00.123Z level=info msg="redis is back" role=api
namespace keepwell::app {

enum class Level { debug, info, warning, error };

struct LogField {
    std::string_view key;
    std::string value{};
};

// Set once, before the first thread is started. Lines below the level are dropped.
void set_log(Level least, std::string_view role);

// Safe from every thread; a line is written whole.
void log(Level level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace keepwell::app
