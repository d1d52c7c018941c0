#pragma once

#include "probes/address.hpp"
#include "probes/pattern.hpp"
#include "probes/probe.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// Does a MySQL or MariaDB server serve? It logs in and pings, or runs a query: servers count connections that
// end without a login, and block the hosts that they come from.
struct MysqlSpec {
    Address address{};
    std::string user{};
    Secret password{};
    std::string database{};
    std::string query{};
    std::optional<std::string> expect{};
    Pattern expect_regex{};
    std::optional<TlsOptions> tls{};

    static constexpr std::string_view kind = "mysql";
    static constexpr std::string_view summary =
        "logs in to a MySQL or MariaDB server and pings it, or queries";
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &MysqlSpec::address, "host:port of the server"),
            optional("user", &MysqlSpec::user,
                     "user to log in as; it needs no rights. When not set, the attempt logs in as `keepwell` "
                     "without "
                     "a password and is content to be refused: who refuses serves. A refusal does not count "
                     "towards "
                     "max_connect_errors, but MariaDB logs it; `CREATE USER keepwell` keeps the log quiet"),
            optional("password", &MysqlSpec::password, "its password"),
            optional("database", &MysqlSpec::database, "database to use"),
            optional("query", &MysqlSpec::query, "run this query instead of a ping"),
            optional("expect", &MysqlSpec::expect, "what the first column of its first row must be"),
            optional("expect_regex", &MysqlSpec::expect_regex,
                     "what the first column of its first row must contain"),
            optional("tls", &MysqlSpec::tls, "speak TLS: true, or a table of options"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const MysqlSpec&) const = default;
};

asio::awaitable<Verdict> probe(const MysqlSpec& spec, Progress& progress);

}  // namespace keepwell
