#pragma once

#include "probes/address.hpp"
#include "probes/field.hpp"
#include "probes/pattern.hpp"
#include "probes/probe.hpp"
#include "probes/secret.hpp"

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

enum class SslMode : std::uint8_t { disable, allow, prefer, require, verify_ca, verify_full };

constexpr auto enum_names(SslMode)
{
    using enum SslMode;
    return std::array{Named{disable, "disable"},     Named{allow, "allow"},
                      Named{prefer, "prefer"},       Named{require, "require"},
                      Named{verify_ca, "verify-ca"}, Named{verify_full, "verify-full"}};
}

enum class PostgresRole : std::uint8_t { primary, standby };

constexpr auto enum_names(PostgresRole)
{
    return std::array{Named{PostgresRole::primary, "primary"}, Named{PostgresRole::standby, "standby"}};
}

// Does a PostgreSQL server take connections? By default this asks what pg_isready(1) asks and does not log
// in: a request to authenticate, or an error other than "cannot connect now", proves that the server serves.
// With a query or a role it logs in and asks.
struct PostgresSpec {
    Address address{};
    std::string user = "postgres";
    Secret password{};
    std::string database = "postgres";
    std::string query{};
    std::optional<std::string> expect{};
    Pattern expect_regex{};
    std::optional<PostgresRole> role{};
    std::optional<SslMode> sslmode{};
    std::string ssl_root_cert{};
    std::string ssl_cert{};
    std::string ssl_key{};

    static constexpr std::string_view kind = "postgres";
    static constexpr std::string_view summary =
        "asks a PostgreSQL server whether it is ready, or logs in and queries";
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &PostgresSpec::address, "host:port of the server"),
            optional("user", &PostgresSpec::user,
                     "role to connect as; without a login it need not exist, but one that does keeps the "
                     "server's log "
                     "quiet"),
            optional("password", &PostgresSpec::password, "its password, for a login"),
            optional("database", &PostgresSpec::database, "database to connect to"),
            optional("query", &PostgresSpec::query, "log in and run this query"),
            optional("expect", &PostgresSpec::expect, "what the first column of its first row must be"),
            optional("expect_regex", &PostgresSpec::expect_regex,
                     "what the first column of its first row must contain"),
            optional("role", &PostgresSpec::role,
                     "log in and check the replication role: primary or standby"),
            optional("sslmode", &PostgresSpec::sslmode,
                     "TLS as libpq does it: disable, allow, prefer, require, verify-ca or verify-full; when "
                     "not set, "
                     "a login prefers TLS and a readiness check does without (a server that accepts TLS only "
                     "answers "
                     "that as well, but logs it: choose require for a quiet log)"),
            optional("ssl_root_cert", &PostgresSpec::ssl_root_cert, "PEM file of the authorities to trust"),
            optional("ssl_cert", &PostgresSpec::ssl_cert, "PEM file of our client certificate"),
            optional("ssl_key", &PostgresSpec::ssl_key, "PEM file of the client certificate's key"),
        };
    }
    bool logs_in() const { return !query.empty() || role; }
    std::vector<std::string> faults() const;
    bool operator==(const PostgresSpec&) const = default;
};

asio::awaitable<Verdict> probe(const PostgresSpec& spec, Progress& progress);

}  // namespace keepwell
