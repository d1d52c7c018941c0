#include "probes/postgres.hpp"

#include "probes/descriptor.hpp"
#include "probes/postgres_complaint.hpp"
#include "probes/postgres_protocol.hpp"
#include "probes/postgres_readiness.hpp"
#include "probes/resolver.hpp"
#include "probes/sql.hpp"
#include "probes/stream.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <boost/asio/this_coro.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace keepwell {

namespace {

struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Finish>;
using Result = std::unique_ptr<PGresult, Finish>;
using postgres::Complaint;
using postgres::judge_complaint;

// A path at which there can be no file: libpq looks into the home directory for what it is not given.
constexpr const char* no_file = "/dev/null/none";

// While one lives, the process has no variable that begins with PG: libpq takes every setting that it is not
// given from the environment, and an empty value does not count as given.
class WithoutSettings {
public:
    WithoutSettings()
    {
        for (char** each = all_; each && *each; ++each)
            if (!std::string_view{*each}.starts_with("PG"))
                others_.push_back(*each);
        others_.push_back(nullptr);
        environ = others_.data();
    }
    WithoutSettings(const WithoutSettings&) = delete;
    WithoutSettings& operator=(const WithoutSettings&) = delete;
    ~WithoutSettings() { environ = all_; }

private:
    char** all_ = environ;
    std::vector<char*> others_{};
};

Complaint complaint_of(PGconn* connection, const Secret& password)
{
    return postgres::parse_complaint(PQerrorMessage(connection), password);
}

Verdict too_large()
{
    return rejected(Reason::reply_too_large, fmt::format("more than {} bytes", reply_limit));
}

// What may have come from a server before it is a nuisance: libpq keeps a whole message in memory, however
// long.
class Budget {
public:
    // To be called before libpq reads.
    void spend_on(int socket)
    {
        received_ += unread_bytes(socket);
        if (received_ > reply_limit)
            throw Failure{too_large()};
    }

private:
    std::size_t received_ = 0;
};

// The address for libpq, which would try several one after another and wait for each as long as it takes.
asio::awaitable<asio::ip::address> one_that_answers(const Address& address, Progress& progress)
{
    const auto addresses = co_await resolve(address, progress);
    if (addresses.size() == 1)
        co_return addresses.front();
    auto stream = co_await connect(address, progress);
    stream.socket().set_option(asio::socket_base::linger{false, 0});  // the server would log a reset
    co_return stream.socket().remote_endpoint().address();
}

// Every setting is given, so that neither the environment nor a file in the home directory adds one.
Connection start(const PostgresSpec& spec, const asio::ip::address& address)
{
    const auto or_none = [](const std::string& path) { return path.empty() ? no_file : path.c_str(); };
    const auto hostaddr = address.to_string();
    const auto port = std::to_string(spec.address.port);
    const auto sslmode = name_of(spec.sslmode.value_or(SslMode::prefer));
    std::vector<std::pair<const char*, const char*>> settings{
        {"host", spec.address.host.c_str()},
        {"hostaddr", hostaddr.c_str()},
        {"port", port.c_str()},
        {"user", spec.user.c_str()},
        {"password", spec.logs_in() ? spec.password.reveal().c_str() : ""},
        {"dbname", spec.database.c_str()},
        {"passfile", no_file},
        {"application_name", "keepwell"},
        {"client_encoding", "UTF8"},
        {"target_session_attrs", "any"},
        {"gssencmode", "disable"},
        {"sslmode", sslmode.data()},
        {"sslrootcert", or_none(spec.ssl_root_cert)},
        {"sslcert", or_none(spec.ssl_cert)},
        {"sslkey", or_none(spec.ssl_key)},
        {"sslcrl", no_file},
    };
    constexpr int first_with_require_auth = 160000;
    if (PQlibVersion() >=
        first_with_require_auth)  // anything but GSSAPI, which would ask its servers and wait
        settings.emplace_back("require_auth", "password,md5,scram-sha-256,none");
    std::vector<const char*> keys;
    std::vector<const char*> values;
    for (const auto& [key, value] : settings) {
        keys.push_back(key);
        values.push_back(value);
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    const WithoutSettings guard;
    Connection connection{PQconnectStartParams(keys.data(), values.data(), 0)};
    if (!connection)
        throw std::bad_alloc{};
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
    return connection;
}

// Refuses what libpq would take too long over, as far as it can be seen before TLS hides it: GSSAPI, which
// asks servers of its own and waits for them, and a SCRAM of so many rounds that the loop would stand still.
void refuse_slow_authentication(PGconn* connection, bool logs_in)
{
    // Only what is there may be looked at: an empty socket would give away its pending error, which libpq has
    // to see.
    std::array<char, 512> bytes{};
    if (PQsslInUse(connection) || unread_bytes(PQsocket(connection)) == 0)
        return;
    const auto count = ::recv(PQsocket(connection), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    std::string_view message{bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
    if (const auto way = postgres::slow_authentication(message); !way.empty())
        throw Failure{logs_in ? rejected(Reason::authentication_failed, "the server asks for " + way) : ok()};
}

Phase phase_of(ConnStatusType status)
{
    switch (status) {
        case CONNECTION_NEEDED:
        case CONNECTION_STARTED:
        case CONNECTION_MADE: return Phase::connect;
        case CONNECTION_SSL_STARTUP: return Phase::tls;
        default: return Phase::request;
    }
}

// Connects as far as libpq gets, and that may be nowhere: the status tells.
asio::awaitable<Connection> connect_by_libpq(const PostgresSpec& spec, Progress& progress)
{
    const auto address = co_await one_that_answers(spec.address, progress);
    progress.enter(Phase::connect);
    auto connection = start(spec, address);
    Budget budget;
    auto next = PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        co_await wait_for(PQsocket(connection.get()),
                          next == PGRES_POLLING_READING ? Ready::read : Ready::write);
        budget.spend_on(PQsocket(connection.get()));
        refuse_slow_authentication(connection.get(), spec.logs_in());
        const WithoutSettings guard;
        next = PQconnectPoll(connection.get());
        if (const auto phase = phase_of(PQstatus(connection.get()));
            next != PGRES_POLLING_FAILED && phase != progress.phase())
            progress.enter(phase);
    }
    const auto executor = co_await asio::this_coro::executor;
    if (next == PGRES_POLLING_FAILED && progress.phase() == Phase::connect)
        forget_name(executor, spec.address.host);
    co_return connection;
}

// --- questions
// -----------------------------------------------------------------------------------------------------

struct Session {
    PGconn* connection;
    const PostgresSpec& spec;
    Budget budget{};
};

// The next result, or none after the last.
asio::awaitable<Result> next_result(Session& session)
{
    auto* connection = session.connection;
    while (PQisBusy(connection)) {
        co_await wait_for(PQsocket(connection), Ready::read);
        session.budget.spend_on(PQsocket(connection));
        if (!PQconsumeInput(connection))
            throw Failure{judge_complaint(complaint_of(connection, session.spec.password))};
    }
    co_return Result{PQgetResult(connection)};
}

Verdict judge_result(PGresult* result, const PostgresSpec& spec)
{
    const auto field = [&](int code) {
        const char* text = PQresultErrorField(result, code);
        return std::string{text ? text : ""};
    };
    const Complaint error{field(PG_DIAG_SQLSTATE),
                          server_words(field(PG_DIAG_MESSAGE_PRIMARY), spec.password)};
    if (error.sqlstate.starts_with("57P0"))
        return judge_complaint(error);
    return rejected(Reason::query_failed, fmt::format("{} ({})", error.text, error.sqlstate));
}

// Takes the first row there is; an error after it is an error, too.
void take(PGresult* result, QueryValue& value, const Session& session)
{
    switch (PQresultStatus(result)) {
        case PGRES_SINGLE_TUPLE:
            if (PQnfields(result) > 0 && static_cast<std::size_t>(PQgetlength(result, 0, 0)) > reply_limit)
                throw Failure{too_large()};
            if (!value.row && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0))
                value.text = PQgetvalue(result, 0, 0);
            value.row = true;
            return;
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
        case PGRES_NONFATAL_ERROR: return;
        case PGRES_FATAL_ERROR:
            if (!PQresultErrorField(result, PG_DIAG_SQLSTATE))  // not the server's: the connection is lost
                throw Failure{judge_complaint(complaint_of(session.connection, session.spec.password))};
            throw Failure{judge_result(result, session.spec)};
        default: throw Failure{rejected(Reason::query_failed, "the query is not one that returns rows")};
    }
}

asio::awaitable<QueryValue> ask(Session& session, const std::string& query)
{
    auto* connection = session.connection;
    if (!PQsendQuery(connection, query.c_str()))
        throw Failure{judge_complaint(complaint_of(connection, session.spec.password))};
    PQsetSingleRowMode(connection);
    while (PQflush(connection) > 0)
        co_await wait_for(PQsocket(connection), Ready::write);
    QueryValue value;
    while (const auto result = co_await next_result(session))
        take(result.get(), value, session);
    co_return value;
}

// A query that outlives its attempt would go on at the server, where the next attempts would join it. The
// limit holds for this query only, also behind a pooler; pgbouncer's own console knows no settings.
std::string limited(const PostgresSpec& spec, Clock::time_point deadline)
{
    using std::chrono::milliseconds;
    if (spec.database == "pgbouncer")
        return spec.query;
    // Later than our own deadline also when our loop is late, so that a timeout is called one.
    constexpr milliseconds grace{1000};
    constexpr milliseconds longest = std::chrono::hours{24};
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()) + grace;
    return fmt::format("SET LOCAL statement_timeout = {}; {}",
                       std::clamp(left, milliseconds{1}, longest).count(), spec.query);
}

asio::awaitable<bool> is_standby(Session& session)
{
    if (const char* reported =
            PQparameterStatus(session.connection, "in_hot_standby"))  // PostgreSQL 14 and newer
        co_return std::string_view{reported} == "on";
    const auto value = co_await ask(session, "SELECT pg_catalog.pg_is_in_recovery()");
    co_return value.text == "t";
}

asio::awaitable<Verdict> log_in_and_ask(const PostgresSpec& spec, Progress& progress)
{
    const auto connection = co_await connect_by_libpq(spec, progress);
    if (PQstatus(connection.get()) != CONNECTION_OK)
        co_return judge_complaint(complaint_of(connection.get(), spec.password));
    PQsetnonblocking(connection.get(), 1);
    // libpq reads until the socket is empty: a small buffer keeps a fast server from never letting it be.
    constexpr int receive_buffer = 64 << 10;
    ::setsockopt(PQsocket(connection.get()), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    progress.enter(Phase::reply);
    Session session{connection.get(), spec};
    if (spec.role) {
        const bool standby = co_await is_standby(session);
        const auto role = standby ? PostgresRole::standby : PostgresRole::primary;
        progress.note("is_primary", role == PostgresRole::primary ? 1 : 0);
        if (role != *spec.role)
            co_return rejected(Reason::role_mismatch,
                               fmt::format("is a {}, expected a {}", name_of(role), name_of(*spec.role)));
    }
    if (spec.query.empty())
        co_return ok();
    const auto query = limited(spec, progress.deadline());
    const auto value = co_await ask(session, query);
    co_return judge_value(value, spec.expect, spec.expect_regex, progress);
}

// pg_isready under TLS. libpq is given no password and stops where the server asks for one.
asio::awaitable<Verdict> readiness_under_tls(const PostgresSpec& spec, Progress& progress)
{
    const auto connection = co_await connect_by_libpq(spec, progress);
    if (PQstatus(connection.get()) == CONNECTION_OK || PQconnectionNeedsPassword(connection.get()))
        co_return ok();
    auto complaint = complaint_of(connection.get(), spec.password);
    if (!complaint.sqlstate.empty())
        co_return postgres::judge_readiness(complaint.sqlstate, std::move(complaint.text));
    auto verdict = judge_complaint(std::move(complaint));
    if (verdict.reason == Reason::authentication_failed || verdict.reason == Reason::authentication_required)
        co_return ok();  // a way to authenticate that libpq does not know is a request to authenticate, too
    co_return verdict;
}

}  // namespace

std::vector<std::string> PostgresSpec::faults() const
{
    std::vector<std::string> found;
    if (query.empty() && (expect || !expect_regex.empty()))
        found.emplace_back("`expect` and `expect_regex` need a `query`");
    if (!logs_in() && !password.empty())
        found.emplace_back(
            "`password` is only used for a login: add a `query` (such as SELECT 1) or a `role`, or remove "
            "it");
    if ((sslmode == SslMode::verify_ca || sslmode == SslMode::verify_full) && ssl_root_cert.empty())
        found.emplace_back(
            "`sslmode: verify-ca` and `verify-full` need `ssl_root_cert`, such as "
            "/etc/ssl/certs/ca-certificates.crt");
    if (ssl_cert.empty() != ssl_key.empty())
        found.emplace_back("`ssl_cert` and `ssl_key` go together");
    return found;
}

asio::awaitable<Verdict> probe(const PostgresSpec& spec, Progress& progress)
{
    if (spec.logs_in())
        return log_in_and_ask(spec, progress);
    if (spec.sslmode.value_or(SslMode::disable) == SslMode::disable)
        return postgres::readiness(spec, progress);
    return readiness_under_tls(spec, progress);
}

}  // namespace keepwell
