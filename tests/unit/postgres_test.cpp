#include "tests/catch.hpp"
#include "tests/unit/scripted_server.hpp"
#include "tests/unit/temporary_file.hpp"

#include "probes/postgres_complaint.hpp"
#include "probes/postgres_protocol.hpp"
#include "probes/resolver.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

std::string number(std::uint32_t value)
{
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(value >> shift);
    return bytes;
}

std::string message(char type, const std::string& body)
{
    return type + number(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string text(std::string_view word) { return std::string{word} + '\0'; }

std::string authentication(std::uint32_t request, const std::string& more = {})
{
    return message('R', number(request) + more);
}

std::string error(std::string_view sqlstate, std::string_view words = "no")
{
    return message('E', text("SFATAL") + text("VFATAL") + "C" + text(sqlstate) + "M" + text(words) + '\0');
}

std::string parameter(std::string_view name, std::string_view value)
{
    return message('S', text(name) + text(value));
}

const std::string ready = message('Z', "I");
const std::string welcome =
    authentication(0) + parameter("server_version", "15.0") + message('K', number(1) + number(2)) + ready;
const std::string sasl = authentication(10, text("SCRAM-SHA-256") + '\0');

// A result of one column; a null pointer is NULL.
std::string rows(const std::vector<const char*>& values)
{
    auto bytes = message('T', std::string{"\0\1", 2} + text("x") + std::string(18, '\0'));
    for (const char* value : values)
        bytes += message('D', std::string{"\0\1", 2} +
                                  (value ? number(static_cast<std::uint32_t>(std::strlen(value))) + value
                                         : number(0xffffffff)));
    return bytes + message('C', text("SELECT")) + ready;
}

// What libpq sends first, and what readiness() sends.
constexpr std::size_t libpq_startup = 4 + 4 + 14 + 18 + 26 + 21 + 1;
constexpr std::size_t our_startup = 4 + 4 + 14 + 18 + 26 + 1;

PostgresSpec login(const ScriptedServer& server)
{
    return {.address = server.address(),
            .password = Secret{"hunter2"},
            .query = "SELECT 1",
            .sslmode = SslMode::disable};
}

std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("postgres: readiness is what pg_isready makes of the first answer")
{
    auto [reply, outcome, reason] = GENERATE(table<std::string, Outcome, Reason>({
        {sasl, Outcome::ok, Reason::none},
        {authentication(3), Outcome::ok, Reason::none},
        {authentication(5, "salt"), Outcome::ok, Reason::none},
        {authentication(7), Outcome::ok, Reason::none},
        {welcome, Outcome::ok, Reason::none},
        {authentication(0), Outcome::ok, Reason::none},
        {error("28P01"), Outcome::ok, Reason::none},
        {error("28000"), Outcome::ok, Reason::none},
        {error("3D000"), Outcome::ok, Reason::none},
        {error("53300"), Outcome::ok, Reason::none},
        {error("57P01"), Outcome::ok, Reason::none},
        {error("57P03"), Outcome::rejected, Reason::starting_up},
        {"Ecould not fork new process for connection: Cannot allocate memory\n" + std::string(1, '\0'),
         Outcome::no_response, Reason::connection_closed},
        {error(""), Outcome::no_response, Reason::connection_closed},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", Outcome::rejected, Reason::protocol_error},
        {"-ERR unknown command\r\n", Outcome::rejected, Reason::protocol_error},
        {std::string{"R\0\0\0\x0a"
                     "9.7.4-log\0",
                     15},
         Outcome::rejected, Reason::protocol_error},
        {std::string{"R\0\0\0\4", 5}, Outcome::rejected, Reason::protocol_error},
        {std::string{"R\0\0\0\3", 5}, Outcome::rejected, Reason::protocol_error},
        {std::string{"R\x7f\0\0\0", 5}, Outcome::rejected, Reason::protocol_error},
        {ready, Outcome::rejected, Reason::protocol_error},
    }));
    CAPTURE(reply);
    asio::io_context loop;
    ScriptedServer server{loop, {{our_startup, reply}}};
    const auto result = run_now(loop, PostgresSpec{.address = server.address()});
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK(result.phase == Phase::reply);

    // libpq, which is taken when TLS is wanted, agrees but for the answer that is no answer
    ScriptedServer without_tls{loop, {{8, "N"}, {libpq_startup, reply}}, Fault::close};
    const auto by_libpq =
        run_now(loop, PostgresSpec{.address = without_tls.address(), .sslmode = SslMode::prefer});
    if (outcome == Outcome::ok && reply != authentication(0)) {
        CHECK(by_libpq.outcome == outcome);
    } else if (reason == Reason::starting_up) {
        CHECK(by_libpq.reason == reason);
    } else if (reply != authentication(0)) {
        CHECK(by_libpq.outcome != Outcome::ok);
    }
}

TEST_CASE("postgres: readiness names itself, and an answer in single bytes is an answer")
{
    asio::io_context loop;
    std::vector<Step> script{{our_startup, ""}};
    for (const char byte : error("57P03", "the database system is starting up"))
        script.push_back({0, std::string(1, byte)});
    ScriptedServer server{loop, script};
    const auto result = run_now(loop, PostgresSpec{.address = server.address()});
    CHECK(result.reason == Reason::starting_up);
    CHECK(result.detail == "the database system is starting up");
    CHECK(server.received() == number(our_startup) + number(196608) + text("user") + text("postgres") +
                                   text("database") + text("postgres") + text("application_name") +
                                   text("keepwell") + '\0');
}

TEST_CASE("postgres: readiness leaves in a way that no server logs")
{
    const auto [greeting, farewell] =
        GENERATE(table<std::string, std::string>({{sasl, ""}, {welcome, std::string{"X\0\0\0\4", 5}}}));
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    std::string heard;
    boost::system::error_code end;
    acceptor.async_accept([&, first = greeting](auto, asio::ip::tcp::socket socket) {
        auto peer = std::make_shared<asio::ip::tcp::socket>(std::move(socket));
        asio::write(*peer, asio::buffer(first));
        asio::async_read(*peer, asio::dynamic_buffer(heard), [&, peer](auto error, auto) { end = error; });
    });
    const Address address{.host = "127.0.0.1", .port = acceptor.local_endpoint().port()};
    REQUIRE(run_now(loop, PostgresSpec{.address = address}).outcome == Outcome::ok);
    loop.run_for(1s);
    CHECK(end == asio::error::eof);
    CHECK(heard.substr(our_startup) == farewell);
}

TEST_CASE("postgres: a peer that fails before any step is judged in time")
{
    struct Course {
        const char* name;
        std::vector<Step> script;
        PostgresSpec spec;
    };
    const std::size_t query_size = 5 + 9;
    const auto half = sasl.substr(0, 7);
    auto course = GENERATE_COPY(values<Course>({
        {"readiness", {{our_startup, half}, {0, ""}}, {}},
        {"readiness under TLS", {{8, "N"}, {libpq_startup, half}, {0, ""}}, {.sslmode = SslMode::prefer}},
        {"login",
         {{8, "N"},
          {libpq_startup, authentication(3)},
          {5 + 8, welcome.substr(0, 12)},
          {0, welcome.substr(12)},
          {query_size, rows({"1"}).substr(0, 40)},
          {0, ""}},
         {.password = Secret{"hunter2"}, .query = "SELECT 1"}},
    }));
    auto [fault, outcome, reason] = GENERATE(table<Fault, Outcome, Reason>({
        {Fault::stall, Outcome::no_response, Reason::timeout},
        {Fault::close, Outcome::no_response, Reason::connection_closed},
        {Fault::reset, Outcome::no_response, Reason::connection_reset},
        {Fault::garbage, Outcome::rejected, Reason::protocol_error},
    }));
    const auto before = open_descriptors();
    for (std::size_t step = 0; step < course.script.size(); ++step) {
        CAPTURE(course.name, step, fault);
        {
            asio::io_context loop;
            ScriptedServer server{loop, course.script, fault, step};
            auto spec = course.spec;
            spec.address = server.address();
            const auto result = run_now(loop, spec, 300ms);
            CAPTURE(result.detail);
            CHECK(result.took < 1s);
            const bool half_answered = step + 1 == course.script.size();
            const bool by_libpq = course.name != std::string_view{"readiness"};
            if (fault == Fault::garbage && (half_answered || (by_libpq && step == 1))) {
                // In the middle of a message garbage is a message; and libpq does not look at what came with
                // the answer to its wish for TLS.
                CHECK(result.outcome != Outcome::not_attempted);
            } else if (fault == Fault::close || fault == Fault::reset) {
                // Who closes before he has read all resets; and libpq does not tell one from the other.
                CHECK(result.outcome == outcome);
                CHECK((result.reason == reason || step == 0 || by_libpq));
                CHECK((result.reason == Reason::connection_closed ||
                       result.reason == Reason::connection_reset));
            } else {
                CHECK(result.outcome == outcome);
                CHECK(result.reason == reason);
            }
        }
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("postgres: what a refused login means")
{
    auto [reply, reason] = GENERATE(table<std::string, Reason>({
        {error("28P01", "password authentication failed for user \"hunter2\""),
         Reason::authentication_failed},
        {error("28000"), Reason::authentication_failed},
        {error("42501", "permission denied for database"), Reason::authentication_failed},
        {error("53300"), Reason::too_many_connections},
        {error("57P01"), Reason::starting_up},
        {error("57P02"), Reason::starting_up},
        {error("57P03"), Reason::starting_up},
        {error("3D000", "database \"x\" does not exist"), Reason::query_failed},
        {authentication(7), Reason::authentication_failed},
        {authentication(9), Reason::authentication_failed},
        {authentication(6), Reason::protocol_error},  // libpq 16 does not know it any more
    }));
    CAPTURE(reply);
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, reply}}};
    const auto result = run_now(loop, login(server));
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == reason);
    CHECK(result.phase == Phase::request);
    CHECK_THAT(result.detail,
               !Catch::Matchers::ContainsSubstring("hunter2") && !Catch::Matchers::ContainsSubstring("\n"));
}

