#include "probes/status_ranges.hpp"
#include "tests/catch.hpp"

using keepwell::StatusRanges;

TEST_CASE("status ranges: what is accepted, and how it is written back")
{
    struct Row {
        const char *given, *text;
        int inside, outside;
    };
    const auto row = GENERATE(values<Row>({
        {"200", "200", 200, 201},
        {"200-299", "200-299", 299, 300},
        {"200-299,301", "200-299,301", 301, 302},
        {" 200 - 204 , 401 ", "200-204,401", 401, 205},
        {"2xx,404", "200-299,404", 204, 304},
        {"5XX", "500-599", 503, 499},
    }));
    CAPTURE(row.given);
    const auto ranges = StatusRanges::parse(row.given);
    REQUIRE(ranges.has_value());
    CHECK(ranges->text() == row.text);
    CHECK(ranges->contains(row.inside));
    CHECK_FALSE(ranges->contains(row.outside));
    CHECK(StatusRanges::parse(ranges->text()) == *ranges);
}

TEST_CASE("status ranges: what is refused")
{
    const auto given = GENERATE("", ",", "200,", "99", "600", "299-200", "2xx-3xx", "200-", "-200", "ok",
                                "20x", "2x", "200 201", "+200");
    CAPTURE(given);
    CHECK_FALSE(StatusRanges::parse(given).has_value());
}
