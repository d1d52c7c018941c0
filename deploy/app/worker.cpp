#include "deploy/app/worker.hpp"

#include "deploy/app/http.hpp"
#include "deploy/app/redis.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <cstring>
#include <thread>

namespace keepwell::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class Worker {
public:
    Worker(const Settings& settings, Metrics& metrics, Faults& faults)
        : settings_{settings}, metrics_{metrics}, faults_{faults}, redis_{*settings.redis}
    {
    }

    void run(const std::atomic<bool>& stop)
    {
        while (!stop) {
            if (steady_clock::now() >= next_beat_)
                beat();
            take_job(stop);
            while (faults_.hanging() && !stop)  // a hung worker neither works nor beats
                std::this_thread::sleep_for(milliseconds{50});
        }
    }

private:
    void take_job(const std::atomic<bool>& stop)
    {
        const auto reply = redis_.command({"BLPOP", settings_.queue, "1"}, milliseconds{1000});
        note("redis", reply);
        if (!reply)
            pause(milliseconds{500}, stop);
        else if (!reply->nil && reply->elements.size() == 2)
            process(reply->elements[1].text, stop);
    }

    // What a job means is its text; the work is to count it, where everybody can see.
    void process(const std::string& job, const std::atomic<bool>& stop)
    {
        static constexpr std::string_view prefix = "faults/";
        if (faults_.enabled() && job.starts_with(prefix)) {
            const bool known = faults_.command(std::string_view{job}.substr(prefix.size())).has_value();
            metrics_.job(known ? "done" : "failed");
            return;
        }
        const auto start = steady_clock::now();
        pause(faults_.delay(), stop);
        const bool failed = faults_.failing() || !redis_.command({"INCR", settings_.queue + ":done"});
        const std::chrono::duration<double, std::milli> taken = steady_clock::now() - start;
        metrics_.job(failed ? "failed" : "done");
        log(failed ? Level::warning : Level::info, failed ? "job failed" : "job done",
            {{"bytes", fmt::to_string(job.size())}, {"ms", fmt::format("{:.1f}", taken.count())}});
    }

    void beat()
    {
        const auto& heartbeat = settings_.heartbeat;
        next_beat_ = steady_clock::now() + heartbeat.interval;
        if (!heartbeat.url.empty())
            note("url", http_post(heartbeat.url, milliseconds{2000}), true);
        if (!heartbeat.key.empty()) {
            const auto ttl = fmt::to_string(heartbeat.interval.count() * 3);
            note("key", redis_.command({"SETEX", heartbeat.key, ttl, fmt::to_string(std::time(nullptr))}),
                 true);
        }
        if (!heartbeat.file.empty())
            note("file", touch(heartbeat.file), true);
    }

    static Result<bool> touch(const std::string& path)
    {
        const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        const bool touched = file >= 0 && futimens(file, nullptr) == 0;
        const int error = errno;
        if (file >= 0)
            close(file);
        if (!touched)
            return std::unexpected(fmt::format("{}: {}", path, std::strerror(error)));
        return true;
    }

    // Counts a beat, and logs when a way to the outside fails or is back, not each time.
    template <class Value>
    void note(std::string_view way, const Result<Value>& result, bool is_beat = false)
    {
        if (is_beat)
            metrics_.beat(way, result.has_value());
        else
            metrics_.dependency(way, result.has_value());
        const auto [entry, is_new] = well_.try_emplace(std::string{way}, true);
        if (result.has_value() == entry->second)
            return;
        entry->second = result.has_value();
        if (result)
            log(Level::info, "is back", {{"what", std::string{way}}});
        else
            log(Level::warning, "fails", {{"what", std::string{way}}, {"error", result.error()}});
    }

    static void pause(milliseconds time, const std::atomic<bool>& stop)
    {
        const auto end = steady_clock::now() + time;
        while (!stop && steady_clock::now() < end)
            std::this_thread::sleep_for(std::min(milliseconds{50}, time));
    }

    const Settings& settings_;
    Metrics& metrics_;
    Faults& faults_;
    Redis redis_;
    std::map<std::string, bool, std::less<>> well_{};
    steady_clock::time_point next_beat_{};
};

}  // namespace

int run_worker(const Settings& settings, const std::function<void()>& wait_for_stop)
{
    Metrics metrics{"worker", KEEPWELL_VERSION};
    Faults faults{settings.faults};
    Site site{metrics, faults};
    site.add("GET", "/health", [](const Request&) { return Response{.body = "{\"status\":\"ok\"}\n"}; });
    std::optional<HttpServer> server;
    if (settings.metrics_port) {
        server.emplace(site, faults);
        if (const auto port = server->start(settings.host, *settings.metrics_port); !port) {
            log(Level::error, port.error());
            return 1;
        }
    }
    Worker worker{settings, metrics, faults};
    std::atomic<bool> stop = false;
    log(Level::info, "working", {{"queue", settings.queue}});
    std::thread thread{[&] { worker.run(stop); }};
    wait_for_stop();
    stop = true;
    thread.join();
    log(Level::info, "stopped");
    return 0;
}

}  // namespace keepwell::app
