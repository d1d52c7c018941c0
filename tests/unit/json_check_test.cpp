#include "probes/json_check.hpp"
#include "tests/catch.hpp"

using namespace keepwell;

namespace {

constexpr const char* document =
    R"({"status": "ok", "count": 3, "ratio": 1.0, "big": 18446744073709551615, "up": true,
    "none": null, "parts": [{"name": "db"}, {"name": "cache"}], "a/b": 1, "m~n": 2, "": "empty", "text3": "3",
    "where": {"x": 1, "y": [1, 2]}})";

}  // namespace

TEST_CASE("json: a place of the document holds the expected value")
{
    const auto [pointer, equals] = GENERATE(table<std::string, std::string>({
        {"/status", "ok"},
        {"/status", "\"ok\""},
        {"/count", "3"},
        {"/count", "3.0"},
        {"/ratio", "1"},
        {"/big", "18446744073709551615"},
        {"/up", "true"},
        {"/none", "null"},
        {"/parts/1/name", "cache"},
        {"/a~1b", "1"},
        {"/m~0n", "2"},
        {"/", "empty"},
        {"/text3", "3"},
        {"/where", R"({"y": [1, 2], "x": 1})"},
        {"/parts/0", R"({"name":"db"})"},
    }));
    CAPTURE(pointer, equals);
    CHECK_FALSE(json_mismatch(document, {{pointer, equals}}));
}

TEST_CASE("json: what is different is said in words")
{
    const auto [pointer, equals, words] = GENERATE(table<std::string, std::string, std::string>({
        {"/status", "down", R"(/status is "ok", expected down)"},
        {"/count", "4", "/count is 3, expected 4"},
        {"/big", "18446744073709551614", "/big is 18446744073709551615"},
        {"/up", "1", "/up is true, expected 1"},
        {"/missing", "x", "nothing at /missing, expected x"},
        {"/parts/2/name", "x", "nothing at /parts/2/name"},
        {"/parts/-", "x", "nothing at"},
        {"/status/x", "x", "nothing at"},
        {"", "ok", "the body is {"},
    }));
    CAPTURE(pointer, equals);
    const auto mismatch = json_mismatch(document, {{pointer, equals}});
    REQUIRE(mismatch);
    CHECK(mismatch->find(words) == 0);
    CHECK(mismatch->size() < 260);
}

TEST_CASE("json: what is no JSON, or too deep, is a mismatch and nothing worse")
{
    const auto body =
        GENERATE(as<std::string>{}, "", "<html>", "{", "{} {}", "\xff", std::string(100'000, '['),
                 std::string(65, '[') + std::string(65, ']'), "{\"a\": 1e999999}");
    CAPTURE(body.substr(0, 20));
    CHECK(json_mismatch(body, {{"/status", "ok"}}));
}

TEST_CASE("json: all checks must pass, and the first that does not is told")
{
    CHECK_FALSE(json_mismatch(document, {{"/status", "ok"}, {"/count", "3"}}));
    CHECK(json_mismatch(document, {{"/status", "ok"}, {"/count", "4"}, {"/up", "false"}})
              ->starts_with("/count"));
}

TEST_CASE("json: a pointer is checked before it is used")
{
    CHECK_FALSE(pointer_fault(""));
    CHECK_FALSE(pointer_fault("/a/~0/~1b"));
    CHECK(pointer_fault("status"));
    CHECK(pointer_fault("/a~"));
    CHECK(pointer_fault("/a~2"));
}
