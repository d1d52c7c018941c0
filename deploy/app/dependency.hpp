#pragma once

#include "deploy/app/lane.hpp"
#include "deploy/app/log.hpp"
#include "deploy/app/metrics.hpp"

#include <atomic>
#include <string_view>
#include <utility>

namespace keepwell::app {

// A client of something this process depends on, used on a lane of its own. Whether it answered is a metric,
// and is logged when it changes.
template <class Client>
class Dependency {
public:
    Dependency(std::string_view name, Client client, Metrics& metrics)
        : name_{name}, metrics_{metrics}, client_{std::move(client)}
    {
    }

    std::string_view name() const { return name_; }

    // Work is called with the client, on the lane.
    template <class Work>
    auto start(Work work, Lane::Deadline deadline)
    {
        return lane_.start([this, work = std::move(work)] { return work(client_); }, deadline);
    }

    template <class Answer>
    Answer finish(std::future<Answer>& pending, Lane::Deadline deadline)
    {
        auto answer = Lane::wait(pending, deadline);
        note(answer.has_value(), answer ? "" : answer.error());
        return answer;
    }

    template <class Work>
    auto run(Work work, std::chrono::milliseconds limit)
    {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        auto pending = start(std::move(work), deadline);
        return finish(pending, deadline);
    }

private:
    enum class Seen { never, up, down };

    void note(bool up, const std::string& error)
    {
        metrics_.dependency(name_, up);
        const Seen now = up ? Seen::up : Seen::down;
        const Seen before = seen_.exchange(now);
        if (now == before)
            return;
        if (up)
            log(Level::info, before == Seen::never ? "dependency is there" : "dependency is back",
                {{"dependency", std::string{name_}}});
        else
            log(Level::warning, "dependency fails", {{"dependency", std::string{name_}}, {"error", error}});
    }

    std::string_view name_;
    Metrics& metrics_;
    std::atomic<Seen> seen_ = Seen::never;
    Client client_;
    Lane lane_{};  // last: its thread uses the client
};

// Calls a function now and then every interval, on a thread of its own, until destroyed.
class Periodic {
public:
    Periodic(std::function<void()> work, std::chrono::milliseconds interval)
        : thread_{[work = std::move(work), interval](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any changed;
              std::unique_lock lock{mutex};
              while (!stop.stop_requested()) {
                  work();
                  changed.wait_for(lock, stop, interval, [] { return false; });
              }
          }}
    {
    }

private:
    std::jthread thread_;
};

}  // namespace keepwell::app
