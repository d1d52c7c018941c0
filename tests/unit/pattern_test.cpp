#include "tests/catch.hpp"

#include "probes/pattern.hpp"

#include <optional>
#include <tuple>

using namespace keepwell;

TEST_CASE("what a match has found is put into a text")
{
    using Row = std::tuple<std::string, std::string, std::string, std::optional<std::string>>;
    const auto [pattern, subject, form, expanded] = GENERATE(values<Row>({
        {"PING :([^ ]+)", "PING :irc.example", "PONG ${1}", "PONG irc.example"},
        {"PING :([^ ]+)", ":server NOTICE", "PONG ${1}", std::nullopt},
        {"(?P<major>[0-9]+)\\.([0-9]+)", "version 7.12", "$major/$2/$0", "7/12/7.12"},
        {"(a)|(b)", "b", "<$1><$2>", "<><b>"},
        {"a", "a", "costs $$1, ${2} $3 $x", "costs $1,   "},
        {"a", "a", "$ ${ ${} $-", "$ ${ ${} $-"},
        {"a", "a", "", ""},
        {"([a-z]+)", "abc", "$1x ${1}x", " abcx"},
    }));
    CAPTURE(pattern, subject, form);
    CHECK(Pattern::parse(pattern)->expanded(subject, form) == expanded);
}

TEST_CASE("no pattern expands to nothing") { CHECK_FALSE(Pattern{}.expanded("a", "b")); }
