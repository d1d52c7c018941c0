#include "deploy/app/settings.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <utility>

namespace keepwell::app {
namespace {

template <class Number>
std::optional<Number> number(std::string_view text)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::string percent_decoded(std::string_view text)
{
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const char* digits = text.data() + i + 1;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
            decoded += static_cast<char>(value);
            i += 2;
        } else {
            decoded += text[i];
        }
    }
    return decoded;
}

// The environment, read by name; what is wrong is collected instead of thrown, so that all of it is told at
// once.
class Environment {
public:
    explicit Environment(const Lookup& lookup) : lookup_{lookup} {}

    std::string text(std::initializer_list<const char*> names, std::string fallback = {})
    {
        for (const char* name : names)
            if (const char* value = lookup_(name); value != nullptr && *value != '\0')
                return value;
        return fallback;
    }

    // NAME or the content of the file that NAME_FILE names, without its last line end.
    std::string secret(std::initializer_list<const char*> names)
    {
        for (const char* name : names) {
            const std::string file_name = fmt::format("{}_FILE", name);
            std::string value = text({name});
            const std::string path = text({file_name.c_str()});
            if (!value.empty() && !path.empty())
                problem("{} and {} are both set; one of them is enough", name, file_name);
            if (!path.empty())
                return content(file_name, path);
            if (!value.empty())
                return value;
        }
        return {};
    }

    std::optional<std::uint16_t> port(std::initializer_list<const char*> names)
    {
        for (const char* name : names)
            if (const std::string value = text({name}); !value.empty()) {
                const auto port = number<std::uint16_t>(value);
                if (!port)
                    problem("{}={}: not a port (0 to 65535)", name, value);
                return port;
            }
        return std::nullopt;
    }

    template <class... Args>
    void problem(fmt::format_string<Args...> format, Args&&... args)
    {
        problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }

    std::vector<std::string> problems() { return std::move(problems_); }

private:
    std::string content(const std::string& name, const std::string& path)
    {
        std::ifstream file{path};
        std::string value{std::istreambuf_iterator<char>{file}, {}};
        if (!file)
            problem("{}={}: cannot be read", name, path);
        while (value.ends_with('\n') || value.ends_with('\r'))
            value.pop_back();
        return value;
    }

    const Lookup& lookup_;
    std::vector<std::string> problems_{};
};

std::optional<RedisSettings> read_redis(Environment& environment)
{
    RedisSettings redis;
    const std::string url_text = environment.secret({"REDIS_URL"});
    redis.host = environment.text({"REDIS_HOST"});
    if (url_text.empty() && redis.host.empty())
        return std::nullopt;
    redis.port = environment.port({"REDIS_PORT"}).value_or(redis.port);
    redis.username = environment.text({"REDIS_USERNAME"});
    redis.password = environment.secret({"REDIS_PASSWORD"});
    if (url_text.empty())
        return redis;

    const auto url = parse_url(url_text);
    if (!url || url->scheme != "redis" || url->host.empty()) {
        environment.problem("REDIS_URL: expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]");
        return std::nullopt;
    }
    redis.host = url->host;
    redis.port = url->port.value_or(redis.port);
    redis.username = url->username.empty() ? redis.username : url->username;
    redis.password = url->password.empty() ? redis.password : url->password;
    if (url->path.size() > 1) {
        const auto database = number<int>(std::string_view{url->path}.substr(1));
        if (!database || *database < 0)
            environment.problem("REDIS_URL: \"{}\" is not the number of a database", url->path.substr(1));
        redis.database = database.value_or(0);
    }
    return redis;
}

DatabaseSettings postgres_parts(Environment& environment)
{
    return {.kind = DatabaseKind::postgres,
            .host = environment.text({"POSTGRES_HOST"}),
            .port = environment.port({"POSTGRES_PORT"}).value_or(5432),
            .name = environment.text({"POSTGRES_DB"}, "postgres"),
            .username = environment.text({"POSTGRES_USERNAME", "POSTGRES_USER"}, "postgres"),
            .password = environment.secret({"POSTGRES_PASSWORD"})};
}

