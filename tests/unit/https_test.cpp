#include "tests/unit/http_peer.hpp"
#include "tests/unit/tls_front.hpp"

#include <ctime>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

// An HTTPS server whose certificate is signed by `authority`, and a spec that asks it.
struct Site {
    explicit Site(const LeafOptions& options = {}, const std::string& client_authority = {})
        : leaf{authority.issue(options)}, front{loop, behind.address(), leaf, client_authority}
    {
    }
    HttpSpec spec(const std::string& host = "127.0.0.1") const
    {
        const auto url = "https://" + host + ":" + std::to_string(front.address().port) + "/";
        return {.url = Url::parse(url).value(), .tls = {.ca_file = authority.file()}};
    }

    asio::io_context loop{};
    Authority authority{};
    Leaf leaf;
    ScriptedServer behind{loop, {reply(good)}, Fault::close};
    TlsFront front;
};

}  // namespace

TEST_CASE("https: a good certificate, with its facts and the time of the handshake")
{
    Site site;
    const auto result = run_now(site.loop, site.spec(GENERATE("127.0.0.1", "localhost")));
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
    const auto days =
        (fact(result, "certificate_expiry_timestamp_seconds") - double(std::time(nullptr))) / 86'400;
    CHECK(days > 29.9);
    CHECK(days < 30.1);
    CHECK(result.phase_took[std::size_t(Phase::tls)] > 0ns);
    CHECK(result.phase_took[std::size_t(Phase::request)] > 0ns);
}

TEST_CASE("https: what is wrong with a certificate is told apart, and nothing is sent")
{
    struct Row {
        LeafOptions leaf;
        Reason reason;
    };
    const auto row = GENERATE(values<Row>({
        {{.valid_from_days = -30, .valid_until_days = -1}, Reason::certificate_expired},
        {{.valid_from_days = 1, .valid_until_days = 30}, Reason::certificate_expired},
        {{.names = "DNS:other.example"}, Reason::certificate_name_mismatch},
    }));
    Site site{row.leaf};
    auto spec = site.spec();
    spec.bearer_token = Secret{"t0ken"};
    SECTION("verified")
    {
        const auto result = run_now(site.loop, spec);
        CAPTURE(result.detail);
        CHECK(result.outcome == Outcome::rejected);
        CHECK(to_string(result.reason) == to_string(row.reason));
        CHECK(result.phase == Phase::tls);
        CHECK(fact(result, "certificate_expiry_timestamp_seconds") > 0);
        CHECK(site.behind.received().empty());
    }
    SECTION("insecure")
    {
        spec.tls.insecure = true;
        CHECK(run_now(site.loop, spec).outcome == Outcome::ok);
    }
}

TEST_CASE("https: an authority that is not trusted")
{
    Site site;
    auto spec = site.spec();
    SECTION("another one is")
    {
        const Authority other{"Other Authority"};
        spec.tls.ca_file = other.file();
        CHECK(to_string(run_now(site.loop, spec).reason) == "certificate_untrusted");
    }
    SECTION("those of the system are")
    {
        spec.tls.ca_file.clear();
        CHECK(to_string(run_now(site.loop, spec).reason) == "certificate_untrusted");
    }
    SECTION("its file is missing, which is our fault")
    {
        spec.tls.ca_file = "/nonexistent/ca.pem";
        const auto result = run_now(site.loop, spec);
        CHECK(result.outcome == Outcome::not_attempted);
        CHECK(to_string(result.reason) == "bad_configuration");
        CHECK(result.detail.contains("/nonexistent/ca.pem"));
    }
}

TEST_CASE("https: a kept connection does not carry its trust to another probe")
{
    Site site;
    auto trusting = site.spec();
    trusting.reuse = true;
    auto careless = trusting, strange = trusting;
    careless.tls.insecure = true;
    const Authority other{"Other Authority"};
    strange.tls.ca_file = other.file();
    CHECK(run_now(site.loop, careless).outcome == Outcome::ok);
    CHECK(run_now(site.loop, trusting).outcome == Outcome::ok);
    CHECK(to_string(run_now(site.loop, strange).reason) == "certificate_untrusted");
    strange.tls = {};
    CHECK(to_string(run_now(site.loop, strange).reason) == "certificate_untrusted");
}

