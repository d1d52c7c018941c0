#include "tests/catch.hpp"

#include "daemon/problem.hpp"

#include <array>

using namespace keepwell;

TEST_CASE("a problem is one line: where, what, and what to do")
{
    const Problem problem{.file = "keepwell.yaml",
                          .mark = {12, 7},
                          .path = "services.api.probes[0].timout",
                          .text = "unknown key \"timout\"",
                          .suggestion = "did you mean \"timeout\"?"};
    CHECK(to_string(problem) ==
          "keepwell.yaml:12:7: services.api.probes[0].timout: unknown key \"timout\"; "
          "did you mean \"timeout\"?");
    CHECK(to_string(Problem{.severity = Severity::warning, .file = "a", .text = "no probes"}) ==
          "a: warning: no probes");
}

TEST_CASE("problems are sorted by place, errors first")
{
    std::vector<Problem> problems{{.severity = Severity::warning, .mark = {2, 1}, .text = "w"},
                                  {.mark = {2, 1}, .text = "e"},
                                  {.mark = {1, 9}, .text = "first"}};
    CHECK(has_errors(problems));
    sort_by_place(problems);
    CHECK(problems[0].text == "first");
    CHECK(problems[1].text == "e");
    problems.erase(problems.begin(), problems.begin() + 2);
    CHECK_FALSE(has_errors(problems));
}

TEST_CASE("a slip finds the word that was meant")
{
    static constexpr std::array<std::string_view, 6> known{"interval", "timeout",      "retries",
                                                           "redis",    "start_period", "url"};
    auto [slip, meant] = GENERATE(table<std::string, std::string>({
        {"timout", "timeout"},    // missing
        {"tiemout", "timeout"},   // swapped
        {"timeoutt", "timeout"},  // added
        {"Timeout", "timeout"},   // case
        {"start-period", "start_period"},
        {"intervall", "interval"},
        {"rediss", "redis"},
        {"uri", "url"},
        {"start", "start_period"},  // cut short
        {"banana", ""},
        {"x", ""},
        {"", ""},
    }));
    CAPTURE(slip);
    CHECK(nearest(slip, known) == meant);
    CHECK(nearest(std::string(1'000'000, 'a'), known).empty());
    CHECK(did_you_mean("banana", known).starts_with("known here: interval, "));
}

TEST_CASE("what is shown is one short line without control characters and passwords")
{
    CHECK(shown("5parsecs") == "\"5parsecs\"");
    CHECK(shown("a\nb\tc\x01") == "\"a\\nb\\tc?\"");
    CHECK(shown(std::string(100, 'x')) == "\"" + std::string(60, 'x') + "...\"");
    CHECK(shown("http://user:hunter2@host/") == "\"http://***@host/\"");
    CHECK(shown("http://user:hunt@er2@host/a@b") == "\"http://***@b\"");
    CHECK(shown("postgres://a:b/c@h and me:hunter2@h, me@h") == "\"postgres://***@h and ***@h, me@h\"");
    CHECK(shown(std::string(59, 'x') + "ä" + "yy") == "\"" + std::string(59, 'x') + "ä...\"");
}