DatabaseSettings mysql_parts(Environment& environment)
{
    return {.kind = DatabaseKind::mysql,
            .host = environment.text({"DB_HOST", "MYSQL_HOST"}),
            .port = environment.port({"DB_PORT", "MYSQL_PORT"}).value_or(3306),
            .name = environment.text({"DB_NAME", "MYSQL_DATABASE"}, "app"),
            .username = environment.text({"DB_USERNAME", "DB_USER", "MYSQL_USER"}, "root"),
            .password = environment.secret({"DB_PASSWORD", "MYSQL_PASSWORD"})};
}

// "postgresql+psycopg2" and its like: what follows the plus is of no interest here.
std::optional<DatabaseKind> database_kind(std::string_view scheme)
{
    scheme = scheme.substr(0, scheme.find('+'));
    if (scheme == "postgres" || scheme == "postgresql")
        return DatabaseKind::postgres;
    if (scheme == "mysql" || scheme == "mariadb")
        return DatabaseKind::mysql;
    return std::nullopt;
}

std::optional<DatabaseSettings> database_of_url(Environment& environment, std::string_view text)
{
    const auto url = parse_url(text);
    const auto kind = url ? database_kind(url->scheme) : std::nullopt;
    if (!kind || url->host.empty()) {
        environment.problem(
            "DATABASE_URL: expected postgres:// or mysql://USER:PASSWORD@HOST[:PORT]/DATABASE");
        return std::nullopt;
    }
    auto database = *kind == DatabaseKind::postgres ? postgres_parts(environment) : mysql_parts(environment);
    database.host = url->host;
    database.port = url->port.value_or(database.port);
    database.username = url->username.empty() ? database.username : url->username;
    database.password = url->password.empty() ? database.password : url->password;
    if (url->path.size() > 1)
        database.name = url->path.substr(1, url->path.find('?') - 1);
    return database;
}

std::optional<DatabaseSettings> read_database(Environment& environment)
{
    if (const std::string url = environment.secret({"DATABASE_URL"}); !url.empty())
        return database_of_url(environment, url);
    const bool postgres = !environment.text({"POSTGRES_HOST"}).empty();
    const bool mysql = !environment.text({"DB_HOST", "MYSQL_HOST"}).empty();
    if (postgres && mysql)
        environment.problem(
            "POSTGRES_HOST and DB_HOST (or MYSQL_HOST) are both set; which database has the users?");
    if (postgres)
        return postgres_parts(environment);
    if (mysql)
        return mysql_parts(environment);
    return std::nullopt;
}

void read_api_address(Environment& environment, Settings& settings)
{
    settings.api_host = environment.text({"FASTAPI_HOST"}, "127.0.0.1");
    settings.api_port = environment.port({"FASTAPI_PORT"}).value_or(8000);
    const std::string text = environment.text({"API_URL", "REACT_APP_API_URL"});
    if (text.empty())
        return;
    const auto url = parse_url(text);
    if (!url || url->scheme != "http" || url->host.empty() || !(url->path.empty() || url->path == "/")) {
        environment.problem("API_URL={}: expected http://HOST[:PORT]", text);
        return;
    }
    settings.api_host = url->host;
    settings.api_port = url->port.value_or(80);
}

