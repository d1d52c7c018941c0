#include "probes/tls.hpp"

#include "tests/catch.hpp"
#include "tests/unit/tls_front.hpp"

#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

const Authority& authority()
{
    static const Authority one;
    return one;
}

double days_from_now(double days)
{
    return std::chrono::duration<double>{std::chrono::system_clock::now().time_since_epoch()}.count() +
           days * 86'400;
}

// A tcp probe with TLS that waits for "ready", and a server with such a certificate.
struct Stage {
    explicit Stage(const Leaf& leaf, const std::string& client_authority = {})
        : front{loop, backend.address(), leaf, client_authority}
    {
    }
    ProbeResult attempt(const TlsOptions& tls, const std::string& host = "127.0.0.1", int min_days = 0)
    {
        Address address = front.address();
        address.host = host;
        if (host != "127.0.0.1")
            address.pinned = "127.0.0.1";
        TcpSpec spec{.address = address, .tls = tls, .certificate_min_days = min_days, .send = "hello"};
        spec.expect = Pattern::parse("^ready").value();
        return run_now(loop, spec);
    }

    asio::io_context loop;
    ScriptedServer backend{loop, {{.expect_bytes = 5, .send = "ready\n"}}};
    TlsFront front;
};

}  // namespace

TEST_CASE("tls: the certificate is judged by authority, name, address and date")
{
    struct Row {
        std::string names;
        long from, until;
        std::string host, server_name;
        Reason reason;
    };
    const auto row = GENERATE(values<Row>({
        {"IP:127.0.0.1", -1, 30, "127.0.0.1", "", Reason::none},
        {"DNS:app.example", -1, 30, "app.example", "", Reason::none},
        {"DNS:app.example", -1, 30, "APP.example.", "", Reason::none},
        {"DNS:*.stack.example", -1, 30, "app.stack.example", "", Reason::none},
        {"DNS:app.example", -1, 30, "127.0.0.1", "app.example", Reason::none},
        {"DNS:app.example", -1, 30, "127.0.0.1", "", Reason::certificate_name_mismatch},
        {"IP:127.0.0.2", -1, 30, "127.0.0.1", "", Reason::certificate_name_mismatch},
        {"DNS:app.example", -1, 30, "api.example", "", Reason::certificate_name_mismatch},
        {"DNS:*.stack.example", -1, 30, "a.b.stack.example", "", Reason::certificate_name_mismatch},
        {"DNS:app.example", -1, 30, "app.example", "other.example", Reason::certificate_name_mismatch},
        {"IP:127.0.0.1", -30, -1, "127.0.0.1", "", Reason::certificate_expired},
        {"IP:127.0.0.1", 1, 30, "127.0.0.1", "", Reason::certificate_expired},
    }));
    CAPTURE(row.names, row.host, row.server_name, row.from, row.until);
    Stage stage{authority().issue({row.names, row.from, row.until})};
    const auto result =
        stage.attempt({.ca_file = authority().file(), .server_name = row.server_name}, row.host);
    CAPTURE(result.detail);
    CHECK(result.reason == row.reason);
    CHECK(result.outcome == (row.reason == Reason::none ? Outcome::ok : Outcome::rejected));
    CHECK(result.phase == (row.reason == Reason::none ? Phase::reply : Phase::tls));
    CHECK_THAT(fact(result, "certificate_expiry_timestamp_seconds"),
               Catch::Matchers::WithinAbs(days_from_now(static_cast<double>(row.until)), 120));
}

TEST_CASE("tls: a certificate of an unknown authority is refused, unless insecure accepts any")
{
    Stage good{authority().issue()};
    const Authority other{"Another Authority"};
    CHECK(good.attempt({.ca_file = other.file()}).reason == Reason::certificate_untrusted);
    CHECK(good.attempt({}).reason == Reason::certificate_untrusted);  // the system's

    Stage bad{other.issue({"DNS:elsewhere", -30, -2})};
    const auto insecure = bad.attempt({.insecure = true});
    CHECK(insecure.outcome == Outcome::ok);
    CHECK_THAT(fact(insecure, "certificate_expiry_timestamp_seconds"),
               Catch::Matchers::WithinAbs(days_from_now(-2), 120));
}

TEST_CASE("tls: the server is told the name, but not an address")
{
    Stage stage{authority().issue({.names = "DNS:app.example,IP:127.0.0.1"})};
    stage.attempt({.ca_file = authority().file()}, "app.example");
    CHECK(stage.front.server_name() == "app.example");
    stage.attempt({.ca_file = authority().file()});
    CHECK(stage.front.server_name().empty());
    CHECK(stage.front.handshakes() == 2);
}