TEST_CASE("postgres: a login without a password, where one is needed")
{
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, sasl}}};
    auto spec = login(server);
    spec.password = {};
    CHECK(run_now(loop, spec).reason == Reason::authentication_required);
}

TEST_CASE("postgres: a query's value")
{
    struct Row {
        std::string reply;
        std::optional<std::string> expect;
        std::string regex;
        Reason reason;
    };
    const std::string broken =
        message('E', text("SERROR") + text("VERROR") + text("C22012") + text("Mdivision by zero") + '\0');
    auto row = GENERATE_COPY(values<Row>({
        {rows({"1"}), {}, "", Reason::none},
        {rows({"1"}), "1", "", Reason::none},
        {rows({"1"}), "2", "", Reason::value_mismatch},
        {rows({"1", "2"}), "1", "", Reason::none},
        {rows({nullptr}), "1", "", Reason::value_mismatch},
        {rows({nullptr}), {}, "", Reason::none},
        {rows({}), "1", "", Reason::value_mismatch},
        {rows({}), {}, "", Reason::none},
        {rows({""}), "", "", Reason::none},
        {rows({"healthy"}), {}, "^h.*y$", Reason::none},
        {rows({"sick"}), {}, "^h", Reason::value_mismatch},
        {rows({nullptr}), {}, ".", Reason::value_mismatch},
        {message('C', text("SET")) + rows({"1"}), "1", "", Reason::none},
        {message('I', "") + ready, {}, "", Reason::none},
        {broken + ready, {}, "", Reason::query_failed},
        {rows({"1"}).substr(0, rows({"1"}).size() - 6) + broken + ready, "1", "", Reason::query_failed},
        {error("57P01", "terminating connection due to administrator command"), {}, "", Reason::starting_up},
        {message('G', std::string(3, '\0')), {}, "", Reason::query_failed},
    }));
    CAPTURE(row.reply, row.expect, row.regex);
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, welcome}, {5 + 9, row.reply}}};
    auto spec = login(server);
    spec.expect = row.expect;
    if (!row.regex.empty())
        spec.expect_regex = *Pattern::parse(row.regex);
    const auto result = run_now(loop, spec);
    CHECK(result.reason == row.reason);
    CHECK(result.outcome == (row.reason == Reason::none ? Outcome::ok : Outcome::rejected));
    CHECK(result.phase == Phase::reply);
}

