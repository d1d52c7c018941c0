#include "tests/catch.hpp"

#include "daemon/variables.hpp"

#include <map>

using namespace keepwell;

namespace {

std::optional<std::string> lookup(std::string_view name)
{
    static const std::map<std::string, std::string, std::less<>> known{
        {"HOST", "redis"}, {"EMPTY", ""}, {"TRICKY", "${HOST} $$"}};
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional{found->second};
}

}  // namespace

TEST_CASE("variables are replaced as Compose does")
{
    auto [text, expanded] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"plain", "plain"},
        {"${HOST}:6379", "redis:6379"},
        {"${NONE:-db}", "db"},
        {"${EMPTY:-db}", "db"},
        {"${EMPTY-db}", ""},
        {"${NONE-db}", "db"},
        {"${NONE:-}", ""},
        {"${HOST:-db}", "redis"},
        {"${HOST:+set}${NONE:+set}", "set"},
        {"${HOST:?must be set}", "redis"},
        {"${NONE:-${HOST}:1}", "redis:1"},
        {"${NONE:-a{b}c}", "a{bc}"},
        {"$$", "$"},
        {"$${HOST}", "${HOST}"},
        {"^ok$", "^ok$"},
        {"$HOST $1 $", "$HOST $1 $"},
        {"$2y$10$abc", "$2y$10$abc"},
        {"${TRICKY}", "${HOST} $$"},  // what comes out is not looked at again
    }));
    CAPTURE(text);
    CHECK(expand(text, lookup) == expanded);
}

TEST_CASE("a variable that cannot be replaced is an error in words")
{
    auto [text, words] = GENERATE(table<std::string, std::string>({
        {"${NONE}", "the variable NONE is not set; set it, or give a default: ${NONE:-default}"},
        {"${NONE:?where is the server}", "the variable NONE is not set: where is the server"},
        {"${EMPTY:?}", "the variable EMPTY is not set"},
        {"${HOST", "\"${\" without its \"}\"; write \"$${\" for the two characters"},
        {"${}", "\"${\" must be followed by the name of a variable; write \"$${\" for the two characters"},
        {"${1}", "\"${\" must be followed by the name of a variable; write \"$${\" for the two characters"},
        {"${HOST!x}", "after ${HOST only \"}\", \":-default}\", \":?message}\" or \":+other}\" may follow"},
        {"${NONE:-${NONE2}}", "the variable NONE2 is not set; set it, or give a default: ${NONE2:-default}"},
    }));
    CAPTURE(text);
    const auto expanded = expand(text, lookup);
    REQUIRE_FALSE(expanded);
    CHECK(expanded.error() == words);
}

TEST_CASE("nesting has an end")
{
    std::string text;
    for (int i = 0; i < 100'000; ++i)
        text += "${A:-";
    CHECK_FALSE(expand(text, lookup));
    CHECK_FALSE(expand(text + std::string(100'000, '}'), lookup));
}
