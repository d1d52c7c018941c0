#include "tests/catch.hpp"

#include "daemon/log.hpp"

using namespace keepwell;

TEST_CASE("a log line is one line, whatever its values hold")
{
    CHECK(format_line(LogFormat::logfmt, "T", LogLevel::info, "state changed",
                      {{"service", "redis"}, {"why", ""}}) ==
          R"(time=T level=info msg="state changed" service=redis why="")");
    CHECK(format_line(LogFormat::logfmt, "T", LogLevel::warn, "x", {{"detail", "a=\"b\"\nc\x1b[31m"}}) ==
          R"(time=T level=warn msg=x detail="a=\"b\"\nc\u001b[31m")");
    CHECK(format_line(LogFormat::json, "T", LogLevel::error, "x", {{"k", "a\\\"b\n\xff"}}) ==
          "{\"time\":\"T\",\"level\":\"error\",\"msg\":\"x\",\"k\":\"a\\\\\\\"b\\n\xef\xbf\xbd\"}");
}
