#include "deploy/app/api.hpp"
#include "deploy/app/settings.hpp"
#include "deploy/app/web.hpp"
#include "deploy/app/worker.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <thread>

namespace {

using namespace keepwell::app;

constexpr int wrong_usage = 100;

constexpr std::string_view help = R"(usage: keepwell-app api|web|worker

One program with the three roles of a small web stack, to show and to test what watches over it.

  api      visits in Redis, users in PostgreSQL or MySQL, health of both under /health   (PORT, default 8000)
  web      a page that shows them through the API, /api/ passed on, a WebSocket at /ws   (PORT, default 3000)
  worker   takes jobs from a Redis list and beats                                        (no port)

Environment (an empty variable is not set; NAME_FILE reads passwords and URLs from a file):
  HOST, PORT                                 where to listen; default: every address
  REDIS_URL, or REDIS_HOST, _PORT, _USERNAME, _PASSWORD
  DATABASE_URL, or POSTGRES_HOST, _PORT, _DB, _USERNAME, _PASSWORD,
                or DB_HOST, _PORT, _NAME, _USERNAME, _PASSWORD (MySQL; also MYSQL_HOST, _DATABASE, _USER, ...)
  API_URL, or FASTAPI_HOST, FASTAPI_PORT     web: where the API is; default http://127.0.0.1:8000
  QUEUE                                      the Redis list with the jobs; default: jobs
  HEARTBEAT_URL, HEARTBEAT_KEY, HEARTBEAT_FILE, HEARTBEAT_INTERVAL
                                             worker: POSTed to, set in Redis, touched; every 10 seconds
  METRICS_PORT                               worker: /metrics and /health; default: none
  ENVIRONMENT, LOG_LEVEL                     production; debug, info, warning or error
  APP_FAULTS=1                               obey POST /faults/{hang,error,slow?ms=N,leak?mb=N,crash,clear};
                                             worker: jobs of that name, for example faults/hang

Examples:
  REDIS_URL=redis://127.0.0.1 POSTGRES_HOST=127.0.0.1 POSTGRES_PASSWORD_FILE=/run/secrets/db keepwell-app api
  API_URL=http://127.0.0.1:8000 PORT=3000 keepwell-app web
  REDIS_HOST=127.0.0.1 HEARTBEAT_URL=http://127.0.0.1:5337/api/v1/heartbeat/worker keepwell-app worker

SIGTERM and SIGINT end it: requests in flight are finished, then it exits with 0.
Exit status: 0 stopped, 1 it cannot listen, 100 wrong usage or environment.
)";

int complain(std::string_view text)
{
    fmt::print(stderr, "keepwell-app: {}\nkeepwell-app --help tells more.\n", text);
    return wrong_usage;
}

// Before any thread is started, so that all of them leave these signals to the main thread.
sigset_t block_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

// Whatever is stuck (a name that does not resolve) must not keep the process from ending.
void end_soon()
{
    std::thread{[] {
        std::this_thread::sleep_for(std::chrono::seconds{5});
        log(Level::warning, "not waiting any longer for what is stuck");
        std::_Exit(0);
    }}.detach();
}

int run(std::string_view role)
{
    const auto settings =
        read_settings(role, [](const char* name) -> const char* { return std::getenv(name); });
    if (!settings) {
        for (const auto& sentence : settings.error())
            fmt::print(stderr, "keepwell-app: {}\n", sentence);
        return complain(fmt::format("{} problem(s) in the environment", settings.error().size()));
    }
    set_log(settings->log_level, role);
    const sigset_t signals = block_signals();
    const auto wait_for_stop = [&signals] {
        int number = 0;
        sigwait(&signals, &number);
        log(Level::info, "stopping", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
        end_soon();
    };
    if (role == "api")
        return run_api(*settings, wait_for_stop);
    if (role == "web")
        return run_web(*settings, wait_for_stop);
    return run_worker(*settings, wait_for_stop);
}

}  // namespace

int main(int count, char** words)
try {
    if (count != 2)
        return complain("expected one role: api, web or worker");
    const std::string_view word = words[1];
    if (word == "--help" || word == "-h") {
        fmt::print("{}", help);
        return 0;
    }
    if (word == "--version") {
        fmt::print("keepwell-app {}\n", KEEPWELL_VERSION);
        return 0;
    }
    if (word != "api" && word != "web" && word != "worker")
        return complain(fmt::format("\"{}\" is no role: api, web or worker", word));
    return run(word);
} catch (const std::exception& error) {
    fmt::print(stderr, "keepwell-app: {}\n", error.what());
    return 1;
}