TEST_CASE("postgres: a number is a fact, and the query is limited to the attempt")
{
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, welcome}, {5, rows({"-2.5"})}}};
    const auto result = run_now(loop, login(server), 2s);
    REQUIRE(result.outcome == Outcome::ok);
    CHECK(result.facts == std::vector<Fact>{{"query_value", -2.5}});
    loop.run_for(50ms);
    const auto sent = server.received().substr(libpq_startup);
    CHECK_THAT(sent, Catch::Matchers::ContainsSubstring("SET LOCAL statement_timeout = ") &&
                         Catch::Matchers::ContainsSubstring("; SELECT 1") &&
                         Catch::Matchers::EndsWith(std::string{"X\0\0\0\4", 5}));
}

TEST_CASE("postgres: the role is told by the greeting, or asked for")
{
    const auto [told, asked, is_primary] = GENERATE(table<std::string, std::string, bool>({
        {parameter("in_hot_standby", "off"), "", true},
        {parameter("in_hot_standby", "on"), "", false},
        {"", rows({"f"}), true},
        {"", rows({"t"}), false},
    }));
    asio::io_context loop;
    std::vector<Step> script{{libpq_startup, authentication(0) + told + ready}};
    if (told.empty())
        script.push_back({5, asked});
    ScriptedServer server{loop, script};
    PostgresSpec spec{
        .address = server.address(), .role = PostgresRole::primary, .sslmode = SslMode::disable};
    const auto result = run_now(loop, spec);
    CHECK(result.reason == (is_primary ? Reason::none : Reason::role_mismatch));
    CHECK(result.facts == std::vector<Fact>{{"is_primary", is_primary ? 1.0 : 0.0}});
    spec.role = PostgresRole::standby;
    CHECK(run_now(loop, spec).reason == (is_primary ? Reason::role_mismatch : Reason::none));
}

