#include "probes/resolver.hpp"
#include "tests/catch.hpp"
#include "tests/unit/scripted_dns.hpp"
#include "tests/unit/scripted_server.hpp"
#include "tests/unit/silent_port.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

TEST_CASE("tcp: an open port is ok, a closed one refuses")
{
    asio::io_context loop;
    ScriptedServer server{loop, {}};
    CHECK(run_now(loop, TcpSpec{.address = server.address()}).outcome == Outcome::ok);

    const auto closed = run_now(loop, TcpSpec{.address = {.host = "127.0.0.1", .port = 1}});
    CHECK(closed.outcome == Outcome::no_response);
    CHECK(closed.reason == Reason::connection_refused);
    CHECK(closed.phase == Phase::connect);
}

TEST_CASE("tcp: an attempt ends with a reset, so that no TIME_WAIT is left")
{
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    const Address address{.host = "127.0.0.1", .port = acceptor.local_endpoint().port()};
    REQUIRE(run_now(loop, TcpSpec{.address = address}).outcome == Outcome::ok);

    auto peer = acceptor.accept();
    boost::system::error_code error;
    char byte{};
    peer.read_some(asio::buffer(&byte, 1), error);
    CHECK(error == asio::error::connection_reset);
}

namespace {

TcpSpec expecting(const Address& address, const std::string& expect, const std::string& send = {})
{
    TcpSpec spec{.address = address, .send = send};
    spec.expect = Pattern::parse(expect).value();
    return spec;
}

}  // namespace

TEST_CASE("tcp: what the server says must match")
{
    asio::io_context loop;
    const bool drips = GENERATE(false, true);
    ScriptedServer server{
        loop, {{.send = "220 ready\r\n"}, {.expect_bytes = 6, .send = "250 hello"}}, {.drips = drips}};
    CHECK(run_now(loop, expecting(server.address(), "^220 .*\r\n")).outcome == Outcome::ok);
    CHECK(run_now(loop, expecting(server.address(), "^250", "HELO\r\n"), 400ms).reason ==
          Reason::body_mismatch);
    CHECK(run_now(loop, expecting(server.address(), "250 hello$", "HELO\r\n")).outcome == Outcome::ok);

    TcpSpec bytes{.address = server.address(), .send_hex = {"HELO\r\n"}, .expect_bytes = {"\r\n250"}};
    CHECK(run_now(loop, bytes).outcome == Outcome::ok);
    bytes.expect_bytes = {"\r\n251"};
    const auto other = run_now(loop, bytes, 400ms);
    CHECK(other.outcome == Outcome::rejected);
    CHECK(other.reason == Reason::body_mismatch);
    CHECK(other.phase == Phase::reply);
    CHECK_THAT(other.detail, Catch::Matchers::ContainsSubstring("220 ready"));
    CHECK(other.took < 400ms + slack);
}

TEST_CASE("tcp: faults of the peer before and after it has said something")
{
    struct Row {
        Fault fault;
        std::size_t at;
        Outcome outcome;
        Reason reason;
    };
    const auto row = GENERATE(values<Row>({
        {Fault::stall, 0, Outcome::no_response, Reason::timeout},
        {Fault::close, 0, Outcome::no_response, Reason::connection_closed},
        {Fault::reset, 0, Outcome::no_response, Reason::connection_reset},
        {Fault::garbage, 0, Outcome::rejected, Reason::body_mismatch},
        {Fault::endless, 0, Outcome::rejected, Reason::body_mismatch},
        {Fault::stall, 1, Outcome::rejected, Reason::body_mismatch},
        {Fault::close, 1, Outcome::rejected, Reason::body_mismatch},
        {Fault::garbage, 1, Outcome::rejected, Reason::body_mismatch},
        {Fault::endless, 1, Outcome::rejected, Reason::body_mismatch},
    }));
    CAPTURE(static_cast<int>(row.fault), row.at);
    asio::io_context loop;
    ScriptedServer server{loop, {{.send = "hello"}}, row.fault, row.at};
    const auto result = run_now(loop, expecting(server.address(), "never"), 300ms);
    CAPTURE(result.detail);
    CHECK(result.outcome == row.outcome);
    CHECK(result.reason == row.reason);
    CHECK(result.took < 300ms + slack);
}

TEST_CASE("tcp: a peer that resets after it has said something is no success, whichever is seen first")
{
    asio::io_context loop;
    ScriptedServer server{loop, {{.send = "hello"}}, Fault::reset, 1};
    const auto result = run_now(loop, expecting(server.address(), "never"), 300ms);
    CHECK((result.reason == Reason::body_mismatch || result.reason == Reason::connection_reset));
    CHECK(result.took < 300ms + slack);
}

