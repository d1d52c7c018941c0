#include "daemon/compose/options.hpp"
#include "daemon/compose/tools.hpp"

#include <algorithm>
#include <array>

namespace keepwell::compose {

namespace {

using Why = Untranslated::Why;
using Names = std::pair<std::string_view, char>;

Setting secret(std::string key, const Word& word, const Inside& inside)
{
    return secret_setting(std::move(key), word.text, word, inside);
}

// The container's variable, as a word; nothing when it is not set or empty.
std::optional<Word> variable(const Inside& inside, std::string_view name)
{
    auto value = inside.variables(name);
    if (!value || value->empty())
        return std::nullopt;
    return Word{*std::move(value), std::string{name}, {}};
}

NativeProbe redis_cli(const Command& command, const Inside& inside)
{
    constexpr std::array names{Names{"user", '1'}, Names{"pass", 'a'}, Names{"cacert", '2'},
                               Names{"cert", '3'}, Names{"key", '4'}};
    constexpr std::array flags{Names{"tls", 't'}, Names{"insecure", 'k'}};
    const Options options{std::span{command.words}.subspan(1), {"hpantu1234", names, flags}};
    NativeProbe probe{"redis",
                      outside_address(options.text('h', "localhost"), options.text('p', "6379"), inside)};
    if (options.has('1'))
        probe.settings.push_back(setting("username", *options.find('1')));
    if (const auto* password = options.find('a'))
        probe.settings.push_back(secret("password", *password, inside));
    else if (const auto from = variable(inside, "REDISCLI_AUTH"))
        probe.settings.push_back(secret("password", *from, inside));
    if (options.has('t'))
        probe.settings.push_back({"tls", "true"});
    if (options.has('n'))
        probe.settings.push_back({"database", options.text('n')});
    for (const auto& filter : command.filters)
        for (const std::string_view role : {"master", "slave"})
            if (filter.text == "role:" + std::string{role})
                probe.settings.push_back({"role", role == "slave" ? "replica" : "master"});
    return probe;
}

constexpr std::array psql_names{Names{"username", 'U'}, Names{"dbname", 'd'},  Names{"host", 'h'},
                                Names{"port", 'p'},     Names{"command", 'c'}, Names{"timeout", 't'}};

// host:port of a PostgreSQL client; a directory of sockets as host is the server in the container.
std::string postgres_address(const Options& options, const Inside& inside)
{
    auto host = options.text('h', "localhost");
    if (host.starts_with('/'))
        host = "localhost";
    return outside_address(host, options.text('p', inside.variables("PGPORT").value_or("5432")), inside);
}

void add_login(NativeProbe& probe, const Options& options, const Inside& inside)
{
    auto user = options.find('U') ? std::optional{*options.find('U')} : variable(inside, "POSTGRES_USER");
    auto database = options.find('d') ? std::optional{*options.find('d')} : variable(inside, "POSTGRES_DB");
    if (user && !user->text.empty())
        probe.settings.push_back(setting("user", *user));
    if (database && database->text.empty())
        database = user;
    if (database && !database->text.empty())
        probe.settings.push_back(setting("database", *database));
}

NativeProbe pg_isready(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), {"UdhptX", psql_names, {}}};
    NativeProbe probe{"postgres", postgres_address(options, inside)};
    add_login(probe, options, inside);
    return probe;
}

// A query is translated when the password is known: inside, the server often lets everybody in.
NativeProbe psql(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), {"UdhpctvPFR", psql_names, {}}};
    NativeProbe probe{"postgres", postgres_address(options, inside)};
    add_login(probe, options, inside);
    auto password = variable(inside, "PGPASSWORD");
    if (!password)
        password = variable(inside, "POSTGRES_PASSWORD");
    if (password && options.has('c')) {
        probe.settings.push_back(secret("password", *password, inside));
        probe.settings.push_back(setting("query", *options.find('c')));
    }
    return probe;
}

constexpr std::array mysql_names{Names{"user", 'u'},     Names{"password", 'p'},       Names{"host", 'h'},
                                 Names{"port", 'P'},     Names{"execute", 'e'},        Names{"database", 'D'},
                                 Names{"protocol", '1'}, Names{"connect-timeout", '2'}};
constexpr Grammar mysql_grammar{"uhPeD12S", mysql_names, {}, "p"};

NativeProbe mysql_as(const Options& options, const Inside& inside)
{
    NativeProbe probe{"mysql",
                      outside_address(options.text('h', "localhost"), options.text('P', "3306"), inside)};
    const auto* user = options.find('u');
    const auto* password = options.find('p');
    // The root of the official images may log in from anywhere only when they are told so; a check from
    // outside with its password would be turned away, and the server would count that.
    if (user && !user->text.empty() && user->text != "root") {
        probe.settings.push_back(setting("user", *user));
        if (password && !password->text.empty())
            probe.settings.push_back(secret("password", *password, inside));
    }
    return probe;
}

NativeProbe mysqladmin(const Command& command, const Inside& inside)
{
    return mysql_as(Options{std::span{command.words}.subspan(1), mysql_grammar}, inside);
}

NativeProbe mysql(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), mysql_grammar};
    auto probe = mysql_as(options, inside);
    if (options.has('e') && probe.settings.size() == 2)  // it logs in
        probe.settings.push_back(setting("query", *options.find('e')));
    return probe;
}

// The official MariaDB image's own.
NativeProbe mariadb_healthcheck(const Command&, const Inside& inside)
{
    return {"mysql", outside_address("localhost", "3306", inside)};
}

}  // namespace

std::span<const NamedTool> database_tools()
{
    static constexpr std::array tools{
        NamedTool{"redis-cli", redis_cli},
        NamedTool{"valkey-cli", redis_cli},
        NamedTool{"keydb-cli", redis_cli},
        NamedTool{"pg_isready", pg_isready},
        NamedTool{"psql", psql},
        NamedTool{"mysqladmin", mysqladmin},
        NamedTool{"mariadb-admin", mysqladmin},
        NamedTool{"mysql", mysql},
        NamedTool{"mariadb", mysql},
        NamedTool{"healthcheck.sh", mariadb_healthcheck},
    };
    return tools;
}

}  // namespace keepwell::compose
