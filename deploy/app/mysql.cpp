#include "deploy/app/users.hpp"

#include <fmt/format.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <charconv>

namespace keepwell::app {
namespace {

struct Free {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
    void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using Connection = std::unique_ptr<MYSQL, Free>;
using Rows = std::unique_ptr<MYSQL_RES, Free>;

constexpr const char* create_table =
    "CREATE TABLE IF NOT EXISTS app_users ("
    "id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(200) NOT NULL, email varchar(250) NOT NULL UNIQUE, "
    "created timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP) CHARACTER SET utf8mb4";
constexpr const char* columns = "id, name, email, DATE_FORMAT(created, '%Y-%m-%d %H:%i:%s')";

class MysqlUsers final : public Users {
public:
    explicit MysqlUsers(DatabaseSettings settings) : settings_{std::move(settings)} {}

    std::string_view name() const override { return "mysql"; }

    Result<bool> check() override
    {
        return mapped(query("SELECT 1 FROM app_users LIMIT 1"), [](const Rows&) { return true; });
    }

    Result<std::vector<User>> newest(int limit) override
    {
        auto rows = query(fmt::format("SELECT {} FROM app_users ORDER BY id DESC LIMIT {}", columns, limit));
        if (!rows)
            return std::unexpected(std::move(rows.error()));
        std::vector<User> list;
        while (MYSQL_ROW row = mysql_fetch_row(rows->get()))
            list.push_back(user(row));
        return list;
    }

    Result<std::optional<User>> add(const std::string& name, const std::string& email) override;

private:
    static User user(MYSQL_ROW row)
    {
        const auto value = [&](int column) { return std::string{row[column] == nullptr ? "" : row[column]}; };
        User user{.name = value(1), .email = value(2), .created = value(3)};
        const std::string id = value(0);
        std::from_chars(id.data(), id.data() + id.size(), user.id);
        return user;
    }

    std::string quoted(const std::string& text) const
    {
        std::string escaped(text.size() * 2 + 1, '\0');
        escaped.resize(mysql_real_escape_string(connection_.get(), escaped.data(), text.data(), text.size()));
        return fmt::format("'{}'", escaped);
    }

    Result<Connection> connect() const;
    Result<bool> ensure_connection();
    Result<Rows> query(const std::string& text);

    DatabaseSettings settings_;
    Connection connection_{};
    unsigned last_error_ = 0;
};

Result<Connection> MysqlUsers::connect() const
{
    Connection connection{mysql_init(nullptr)};
    const unsigned seconds = 1;
    const my_bool off = 0;
    for (const auto option : {MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT})
        mysql_options(connection.get(), option, &seconds);
    // Newer client libraries insist on a certificate; inside of a stack's private network there is none.
    mysql_options(connection.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
    mysql_options(connection.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(connection.get(), settings_.host.c_str(), settings_.username.c_str(),
                           settings_.password.c_str(), settings_.name.c_str(), settings_.port, nullptr,
                           0) == nullptr ||
        mysql_query(connection.get(), "SET time_zone = '+00:00'") != 0 ||
        mysql_query(connection.get(), create_table) != 0)
        return std::unexpected(std::string{mysql_error(connection.get())});
    return connection;
}

Result<bool> MysqlUsers::ensure_connection()
{
    if (connection_ && mysql_ping(connection_.get()) == 0)
        return true;
    connection_.reset();
    auto connection = connect();
    if (!connection)
        return std::unexpected(std::move(connection.error()));
    connection_ = std::move(*connection);
    return true;
}

Result<Rows> MysqlUsers::query(const std::string& text)
{
    if (auto connected = ensure_connection(); !connected)
        return std::unexpected(std::move(connected.error()));
    last_error_ = 0;
    if (mysql_real_query(connection_.get(), text.data(), text.size()) != 0) {
        last_error_ = mysql_errno(connection_.get());
        std::string error = mysql_error(connection_.get());
        if (last_error_ != ER_DUP_ENTRY)
            connection_.reset();  // also when only the table is gone: connecting makes it
        return std::unexpected(std::move(error));
    }
    return Rows{mysql_store_result(connection_.get())};
}

Result<std::optional<User>> MysqlUsers::add(const std::string& name, const std::string& email)
{
    if (auto connected = ensure_connection(); !connected)
        return std::unexpected(std::move(connected.error()));
    const auto insert = query(
        fmt::format("INSERT INTO app_users (name, email) VALUES ({}, {})", quoted(name), quoted(email)));
    if (!insert && last_error_ == ER_DUP_ENTRY)
        return std::nullopt;
    if (!insert)
        return std::unexpected(insert.error());
    auto rows = query(fmt::format("SELECT {} FROM app_users WHERE email = {}", columns, quoted(email)));
    if (!rows)
        return std::unexpected(std::move(rows.error()));
    MYSQL_ROW row = mysql_fetch_row(rows->get());
    return row == nullptr ? std::nullopt : std::optional{user(row)};
}

}  // namespace

std::unique_ptr<Users> mysql_users(DatabaseSettings settings)
{
    return std::make_unique<MysqlUsers>(std::move(settings));
}

}  // namespace keepwell::app
