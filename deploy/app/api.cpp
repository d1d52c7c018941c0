#include "deploy/app/api.hpp"

#include "deploy/app/dependency.hpp"
#include "deploy/app/http.hpp"
#include "deploy/app/redis.hpp"
#include "deploy/app/users.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>
#include <cmath>
#include <optional>

namespace keepwell::app {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

// A client that checks health gives up after a few seconds; the answer comes before that, whatever hangs.
constexpr std::chrono::milliseconds limit{1500};
constexpr int most_users = 100;
constexpr std::int64_t longest_queue = 10'000;

Response json_response(const json::value& value, int status = 200)
{
    return {.status = status, .body = json::serialize(value) + "\n"};
}

json::object to_json(const User& user)
{
    return {{"id", user.id}, {"name", user.name}, {"email", user.email}, {"created", user.created}};
}

Response not_available(std::string_view dependency, std::string_view error)
{
    return problem(503, fmt::format("{}: {}", dependency, error));
}

Result<bool> ping(Redis& redis)
{
    return mapped(redis.command({"PING"}), [](const RedisReply&) { return true; });
}

class Api {
public:
    Api(const Settings& settings, Metrics& metrics) : settings_{settings}
    {
        if (settings.redis)
            redis_.emplace("redis", Redis{*settings.redis}, metrics);
        if (settings.database) {
            const bool postgres = settings.database->kind == DatabaseKind::postgres;
            users_.emplace(postgres ? "postgres" : "mysql",
                           postgres ? postgres_users(*settings.database) : mysql_users(*settings.database),
                           metrics);
        }
    }

    void add_routes(Site& site)
    {
        const auto route = [&](std::string_view method, std::string_view path,
                               Response (Api::*answer)(const Request&)) {
            site.add(method, path,
                     [this, answer](const Request& request) { return (this->*answer)(request); });
        };
        for (const auto* path : {"/health", "/api/health", "/api/v1/health"})
            route("GET", path, &Api::health);
        route("GET", "/", &Api::visit);
        route("GET", "/api/v1/visits", &Api::visits);
        route("POST", "/api/v1/visits", &Api::visit);
        route("GET", "/api/v1/users", &Api::list_users);
        route("POST", "/api/v1/users", &Api::add_user);
        route("GET", "/api/v1/jobs", &Api::jobs);
        route("POST", "/api/v1/jobs", &Api::add_job);
        route("GET", "/api/v1/config/frontend", &Api::frontend);
    }

    // Looks at the dependencies, so that their metrics and the log tell of them even when nobody asks.
    void look() { check(steady_clock::now() + limit); }

private:
    struct Check {
        std::string_view name{};
        Result<bool> outcome{};
        double seconds = 0;
    };

    // Both at once, so that two that hang take no longer than one.
    std::vector<Check> check(steady_clock::time_point deadline)
    {
        std::vector<Check> checks;
        const auto start = steady_clock::now();
        const auto finish = [&](auto& dependency, auto& pending) {
            auto outcome = dependency.finish(pending, deadline);
            const std::chrono::duration<double> taken = steady_clock::now() - start;
            checks.push_back(
                {.name = dependency.name(), .outcome = std::move(outcome), .seconds = taken.count()});
        };
        std::future<Result<bool>> redis;
        std::future<Result<bool>> users;
        if (redis_)
            redis = redis_->start(ping, deadline);
        if (users_)
            users = users_->start([](auto& it) { return it->check(); }, deadline);
        if (redis_)
            finish(*redis_, redis);
        if (users_)
            finish(*users_, users);
        return checks;
    }

    Response health(const Request&)
    {
        json::object checks;
        bool well = true;
        for (const auto& [name, outcome, seconds] : check(steady_clock::now() + limit)) {
            well = well && outcome.has_value();
            json::object entry{{"status", outcome ? "ok" : "failed"}, {"us", std::llround(seconds * 1e6)}};
            if (!outcome)
                entry["error"] = outcome.error();
            checks[name] = std::move(entry);
        }
        return json_response(
            {{"status", well ? "ok" : "failed"}, {"version", KEEPWELL_VERSION}, {"checks", checks}},
            well ? 200 : 503);
    }

