#pragma once

#include "deploy/app/lane.hpp"
#include "deploy/app/settings.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::app {

struct User {
    std::int64_t id = 0;
    std::string name{};
    std::string email{};
    std::string created{};  // YYYY-MM-DD HH:MM:SS, UTC
};

// The table of users in a database. Each implementation keeps one connection, made when it is first needed
// and again after it broke, and creates the table when there is none yet. Every step is bounded by about a
// second. For one thread at a time.
class Users {
public:
    virtual ~Users() = default;

    virtual std::string_view name() const = 0;  // of the database: "postgres", "mysql"
    virtual Result<bool> check() = 0;           // true: it answers and the table is there
    virtual Result<std::vector<User>> newest(int limit) = 0;
    virtual Result<std::optional<User>> add(const std::string& name,
                                            const std::string& email) = 0;  // empty: taken
};

std::unique_ptr<Users> postgres_users(DatabaseSettings settings);
std::unique_ptr<Users> mysql_users(DatabaseSettings settings);

}  // namespace keepwell::app