TEST_CASE("https: server_name is asked for and verified, the URL's name stays in the Host header")
{
    Site site{{.names = "DNS:shop.example"}};
    auto spec = site.spec("localhost");
    spec.tls.server_name = "shop.example";
    const auto result = run_now(site.loop, spec);
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
    CHECK(site.front.server_name() == "shop.example");
    CHECK(site.behind.received().contains("Host: " + spec.url.authority() + "\r\n"));

    spec.tls.server_name = "shop2.example";
    CHECK(to_string(run_now(site.loop, spec).reason) == "certificate_name_mismatch");
}

TEST_CASE("https: a certificate that expires too soon")
{
    Site site{{.valid_until_days = 10}};
    auto spec = site.spec();
    spec.certificate_min_days = 9;
    CHECK(run_now(site.loop, spec).outcome == Outcome::ok);
    spec.certificate_min_days = 11;
    const auto result = run_now(site.loop, spec);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(to_string(result.reason) == "certificate_expiring");
}

TEST_CASE("https: a server that wants to know who we are")
{
    const Authority clients{"Client Authority"};
    Site site{{}, clients.file()};
    auto spec = site.spec();
    SECTION("and is told")
    {
        const auto leaf = clients.issue();
        spec.tls.certificate_file = leaf.certificate_file();
        spec.tls.key_file = leaf.key_file();
        const auto result = run_now(site.loop, spec);
        CAPTURE(result.detail);
        CHECK(result.outcome == Outcome::ok);
    }
    SECTION("and is not told")
    {
        const auto result = run_now(site.loop, spec);
        CAPTURE(result.detail);
        CHECK(result.outcome != Outcome::ok);
        CHECK((result.reason == Reason::tls_failure || result.reason == Reason::connection_closed));
    }
    SECTION("and our key is missing, which is our fault")
    {
        spec.tls.certificate_file = clients.issue().certificate_file();
        spec.tls.key_file = "/nonexistent/key.pem";
        CHECK(run_now(site.loop, spec).outcome == Outcome::not_attempted);
    }
}

TEST_CASE("https: a peer that does not speak TLS, or not to the end")
{
    const auto fault = GENERATE(Fault::close, Fault::reset, Fault::stall, Fault::garbage);
    const auto hello = GENERATE(0, 100);
    CAPTURE(static_cast<int>(fault), hello);
    asio::io_context loop;
    ScriptedServer server{loop, {{.expect_bytes = std::size_t(hello)}}, fault};
    const HttpSpec spec{.url = Url::parse("https://" + server.address().text() + "/").value()};
    // Only a peer that stalls is given up at the deadline; a busy machine takes its time to load the
    // authorities.
    const auto deadline = fault == Fault::stall ? 1s : 10s;
    const auto result = run_now(loop, spec, deadline);
    CAPTURE(result.detail, to_string(result.reason));
    CHECK(result.phase == Phase::tls);
    CHECK(result.took < deadline + 5s);
    switch (fault) {
        case Fault::close:
        case Fault::reset:
            CHECK(result.outcome == Outcome::no_response);
            CHECK((result.reason == Reason::connection_closed || result.reason == Reason::connection_reset));
            break;
        case Fault::stall: CHECK(to_string(result.reason) == "timeout"); break;
        default: CHECK(to_string(result.reason) == "tls_failure"); break;
    }
}

TEST_CASE("https: a plain HTTP server at the port")
{
    asio::io_context loop;
    ScriptedServer server{
        loop, {{.expect_bytes = 5, .send = "HTTP/1.1 400 Bad Request\r\n\r\n"}}, Fault::close};
    const auto result =
        run_now(loop, HttpSpec{.url = Url::parse("https://" + server.address().text()).value()});
    CHECK(result.outcome == Outcome::rejected);
    CHECK(to_string(result.reason) == "tls_failure");
}

TEST_CASE("https: a plain request to a port with TLS gets no sense out of it")
{
    Site site;
    const auto result = run_now(
        site.loop, HttpSpec{.url = Url::parse("http://" + site.front.address().text()).value()}, 500ms);
    CHECK(result.outcome != Outcome::ok);
    CHECK(result.outcome != Outcome::not_attempted);
}
