#include "tests/catch.hpp"

#include "exporters/blackbox/logs.hpp"
#include "exporters/blackbox/target.hpp"

#include <algorithm>
#include <string>

using namespace keepwell;
using namespace keepwell::blackbox;

TEST_CASE("a target is shown on one line and without what may be secret")
{
    const auto [target, shown] = GENERATE(table<std::string, std::string>({
        {"http://shop/a/b", "http://shop/a/b"},
        {"db:5432", "db:5432"},
        {"[::1]:5432", "[::1]:5432"},
        {"http://shop/mail@example.org", "http://shop/mail@example.org"},
        {"http://shop:80/mail@example.org", "http://shop:80/mail@example.org"},
        {"http://me:hunter2@shop/", "http://***@shop/"},
        {"hunter2@shop:80", "***@shop:80"},
        {"http://me:hun/ter2@shop/", "http://***@shop/"},
        {"http://me:hun?ter2@shop/", "http://***@shop/"},
        {"shop/?token=hunter2", "shop/?token=***"},
        {"http://shop?token=hunter2&a=&hunter2&&c=d", "http://shop?token=***&a=***&***&&c=***"},
        {"http://shop/#hunter2?a=b", "http://shop/#***"},
        {"http://shop/?a=b#hunter2", "http://shop/?a=***#***"},
        {"x\n    999  success\r\t\x1b[1m", "x?    999  success???[1m"},
        {"x?\n=\n", "x?\?=***"},
    }));
    const auto text = shown_target(target);
    CAPTURE(target, text);
    CHECK(text.substr(0, text.find(" [")) == shown);
    CHECK_FALSE(text.contains("hunter2"));
}

TEST_CASE("targets that look alike are told apart, and the same one is known again")
{
    const std::string one = "http://shop/?token=one", two = "http://shop/?token=two";
    CHECK(shown_target(one) == shown_target(one));
    CHECK(shown_target(one) != shown_target(two));
    CHECK(shown_target(one).starts_with("http://shop/?token=*** ["));
    CHECK(shown_target("http://shop/") == "http://shop/");
}

TEST_CASE("no target adds a line to the list of attempts")
{
    Logs logs{3};
    logs.add(
        {.attempt = std::make_shared<Attempt>("m", std::make_shared<Module>(),
                                              "x\n    999  success  m  https://bank.example", Clock::now())});
    const auto lines = logs.list();
    CHECK(std::ranges::count(lines, '\n') == 4);
}

TEST_CASE("what Go would encode of a URL is encoded, and nothing else")
{
    const auto [given, wanted] = GENERATE(table<std::string, std::string>({
        {"http://shop/a b", "http://shop/a%20b"},
        {"http://shop/\xc3\xbc", "http://shop/%C3%BC"},
        {"http://shop/a|b?a|b c#d e", "http://shop/a%7Cb?a|b%20c#d%20e"},
        {"http://shop?\xc3\xbc", "http://shop?%C3%BC"},
        {"http://shop/%zz/%20;,@:", "http://shop/%zz/%20;,@:"},
        {"http://b\xc3\xbc"
         "cher/",
         "http://b\xc3\xbc"
         "cher/"},
        {"http://s p/a\n", "http://s p/a\n"},
    }));
    CHECK(encoded(given) == wanted);
}
