#include "tests/catch.hpp"

#include "daemon/message_template.hpp"

#include <boost/json.hpp>

using namespace keepwell;

namespace {

const Message message{{"service", "redis"},
                      {"text", "a \"b\"\n<@all> & ünï \xff {{ token }}"},
                      {"token", "hunter2"},
                      {"priority", "5"}};

std::string rendered(std::string_view text, Escape by_default = Escape::none)
{
    const auto made = MessageTemplate::parse(text);
    return made ? made->render(message, by_default) : "refused: " + made.error();
}

}  // namespace

TEST_CASE("template: holes are filled, and nothing else is special")
{
    auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"plain } }} { text", "plain } }} { text"},
        {"{{service}}", "redis"},
        {"<{{ service }}/{{\n priority\t}}>", "<redis/5>"},
        {"{\"a\":{\"b\":{{ priority }}}}", "{\"a\":{\"b\":5}}"},
        {"{{ probe }}|{{ times }}", "|0"},
        {"{{ service | limit 3 }}", "red…"},
        {"{{ service | limit 5 }}{{ service|limit 4|limit 2 }}", "redisre…"},
        {"{{ text | html | limit 30 | raw }}", "a \"b\"\n&lt;@all&gt; &amp; ünï \xef\xbf\xbd…"},
        {"{{ token | url }}", "hunter2"},
    }));
    CAPTURE(text);
    CHECK(rendered(text) == expected);
}

TEST_CASE("template: a value is escaped for where it stands, and is never a template itself")
{
    CHECK(rendered("{{ text }}") == "a \"b\"\n<@all> & ünï \xef\xbf\xbd {{ token }}");
    CHECK(rendered("{{ text }}", Escape::header) == "a \"b\" <@all> & ünï \xef\xbf\xbd {{ token }}");
    CHECK(rendered("{{ text | limit 7 }}", Escape::url) == "a%20%22b%22%0A%3C%E2%80%A6");
    CHECK(rendered("{{ service | json }} {{ service | raw }}", Escape::url) == "redis redis");
    const auto json = boost::json::parse(rendered(R"({"text": "{{ text }}"})", Escape::json));
    CHECK(json.at("text").as_string() == "a \"b\"\n<@all> & ünï \xef\xbf\xbd {{ token }}");
}

TEST_CASE("template: whatever the bytes, what is escaped cannot break out")
{
    for (int c = 0; c < 256; ++c) {
        const Message hostile{{"text", std::string(3, static_cast<char>(c))}};
        CAPTURE(c);
        const auto made = MessageTemplate::parse("{{ text }}");
        CHECK_NOTHROW(boost::json::parse("\"" + made->render(hostile, Escape::json) + "\""));
        CHECK(made->render(hostile, Escape::header).find_first_of(std::string_view{"\r\n\0", 3}) ==
              std::string::npos);
        CHECK(made->render(hostile, Escape::url).find_first_of("&=+# \r\n\"") == std::string::npos);
    }
}

TEST_CASE("template: what it cannot be is told in words")
{
    auto [text, words] = GENERATE(table<std::string, std::string>({
        {"{{ servce }}", "there is no name \"servce\"; did you mean \"service\"?"},
        {"{{ }}", "there is no name \"\""},
        {"{{ service", "not closed"},
        {"{{ service | lmit 3 }}", "there is no filter \"lmit\"; did you mean \"limit\"?"},
        {"{{ service | limit }}", "limit needs a number"},
        {"{{ service | limit 0 }}", "limit needs a number"},
        {"{{ service | limit 3x }}", "limit needs a number"},
        {"{{ service | limit 99999999999999999999 }}", "limit needs a number"},
        {"{{ service | html 3 }}", "nothing stands after html"},
        {"{{ service | json | limit 3 }}", "stand last"},
        {"{{ service | }}", "there is no filter \"\""},
        {std::string(65537, 'x'), "at most 64 KiB"},
    }));
    CAPTURE(words);
    const auto made = MessageTemplate::parse(text);
    REQUIRE_FALSE(made);
    CHECK_THAT(made.error(), Catch::Matchers::ContainsSubstring(words));
}
