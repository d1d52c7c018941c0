#include "probes/resolver.hpp"
#include "tests/unit/http_peer.hpp"
#include "tests/unit/silent_port.hpp"
#include "tests/unit/temporary_file.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <unistd.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

TEST_CASE("http: nobody there")
{
    asio::io_context loop;
    const auto result = run_now(loop, at({.host = "127.0.0.1", .port = 1}));
    CHECK(result.outcome == Outcome::no_response);
    CHECK(to_string(result.reason) == "connection_refused");
    CHECK(result.phase == Phase::connect);
}

TEST_CASE("http: a name's addresses are tried in turn, and IPv6 works")
{
    asio::io_context loop;
    asio::ip::tcp::acceptor v6{loop};
    const asio::ip::tcp::endpoint any_port{asio::ip::make_address("::1"), 0};
    v6.open(any_port.protocol());
    v6.bind(any_port);
    v6.listen();
    const auto port = v6.local_endpoint().port();
    asio::co_spawn(loop, answer_all(v6), asio::detached);
    const auto host = GENERATE("[::1]", "localhost");
    const auto result = run_now(
        loop,
        HttpSpec{.url =
                     Url::parse("http://" + std::string{host} + ":" + std::to_string(port) + "/").value()});
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
}

TEST_CASE("http: of several addresses, the one that says something about the target counts")
{
    // A link-local address without its interface fails with EINVAL, and without IPv6 with EADDRNOTAVAIL:
    // either says something about us only (ipv6(7)).
    const auto addresses =
        GENERATE("127.0.0.1 two\nfe80::1 two\n", "fe80::1 two\n127.0.0.1 two\n",
                 "127.0.0.1 two\n255.255.255.255 two\n", "255.255.255.255 two\n127.0.0.1 two\n");
    CAPTURE(addresses);
    asio::io_context loop;
    TemporaryFile hosts{addresses};
    configure_resolver(loop, {.servers = "127.0.0.1:1", .hosts = hosts.path()});
    const auto closed = run_now(loop, HttpSpec{.url = Url::parse("http://two:1/").value()});
    CAPTURE(closed.detail);
    CHECK(closed.outcome == Outcome::no_response);
    CHECK(to_string(closed.reason) == "connection_refused");

    ScriptedServer server{loop, {reply(good)}};
    const auto url = "http://two:" + std::to_string(server.address().port) + "/";
    CHECK(run_now(loop, HttpSpec{.url = Url::parse(url).value()}).outcome == Outcome::ok);
}

TEST_CASE("http: an address that swallows packets leaves time for the next one")
{
    asio::io_context loop;
    SilentPort silent{loop, "127.0.0.1"};
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.2"), silent.address().port}};
    asio::co_spawn(loop, answer_all(acceptor), asio::detached);
    TemporaryFile hosts{"127.0.0.1 two\n127.0.0.2 two\n"};
    configure_resolver(loop, {.servers = "127.0.0.1:1", .hosts = hosts.path()});
    const auto url = "http://two:" + std::to_string(silent.address().port) + "/";
    const auto result = run_now(loop, HttpSpec{.url = Url::parse(url).value()}, 1s);
    CAPTURE(result.detail, to_string(result.reason));
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.took > 400ms);
}

TEST_CASE("http: a unix socket")
{
    asio::io_context loop;
    const std::string path = "/tmp/keepwell-http-test-" + std::to_string(::getpid()) + ".sock";
    HttpSpec spec{.url = Url::parse("http://docker/_ping").value(), .unix_socket = path};
    SECTION("that is there")
    {
        ::unlink(path.c_str());
        asio::local::stream_protocol::acceptor acceptor{loop, path};
        asio::co_spawn(loop, answer_all(acceptor), asio::detached);
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    }
    SECTION("that nobody listens to any more")
    {
        asio::local::stream_protocol::acceptor{loop, path}.close();
        const auto result = run_now(loop, spec);
        CHECK(to_string(result.reason) == "connection_refused");
    }
    SECTION("that is missing")
    {
        const auto result = run_now(loop, spec);
        CHECK(result.outcome == Outcome::no_response);
        CHECK(to_string(result.reason) == "connection_refused");
        CHECK(result.detail.contains(path));
    }
    ::unlink(path.c_str());
}

TEST_CASE("http: another address than the URL's")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good)}};
    HttpSpec spec{.url = Url::parse("http://shop.example/").value(), .connect_to = server.address().text()};
    SECTION("with its port")
    {
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(header(server.received(), "Host") == "shop.example");
    }
    SECTION("with the URL's port")
    {
        spec.url = Url::parse("http://shop.example:" + std::to_string(server.address().port) + "/").value();
        spec.connect_to = GENERATE("127.0.0.1", "localhost");
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    }
}