TEST_CASE("postgres: more than a probe needs is refused, at any moment")
{
    const std::string megabytes(3 << 20, 'x');
    const auto [greeting, reply] = GENERATE_COPY(table<std::string, std::string>({
        {welcome, rows({megabytes.c_str()})},
        {authentication(0) + message('N', megabytes), ""},
    }));
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, greeting}, {5, reply}}};
    const auto result = run_now(loop, login(server));
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == Reason::reply_too_large);
}

TEST_CASE("postgres: neither the environment nor the home directory changes an attempt")
{
    for (const char* name : {"PGHOST", "PGSERVICE", "PGOPTIONS", "PGAPPNAME", "PGSSLMODE", "PGTZ",
                             "PGPASSFILE", "PGREQUIRESSL", "PGCLIENTENCODING"})
        ::setenv(name, "nonsense", 1);
    ::setenv("PGPASSWORD", "from the environment", 1);
    asio::io_context loop;
    ScriptedServer server{loop, {{libpq_startup, authentication(3)}}};
    auto spec = login(server);
    spec.password = {};
    CHECK(run_now(loop, spec).reason == Reason::authentication_required);
    CHECK(server.received().size() == libpq_startup);
    CHECK(std::getenv("PGHOST") == std::string_view{"nonsense"});
    for (const char* name : {"PGHOST", "PGSERVICE", "PGOPTIONS", "PGAPPNAME", "PGSSLMODE", "PGTZ",
                             "PGPASSFILE", "PGREQUIRESSL", "PGCLIENTENCODING", "PGPASSWORD"})
        ::unsetenv(name);
}