TEST_CASE("tcp: under TLS, a peer that fails in the handshake")
{
    auto [fault, outcome] = GENERATE(table<Fault, Outcome>({
        {Fault::stall, Outcome::no_response},
        {Fault::close, Outcome::no_response},
        {Fault::reset, Outcome::no_response},
        {Fault::garbage, Outcome::rejected},
        {Fault::endless, Outcome::rejected},
    }));
    CAPTURE(static_cast<int>(fault));
    asio::io_context loop;
    ScriptedServer server{loop, {}, fault, 0};
    const auto result = run_now(loop, TcpSpec{.address = server.address(), .tls = TlsOptions{}}, 300ms);
    CAPTURE(result.detail, to_string(result.reason));
    CHECK(result.outcome == outcome);
    CHECK(result.phase == Phase::tls);
    CHECK(result.took < 300ms + slack);
}

TEST_CASE("tcp: what is sent arrives even if nothing is expected")
{
    asio::io_context loop;
    ScriptedServer server{loop, {{.expect_bytes = 100'000}}};
    CHECK(run_now(loop, {TcpSpec{.address = server.address(), .send = std::string(100'000, 'x')}}).outcome ==
          Outcome::ok);
    const auto limit = Clock::now() + 5s;
    while (server.received().size() < 100'000 && Clock::now() < limit)
        loop.run_one_for(100ms);
    CHECK(server.received().size() == 100'000);
}

TEST_CASE("tcp: a port that must not be reachable")
{
    asio::io_context loop;
    ScriptedServer server{loop, {}};
    const auto open = run_now(loop, TcpSpec{.address = server.address(), .unreachable = true});
    CHECK(open.outcome == Outcome::rejected);
    CHECK(open.reason == Reason::reachable);
    CHECK_THAT(open.detail, Catch::Matchers::ContainsSubstring(server.address().text()));

    const Address closed{.host = "127.0.0.1", .port = 1};
    CHECK(run_now(loop, TcpSpec{.address = closed, .unreachable = true}).outcome == Outcome::ok);
}

TEST_CASE("tcp: to a port that must not be reachable, silence is as good as a refusal")
{
    asio::io_context loop;
    const SilentPort silent{loop, "127.0.0.1"};
    const auto result = run_now(loop, TcpSpec{.address = silent.address(), .unreachable = true}, 1s);
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.took < 1s + slack);

    const auto reachable = run_now(loop, TcpSpec{.address = silent.address()}, 300ms);
    CHECK(reachable.outcome == Outcome::no_response);
    CHECK(reachable.reason == Reason::timeout);
    CHECK(reachable.phase == Phase::connect);
}

TEST_CASE("tcp: a name that must not be reachable may be missing, but the resolver must say so")
{
    asio::io_context loop;
    ScriptedDns dns{loop, {{"unsaid", {.manner = DnsEntry::Manner::ignore}}}};
    configure_resolver(loop, {.servers = dns.address(), .hosts = "/nonexistent"});
    const TcpSpec missing{.address = {.host = "missing", .port = 80}, .unreachable = true};
    CHECK(run_now(loop, missing).outcome == Outcome::ok);

    configure_resolver(loop, {.servers = "127.0.0.1:1", .hosts = "/nonexistent"});
    const auto unknown = run_now(loop, missing, 400ms);
    CHECK(unknown.outcome == Outcome::not_attempted);
    CHECK(unknown.reason == Reason::resolver_unavailable);
}

TEST_CASE("tcp: fields that exclude each other")
{
    const Address address{.host = "db", .port = 5432};
    CHECK(TcpSpec{.address = address}.faults().empty());
    CHECK(TcpSpec{.address = address, .send = "a", .send_hex = {"b"}}.faults().size() == 1);
    CHECK(TcpSpec{.address = address, .send = "a", .unreachable = true}.faults().size() == 1);
    CHECK(TcpSpec{.address = address, .tls = TlsOptions{}, .unreachable = true}.faults().size() == 1);
    CHECK(TcpSpec{.address = address, .certificate_min_days = 3}.faults().size() == 1);
    CHECK(TcpSpec{.address = address, .tls = TlsOptions{}, .certificate_min_days = 3}.faults().empty());
}

TEST_CASE("tcp: bytes are written as pairs of hexadecimal digits")
{
    CHECK(HexBytes::parse("0d0A")->bytes == "\r\n");
    CHECK(HexBytes::parse(" 00 ff ")->bytes == std::string{"\0\xff", 2});
    CHECK(HexBytes::parse("")->bytes.empty());
    CHECK(HexBytes::parse("0d0a")->text() == "0d0a");
    for (const auto* bad : {"0", "0d0", "0 d", "xx", "0x0d"})
        CHECK_FALSE(HexBytes::parse(bad));
}