TEST_CASE("tls: a client certificate is shown, and refused when it is missing or another authority's")
{
    Stage stage{authority().issue(), authority().file()};
    const auto mine = authority().issue({.names = "DNS:keepwell"});
    const Authority other{"Another Authority"};
    const auto foreign = other.issue({.names = "DNS:keepwell"});
    const TlsOptions none{.ca_file = authority().file()};
    TlsOptions good{none}, bad{none};
    good.certificate_file = mine.certificate_file();
    good.key_file = mine.key_file();
    bad.certificate_file = foreign.certificate_file();
    bad.key_file = foreign.key_file();
    CHECK(stage.attempt(good).outcome == Outcome::ok);
    for (const auto& options : {none, bad}) {
        const auto result = stage.attempt(options);
        CAPTURE(result.detail);
        CHECK(result.outcome != Outcome::ok);
        CHECK(result.outcome != Outcome::not_attempted);
    }
}

TEST_CASE("tls: files that cannot be used are our own fault, and are read again when they are mended")
{
    Stage stage{authority().issue(), authority().file()};
    const auto mine = authority().issue();
    const auto other = authority().issue();
    TemporaryFile nonsense{"no certificate\n"};
    const std::string missing = "/nonexistent/file.pem";
    const TlsOptions good{.ca_file = authority().file(),
                          .certificate_file = mine.certificate_file(),
                          .key_file = mine.key_file()};
    const auto expect_fault = [&](TlsOptions options, Reason reason, const std::string& file) {
        const auto result = stage.attempt(options);
        CAPTURE(result.detail);
        CHECK(result.outcome == Outcome::not_attempted);
        CHECK(result.reason == reason);
        CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(file));
    };
    auto bad = good;
    bad.ca_file = missing;
    expect_fault(bad, Reason::bad_configuration, missing);
    bad.ca_file = nonsense.path();
    expect_fault(bad, Reason::bad_configuration, nonsense.path());
    bad = good;
    bad.certificate_file = missing;
    expect_fault(bad, Reason::bad_configuration, missing);
    bad = good;
    bad.key_file = missing;
    expect_fault(bad, Reason::secret_unreadable, missing);
    bad.key_file = other.key_file();
    expect_fault(bad, Reason::bad_configuration, other.key_file());
    bad = good;
    bad.certificate_file.clear();
    expect_fault(bad, Reason::bad_configuration, "certificate_file");

    bad = good;
    bad.ca_file = nonsense.path();
    expect_fault(bad, Reason::bad_configuration, nonsense.path());
    std::ifstream right{authority().file()};
    nonsense.write({std::istreambuf_iterator<char>{right}, {}});
    CHECK(stage.attempt(bad).outcome == Outcome::ok);
}

TEST_CASE("tls: an encrypted key does not make keepwell ask for its pass phrase")
{
    Stage stage{authority().issue()};
    const auto mine = authority().issue();
    TemporaryFile encrypted;
    const auto command = "openssl ec -aes256 -passout pass:secret -in " + mine.key_file() + " -out " +
                         encrypted.path() + " 2>/dev/null";
    REQUIRE(std::system(command.c_str()) == 0);
    const auto result = stage.attempt({.ca_file = authority().file(),
                                       .certificate_file = mine.certificate_file(),
                                       .key_file = encrypted.path()});
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(result.took < slack);
}

TEST_CASE("tls: certificate_min_days rejects what expires too soon")
{
    Stage stage{authority().issue({.valid_until_days = 10})};
    const TlsOptions tls{.ca_file = authority().file()};
    CHECK(stage.attempt(tls, "127.0.0.1", 9).outcome == Outcome::ok);
    const auto soon = stage.attempt(tls, "127.0.0.1", 11);
    CHECK(soon.outcome == Outcome::rejected);
    CHECK(soon.reason == Reason::certificate_expiring);
    CHECK_THAT(soon.detail, Catch::Matchers::ContainsSubstring("expires in"));
}

TEST_CASE("tls: a peer that does not speak TLS")
{
    const auto [fault, outcome, reason] = GENERATE(table<Fault, Outcome, Reason>({
        {Fault::stall, Outcome::no_response, Reason::timeout},
        {Fault::close, Outcome::no_response, Reason::connection_closed},
        {Fault::reset, Outcome::no_response, Reason::connection_reset},
        {Fault::garbage, Outcome::rejected, Reason::tls_failure},
        {Fault::endless, Outcome::rejected, Reason::tls_failure},
    }));
    CAPTURE(static_cast<int>(fault));
    asio::io_context loop;
    ScriptedServer server{loop, {{.expect_bytes = 5}}, fault, 1};
    const TcpSpec spec{.address = server.address(), .tls = TlsOptions{}};
    const auto result = run_now(loop, spec, 300ms);
    CAPTURE(result.detail);
    CHECK(result.outcome == outcome);
    CHECK((result.reason == reason || (fault == Fault::close && result.reason == Reason::connection_reset)));
    CHECK(result.phase == Phase::tls);
    CHECK(result.took < 300ms + slack);
}