TEST_CASE("postgres: all addresses of a name are tried")
{
    asio::io_context loop;
    const TemporaryFile hosts{
        "127.0.0.2 db\n127.0.0.1 db\n127.0.0.2 gone\n127.0.0.3 gone\n127.0.0.2 alone\n"};
    configure_resolver(loop, {.hosts = hosts.path()});
    ScriptedServer server{loop, {{libpq_startup, welcome}, {5, rows({"1"})}}};
    auto spec = login(server);
    spec.address.host = "db";
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
    const auto* const nowhere = GENERATE("gone", "alone");
    spec.address.host = nowhere;
    const auto result = run_now(loop, spec);
    CHECK(result.reason == Reason::connection_refused);
    CHECK(result.phase == Phase::connect);
}

TEST_CASE("postgres: authentication that would stop the loop is seen before libpq sees it")
{
    using postgres::slow_authentication;
    CHECK(slow_authentication(sasl).empty());
    CHECK(slow_authentication("").empty());
    CHECK(slow_authentication(authentication(11, "r=abc,s=def,i=4096")).empty());
    CHECK_THAT(slow_authentication(authentication(11, "r=abc,s=def,i=99999999")),
               Catch::Matchers::ContainsSubstring("99999999"));
    CHECK_THAT(slow_authentication(authentication(7)), Catch::Matchers::ContainsSubstring("GSSAPI"));
}

TEST_CASE("postgres: libpq's words")
{
    using postgres::judge_complaint;
    using postgres::parse_complaint;
    auto [words, reason] = GENERATE(table<std::string, Reason>({
        {"connection to server at \"::1\", port 1 failed: Connection refused\n\tIs the server running?\n"
         "connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: no, hunter2\nLOCATION:  "
         "auth.c:1\n",
         Reason::authentication_failed},
        {"connection to server at \"x\", port 1 failed: server does not support SSL, but SSL was required\n",
         Reason::tls_failure},
        {"connection to server at \"x\", port 1 failed: SSL error: certificate verify failed\n",
         Reason::certificate_untrusted},
        {"connection to server at \"x\", port 1 failed: server certificate for \"a\" does not match host "
         "name \"b\"\n",
         Reason::certificate_name_mismatch},
        {"connection to server at \"x\", port 1 failed: root certificate file \"/x\" does not exist\nEither "
         "provide",
         Reason::bad_configuration},
        {"could not create socket: Too many open files\n", Reason::resource_exhausted},
        {"something new\n", Reason::protocol_error},
        {"", Reason::protocol_error},
    }));
    CAPTURE(words);
    const auto verdict = judge_complaint(parse_complaint(words, Secret{"hunter2"}));
    CHECK(verdict.reason == reason);
    CHECK_THAT(verdict.detail,
               !Catch::Matchers::ContainsSubstring("hunter2") && !Catch::Matchers::ContainsSubstring("\n"));
}

TEST_CASE("postgres: what no single field can know")
{
    CHECK(PostgresSpec{}.faults().empty());
    CHECK(PostgresSpec{.password = Secret{"x"}, .query = "SELECT 1", .expect = "1"}.faults().empty());
    CHECK(PostgresSpec{.password = Secret{"x"}}.faults().size() == 1);
    CHECK(PostgresSpec{.expect = "1"}.faults().size() == 1);
    CHECK(PostgresSpec{.sslmode = SslMode::verify_full}.faults().size() == 1);
    CHECK(PostgresSpec{.sslmode = SslMode::require, .ssl_cert = "a.pem"}.faults().size() == 1);
}
