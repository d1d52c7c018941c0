#include "tests/catch.hpp"

#include "probes/address.hpp"
#include "probes/byte_size.hpp"
#include "probes/duration.hpp"

using namespace keepwell;
using namespace std::chrono_literals;

TEST_CASE("durations are read as people write them, and written back the same")
{
    auto [text, value, written] = GENERATE(table<std::string, std::chrono::nanoseconds, std::string>({
        {"0", 0s, "0s"},
        {"500ms", 500ms, "500ms"},
        {"1m30s", 90s, "1m30s"},
        {"36h", 36h, "36h"},
        {"1d", 24h, "1d"},
        {"1.5s", 1500ms, "1s500ms"},
        {"2w", 336h, "2w"},
    }));
    CAPTURE(text);
    const auto parsed = Duration::parse(text);
    REQUIRE(parsed);
    CHECK(parsed->value == value);
    CHECK(parsed->text() == written);
    CHECK(Duration::parse(written)->value == value);
}

TEST_CASE("what is no duration is refused in words")
{
    auto text = GENERATE("", "10", "s", "-5s", "10 s", "5parsecs", "1e9h", "999999999w", "nan", "infs");
    CAPTURE(text);
    CHECK_FALSE(Duration::parse(text));
}

TEST_CASE("addresses: names, IPv4 and IPv6")
{
    CHECK(Address::parse("redis:6379") == Address{.host = "redis", .port = 6379});
    CHECK(Address::parse("[::1]:80") == Address{.host = "::1", .port = 80});
    CHECK(Address::parse("[::1]:80")->text() == "[::1]:80");
    auto bad = GENERATE("", "redis", "redis:", "redis:0", "redis:65536", ":1", "::1:80", "[::1]", "[x]:1",
                        "a b:1", "a:1x");
    CAPTURE(bad);
    CHECK_FALSE(Address::parse(bad));
}

TEST_CASE("sizes: decimal and binary units")
{
    CHECK(ByteSize::parse("64KiB")->bytes == 65536);
    CHECK(ByteSize::parse("1MB")->bytes == 1'000'000);
    CHECK(ByteSize{.bytes = 1 << 20}.text() == "1MiB");
    CHECK_FALSE(ByteSize::parse("99999999999999999999"));
    CHECK_FALSE(ByteSize::parse("18446744073709551615KiB"));
    CHECK_FALSE(ByteSize::parse("-1"));
}

TEST_CASE("the shortest form of a century parses back to the nanosecond")
{
    for (const auto ns : {2'687'760'000'000'000'001, 3'155'760'000'123'456'789, 8'999'999'999'999'999'999}) {
        const Duration duration{std::chrono::nanoseconds{ns}};
        CAPTURE(duration.text());
        CHECK(Duration::parse(duration.text())->value.count() == ns);
    }
}
