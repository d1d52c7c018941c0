#include "probes/url.hpp"
#include "tests/catch.hpp"

using keepwell::Url;

TEST_CASE("url: parts, what goes to the server, and what people see")
{
    struct Row {
        const char *given, *whole, *shown, *host;
        int port;
    };
    const auto row = GENERATE(values<Row>({
        {"http://web", "http://web/", "http://web/", "web", 80},
        {"HTTPS://Web:8443/a/b?c=d#e", "https://web:8443/a/b?c=d", "https://web:8443/a/b", "web", 8443},
        {"http://web:80/x", "http://web/x", "http://web/x", "web", 80},
        {"https://web:80/x", "https://web:80/x", "https://web:80/x", "web", 80},
        {"http://[::1]:8080/", "http://[::1]:8080/", "http://[::1]:8080/", "::1", 8080},
        {"http://[::1]", "http://[::1]/", "http://[::1]/", "::1", 80},
        {"http://10.0.0.1?q=1", "http://10.0.0.1/?q=1", "http://10.0.0.1/", "10.0.0.1", 80},
        {"http://a_b.c-d/x@y", "http://a_b.c-d/x@y", "http://a_b.c-d/x@y", "a_b.c-d", 80},
    }));
    CAPTURE(row.given);
    const auto url = Url::parse(row.given);
    REQUIRE(url.has_value());
    CHECK(url->whole() == row.whole);
    CHECK(url->text() == row.shown);
    CHECK(url->address().host == row.host);
    CHECK(url->address().port == row.port);
    CHECK(Url::parse(url->whole()) == *url);
}

TEST_CASE("url: what is refused, and the hint that comes with it")
{
    const auto [given, hint] = GENERATE(table<std::string, std::string>({
        {"", "http://"},
        {"web:80", "http://"},
        {"ftp://web/", "http://"},
        {"file:///etc/passwd", "http://"},
        {"http://", "host"},
        {"http:///path", "host"},
        {"http://user:secret@web/", "username and password"},
        {"http://secret@web/", "username and password"},
        {"http://web:0/", "port"},
        {"http://web:65536/", "port"},
        {"http://web:/", "port"},
        {"http://we b/", "spaces"},
        {"http://web/a\r\nX: y", "control"},
        {"http://web/\xc3\xa4", "%XX"},
        {"http://w\xc3\xa4"
         "b/",
         "xn--"},
        {"http://web#\xc3\xa4", "%XX"},
        {"http://web\\@evil/", "username"},
        {"http://::1/", "brackets"},
        {"http://[web]/", "IPv6"},
    }));
    CAPTURE(given);
    const auto url = Url::parse(given);
    REQUIRE_FALSE(url.has_value());
    CHECK(url.error().find(hint) != std::string::npos);
    CHECK(url.error().find("secret") == std::string::npos);
}

TEST_CASE("url: where credentials go instead depends on who asks")
{
    CHECK(Url::parse("http://me:secret@web/", "headers").error().ends_with("use headers"));
}

TEST_CASE("url: an origin is scheme, host and port")
{
    const auto same = [](const char* a, const char* b) { return Url::parse(a)->same_origin(*Url::parse(b)); };
    CHECK(same("http://web/a", "http://WEB:80/b?c"));
    CHECK_FALSE(same("http://web/", "https://web/"));
    CHECK_FALSE(same("http://web/", "http://web:81/"));
    CHECK_FALSE(same("http://web/", "http://web2/"));
    CHECK(Url::parse("https://web/secret/path?x")->origin() == "https://web");
}

TEST_CASE("url: a long one is cut where people see it")
{
    const auto url = Url::parse("http://web/" + std::string(5000, 'a'));
    CHECK(url->text().size() == 200);
    CHECK(url->whole().size() == 5011);
}
