#include "tests/catch.hpp"

#include "daemon/action.hpp"
#include "daemon/timestamp.hpp"

using namespace keepwell;

namespace {

const ActionContext context{.project = "shop",
                            .service = "api",
                            .instance = "api-2",
                            .address = "10.0.0.7",
                            .probe = "http",
                            .cause = "dependency db restarted",
                            .reason = Reason::timeout,
                            .detail = "no answer",
                            .at = std::chrono::system_clock::time_point{1'700'000'000'123ms}};

}  // namespace

TEST_CASE("placeholders are filled in, each within its word")
{
    auto [word, filled] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"plain", "plain"},
        {"{service}", "api"},
        {"{project}-{service}_{instance}@{address}", "shop-api_api-2@10.0.0.7"},
        {"--why={cause}/{probe}/{reason}", "--why=dependency db restarted/http/timeout"},
        {"{{service}}", "{service}"},
        {"{{{service}}}", "{api}"},
        {"a } alone", "a } alone"},
        {"}}{{", "}{"},
    }));
    CAPTURE(word);
    CHECK(fill_in(word, context) == filled);
}

TEST_CASE("an unknown placeholder is a fault of the configuration, with the known ones beside it")
{
    auto word = GENERATE("{serivce}", "{}", "{", "{service", "x{ service }", "{\"json\": 1}");
    CAPTURE(word);
    const auto filled = fill_in(word, context);
    REQUIRE_FALSE(filled);
    CHECK_THAT(filled.error(), Catch::Matchers::ContainsSubstring("{service}, {instance}"));
    CHECK(CommandAction{.argv = {"true", word}}.faults().size() == 1);
}

TEST_CASE("the context is there as variables, too")
{
    const auto variables = variables_of(context);
    CHECK(variables.at("KEEPWELL_SERVICE") == "api");
    CHECK(variables.at("KEEPWELL_REASON") == "timeout");
    CHECK(variables.at("KEEPWELL_DETAIL") == "no answer");
    CHECK(variables.at("KEEPWELL_TIME") == "2023-11-14T22:13:20.123Z");
    CHECK(variables.contains("KEEPWELL_CONTAINER"));
    CHECK(variables.size() == 10);
}

TEST_CASE("times are written as RFC 3339 has them, before 1970 too")
{
    using std::chrono::system_clock;
    CHECK(rfc3339(system_clock::time_point{}) == "1970-01-01T00:00:00.000Z");
    CHECK(rfc3339(system_clock::time_point{-1ms}) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("command: what no single field can know is a fault")
{
    auto [action, words] = GENERATE(table<CommandAction, std::string>({
        {CommandAction{}, "program is missing"},
        {CommandAction{.argv = {"systemctl restart nginx"}}, "write a list"},
        {CommandAction{.argv = {"true"}, .environment = {{"", "x"}}}, "needs a name"},
        {CommandAction{.argv = {"true"}, .user = ":x"}, "is no user"},
    }));
    CAPTURE(words);
    REQUIRE(action.faults().size() == 1);
    CHECK_THAT(action.faults().front(), Catch::Matchers::ContainsSubstring(words));
    CHECK(CommandAction{.argv = {"systemctl", "restart", "{service}"}}.faults().empty());
}
