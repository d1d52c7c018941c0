#include "deploy/app/users.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <algorithm>
#include <array>
#include <charconv>

namespace keepwell::app {
namespace {

using std::chrono::steady_clock;

struct Free {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Free>;
using Rows = std::unique_ptr<PGresult, Free>;

// The lock keeps replicas that start together from creating the table twice, which PostgreSQL reports as an
// error.
constexpr const char* create_table = R"(
    SELECT pg_advisory_xact_lock(20470331);
    CREATE TABLE IF NOT EXISTS app_users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        email text NOT NULL UNIQUE,
        created timestamptz NOT NULL DEFAULT now());)";
constexpr const char* columns =
    "id, name, email, to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')";

// libpq's messages have several lines, with hints; a log line and a JSON answer want one.
std::string one_line(const char* message)
{
    std::string line{message};
    while (line.ends_with('\n'))
        line.pop_back();
    std::ranges::replace(line, '\n', ' ');
    return line.empty() ? "unknown error" : line;
}

bool wait_for(int socket, short events, steady_clock::time_point deadline)
{
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd entry{.fd = socket, .events = events, .revents = 0};
    return left.count() > 0 && poll(&entry, 1, static_cast<int>(left.count())) > 0;
}

class PostgresUsers final : public Users {
public:
    explicit PostgresUsers(DatabaseSettings settings) : settings_{std::move(settings)} {}

    std::string_view name() const override { return "postgres"; }

    Result<bool> check() override
    {
        return mapped(query("SELECT 1 FROM app_users LIMIT 1", {}), [](const Rows&) { return true; });
    }

    Result<std::vector<User>> newest(int limit) override
    {
        const auto text = fmt::format("SELECT {} FROM app_users ORDER BY id DESC LIMIT {}", columns, limit);
        return mapped(query(text.c_str(), {}), users);
    }

    Result<std::optional<User>> add(const std::string& name, const std::string& email) override
    {
        const auto text = fmt::format(
            "INSERT INTO app_users (name, email) VALUES ($1, $2) "
            "ON CONFLICT (email) DO NOTHING RETURNING {}",
            columns);
        auto rows = query(text.c_str(), {name.c_str(), email.c_str()});
        if (!rows)
            return std::unexpected(std::move(rows.error()));
        auto added = users(*rows);
        return added.empty() ? std::nullopt : std::optional{std::move(added.front())};
    }

private:
    static std::vector<User> users(const Rows& rows)
    {
        std::vector<User> list;
        for (int row = 0; row < PQntuples(rows.get()); ++row) {
            const auto value = [&](int column) { return std::string{PQgetvalue(rows.get(), row, column)}; };
            User user{.name = value(1), .email = value(2), .created = value(3)};
            const std::string id = value(0);
            std::from_chars(id.data(), id.data() + id.size(), user.id);
            list.push_back(std::move(user));
        }
        return list;
    }

    Result<Connection> connect() const;
    Result<Rows> exchange(PGconn* connection) const;
    Result<Rows> query(const char* text, const std::vector<const char*>& parameters);

    DatabaseSettings settings_;
    Connection connection_{};
};

Result<Connection> PostgresUsers::connect() const
{
    const auto deadline = steady_clock::now() + std::chrono::seconds{1};
    const std::string port = fmt::to_string(settings_.port);
    const std::array keywords{"host",     "port",
                              "dbname",   "user",
                              "password", "application_name",
                              "options",  static_cast<const char*>(nullptr)};
    const std::array values{settings_.host.c_str(),     port.c_str(),
                            settings_.name.c_str(),     settings_.username.c_str(),
                            settings_.password.c_str(), "keepwell-app",
                            "-c statement_timeout=1s",  static_cast<const char*>(nullptr)};
    Connection connection{PQconnectStartParams(keywords.data(), values.data(), 0)};
    auto wanted = PGRES_POLLING_WRITING;
    while (PQstatus(connection.get()) != CONNECTION_BAD && wanted != PGRES_POLLING_OK) {
        if (!wait_for(PQsocket(connection.get()), wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                      deadline))
            return std::unexpected(fmt::format("{}:{}: no answer in time", settings_.host, port));
        wanted = PQconnectPoll(connection.get());
        if (wanted == PGRES_POLLING_FAILED)
            break;
    }
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);  // "already exists, skipping"
    if (PQstatus(connection.get()) != CONNECTION_OK)
        return std::unexpected(one_line(PQerrorMessage(connection.get())));
    if (PQsendQuery(connection.get(), create_table) == 0)
        return std::unexpected(one_line(PQerrorMessage(connection.get())));
    if (auto created = exchange(connection.get()); !created)
        return std::unexpected(std::move(created.error()));
    return connection;
}

// Reads the whole answer to what was sent; the last result of it, or its first error.
Result<Rows> PostgresUsers::exchange(PGconn* connection) const
{
    const auto deadline = steady_clock::now() + std::chrono::seconds{1};
    Rows last;
    while (true) {
        while (PQflush(connection) == 1 || PQisBusy(connection) == 1) {
            if (!wait_for(PQsocket(connection), POLLIN, deadline))
                return std::unexpected("no answer in time");
            if (PQconsumeInput(connection) == 0)
                return std::unexpected(one_line(PQerrorMessage(connection)));
        }
        Rows rows{PQgetResult(connection)};
        if (!rows)
            return last ? Result<Rows>{std::move(last)} : std::unexpected("the connection was closed");
        const auto status = PQresultStatus(rows.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
            return std::unexpected(one_line(PQresultErrorMessage(rows.get())));
        last = std::move(rows);
    }
}

Result<Rows> PostgresUsers::query(const char* text, const std::vector<const char*>& parameters)
{
    pollfd entry{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
    if (connection_ && poll(&entry, 1, 0) != 0)
        connection_.reset();  // nothing was asked: the server has closed, or says that it is about to
    if (!connection_) {
        auto connection = connect();
        if (!connection)
            return std::unexpected(std::move(connection.error()));
        connection_ = std::move(*connection);
    }
    const int count = static_cast<int>(parameters.size());
    Result<Rows> rows = std::unexpected("the query could not be sent");
    if (PQsendQueryParams(connection_.get(), text, count, nullptr, parameters.data(), nullptr, nullptr, 0) ==
        1)
        rows = exchange(connection_.get());
    if (!rows)
        connection_.reset();  // also after an error of the query: the table may be gone, connecting makes it
    return rows;
}

}  // namespace

std::unique_ptr<Users> postgres_users(DatabaseSettings settings)
{
    return std::make_unique<PostgresUsers>(std::move(settings));
}

}  // namespace keepwell::app