    Response with_redis(const std::vector<std::string>& command,
                        const std::function<Response(const RedisReply&)>& answer)
    {
        if (!redis_)
            return not_available("redis", "not configured: set REDIS_URL or REDIS_HOST");
        const auto reply = redis_->run([command](Redis& it) { return it.command(command); }, limit);
        return reply ? answer(*reply) : not_available("redis", reply.error());
    }

    Response visit(const Request&)
    {
        return with_redis({"INCR", "visits"},
                          [](const RedisReply& reply) { return json_response({{"visits", reply.number}}); });
    }

    Response visits(const Request&)
    {
        return with_redis({"GET", "visits"}, [](const RedisReply& reply) {
            return json_response({{"visits", reply.nil ? 0 : std::stoll(reply.text)}});
        });
    }

    Response jobs(const Request&)
    {
        return with_redis({"LLEN", settings_.queue},
                          [](const RedisReply& reply) { return json_response({{"queued", reply.number}}); });
    }

    Response add_job(const Request& request)
    {
        if (request.body.empty() || request.body.size() > 4096)
            return problem(400, "a job is a text of 1 to 4096 bytes");
        return with_redis({"LLEN", settings_.queue}, [&](const RedisReply& queued) {
            if (queued.number >= longest_queue)
                return problem(503, "the queue is full: is there a worker?");
            return with_redis({"RPUSH", settings_.queue, request.body}, [](const RedisReply& reply) {
                return json_response({{"queued", reply.number}}, 202);
            });
        });
    }

    Response list_users(const Request&)
    {
        if (!users_)
            return not_available("database", "not configured: set POSTGRES_HOST, DB_HOST or DATABASE_URL");
        const auto users = users_->run([](auto& it) { return it->newest(most_users); }, limit);
        if (!users)
            return not_available(users_->name(), users.error());
        json::array list;
        for (const User& user : *users)
            list.push_back(to_json(user));
        return json_response({{"users", std::move(list)}});
    }

    Response add_user(const Request& request);

    Response frontend(const Request&)
    {
        return json_response({{"environment", settings_.environment},
                              {"version", KEEPWELL_VERSION},
                              {"apiUrl", "/api/v1"},
                              {"websocketUrl", "/ws"},
                              {"features", {{"users", users_.has_value()}, {"visits", redis_.has_value()}}}});
    }

    const Settings& settings_;
    std::optional<Dependency<Redis>> redis_{};
    std::optional<Dependency<std::unique_ptr<Users>>> users_{};
};

Response Api::add_user(const Request& request)
{
    if (!users_)
        return not_available("database", "not configured: set POSTGRES_HOST, DB_HOST or DATABASE_URL");
    json::error_code error;
    const json::value body = json::parse(request.body, error);
    const auto text = [&](std::string_view key) -> std::string {
        const auto* value = body.is_object() ? body.get_object().if_contains(key) : nullptr;
        return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
    };
    const std::string name = text("name");
    const std::string email = text("email");
    const auto is_fit = [](const std::string& value) {
        return !value.empty() && value.size() <= 200 && value.find('\0') == value.npos;
    };
    if (error || !is_fit(name) || !is_fit(email) || !email.contains('@'))
        return problem(400, R"(expected {"name": "...", "email": "...@..."}, at most 200 bytes each)");
    const auto user = users_->run([=](auto& it) { return it->add(name, email); }, limit);
    if (!user)
        return not_available(users_->name(), user.error());
    return *user ? json_response(to_json(**user), 201)
                 : problem(409, "there is a user with this email already");
}

}  // namespace

int run_api(const Settings& settings, const std::function<void()>& wait_for_stop)
{
    Metrics metrics{"api", KEEPWELL_VERSION};
    Faults faults{settings.faults};
    Api api{settings, metrics};
    Site site{metrics, faults};
    api.add_routes(site);
    HttpServer server{site, faults};
    const auto port = server.start(settings.host, settings.port);
    if (!port) {
        log(Level::error, port.error());
        return 1;
    }
    log(Level::info, "listening", {{"port", fmt::to_string(*port)}});
    {
        const Periodic looking{[&api] { api.look(); }, std::chrono::seconds{2}};
        wait_for_stop();
    }
    server.stop();
    log(Level::info, "stopped");
    return 0;
}

}  // namespace keepwell::app