HeartbeatSettings read_heartbeat(Environment& environment)
{
    HeartbeatSettings heartbeat{.url = environment.text({"HEARTBEAT_URL"}),
                                .key = environment.text({"HEARTBEAT_KEY"}),
                                .file = environment.text({"HEARTBEAT_FILE"})};
    if (const std::string text = environment.text({"HEARTBEAT_INTERVAL"}); !text.empty()) {
        const auto seconds = number<int>(text.ends_with('s') ? text.substr(0, text.size() - 1) : text);
        if (!seconds || *seconds < 1 || *seconds > 86400)
            environment.problem("HEARTBEAT_INTERVAL={}: expected seconds, 1 to 86400", text);
        heartbeat.interval = std::chrono::seconds{seconds.value_or(10)};
    }
    if (!heartbeat.url.empty())
        if (const auto url = parse_url(heartbeat.url); !url || url->scheme != "http" || url->host.empty())
            environment.problem("HEARTBEAT_URL={}: expected http://HOST[:PORT]/PATH", heartbeat.url);
    return heartbeat;
}

Level read_level(Environment& environment)
{
    const std::string text = environment.text({"LOG_LEVEL"}, "info");
    static constexpr std::pair<std::string_view, Level> levels[] = {
        {"debug", Level::debug}, {"info", Level::info}, {"warning", Level::warning}, {"error", Level::error}};
    for (const auto& [name, level] : levels)
        if (text == name)
            return level;
    environment.problem("LOG_LEVEL={}: expected debug, info, warning or error", text);
    return Level::info;
}

}  // namespace

std::expected<Url, std::string> parse_url(std::string_view text)
{
    Url url;
    const auto separator = text.find("://");
    if (separator == text.npos)
        return std::unexpected("no scheme");
    url.scheme = text.substr(0, separator);
    text.remove_prefix(separator + 3);
    const auto slash = std::min(text.find('/'), text.find('?'));
    url.path = slash == text.npos ? "" : percent_decoded(text.substr(slash));
    std::string_view authority = text.substr(0, slash);
    if (const auto at = authority.rfind('@'); at != authority.npos) {
        const std::string_view user = authority.substr(0, at);
        const auto colon = user.find(':');
        url.username = percent_decoded(user.substr(0, colon));
        url.password = colon == user.npos ? "" : percent_decoded(user.substr(colon + 1));
        authority.remove_prefix(at + 1);
    }
    const auto host_end = authority.starts_with('[') ? authority.find(']') : 0;
    if (host_end == authority.npos)
        return std::unexpected("the address does not end with ]");
    const auto colon = authority.find(':', host_end);
    url.host = authority.substr(0, colon);
    if (url.host.starts_with('['))
        url.host = url.host.substr(1, url.host.size() - 2);
    if (colon == authority.npos)
        return url;
    url.port = number<std::uint16_t>(authority.substr(colon + 1));
    if (!url.port)
        return std::unexpected("the port is not a number up to 65535");
    return url;
}

std::expected<Settings, std::vector<std::string>> read_settings(std::string_view role, const Lookup& lookup)
{
    Environment environment{lookup};
    Settings settings;
    settings.host = environment.text({"HOST"});
    if (role == "api")
        settings.port = environment.port({"PORT", "FASTAPI_PORT"}).value_or(8000);
    else
        settings.port = environment.port({"PORT", "FLASK_PORT"}).value_or(3000);
    settings.metrics_port = environment.port({"METRICS_PORT"});
    if (role != "web")
        settings.redis = read_redis(environment);
    if (role == "api")
        settings.database = read_database(environment);
    if (role == "web")
        read_api_address(environment, settings);
    if (role == "worker") {
        settings.heartbeat = read_heartbeat(environment);
        if (!settings.redis)
            environment.problem("REDIS_URL or REDIS_HOST: a worker needs the Redis with its jobs");
    }
    settings.environment = environment.text({"ENVIRONMENT", "FLASK_ENV", "NODE_ENV"}, "production");
    settings.queue = environment.text({"QUEUE"}, "jobs");
    settings.log_level = read_level(environment);
    settings.faults = environment.text({"APP_FAULTS"}) == "1";
    auto problems = environment.problems();
    if (!problems.empty())
        return std::unexpected(std::move(problems));
    return settings;
}

}  // namespace keepwell::app
