#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

// What the programs of the bench share: options, a schedule, CPU use, and one line of JSON.
namespace bench {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

[[noreturn]] inline void die(const std::string& what)
{
    std::fprintf(stderr, "%s%s%s\n", what.c_str(), errno ? ": " : "", errno ? std::strerror(errno) : "");
    std::exit(1);
}

// `--name=value` arguments; every one must be asked for by the time finish() is called.
class Options {
public:
    Options(int count, char** arguments)
    {
        for (int i = 1; i < count; ++i) {
            const std::string_view each{arguments[i]};
            const auto equals = each.find('=');
            if (!each.starts_with("--") || equals == each.npos)
                die("not of the form --name=value: " + std::string{each});
            given_[std::string{each.substr(2, equals - 2)}] = each.substr(equals + 1);
        }
    }
    std::string text(const std::string& name, std::string otherwise)
    {
        const auto found = given_.extract(name);
        return found ? found.mapped() : otherwise;
    }
    double number(const std::string& name, double otherwise)
    {
        const auto found = given_.extract(name);
        return found ? std::stod(found.mapped()) : otherwise;
    }
    void finish() const
    {
        if (!given_.empty())
            die("unknown option --" + given_.begin()->first);
    }

private:
    std::map<std::string, std::string> given_;
};

// Which addresses of 127.0.0.0/8 the targets of a schedule have: one each, 250 to a block, from 127.20.0.1
// on.
inline std::string target_address(int index)
{
    return "127." + std::to_string(20 + index / 62500) + "." + std::to_string(index % 62500 / 250) + "." +
           std::to_string(1 + index % 250);
}

// When attempts are due: evenly over each second, or, with a tick, all that fall into one tick together at
// its end. A rate of zero means as fast as attempts end.
struct Pace {
    double rate = 0;  // attempts per second
    double tick = 0;  // seconds
    Clock::time_point begin = Clock::now();

    Clock::time_point due(long attempt) const
    {
        const double at = static_cast<double>(attempt) / rate;
        const double when = tick > 0 ? static_cast<double>(static_cast<long>(at / tick) + 1) * tick : at;
        return begin + std::chrono::duration_cast<Clock::duration>(Seconds{when});
    }
};

// Counts attempts and the CPU they took, less those of the warm-up.
class Tally {
public:
    Tally(long count, long warm_up) : total_{count + warm_up}, warm_up_{warm_up} { restart(); }

    bool may_begin() const { return begun_ < total_; }
    long begin() { return begun_++; }
    long begun() const { return begun_; }
    bool done() const { return ended_ == total_; }

    void end(bool good)
    {
        bad_ += good ? 0 : 1;
        if (++ended_ == warm_up_)
            restart();
    }

    // Prints the line; the exit code is 1 when an attempt failed.
    int report() const
    {
        const auto attempts = static_cast<double>(std::max(1L, ended_ - warm_up_));
        const double wall = Seconds{Clock::now() - begin_}.count();
        const Use use = used_now();
        const double user = use.user - use_.user;
        const double system = use.system - use_.system;
        std::printf(
            "{\"attempts\":%.0f,\"failed\":%ld,\"cpu_us\":%.3f,\"user_us\":%.3f,\"system_us\":%.3f,"
            "\"wall_s\":%.3f,\"per_second\":%.1f}\n",
            attempts, bad_, (user + system) / attempts * 1e6, user / attempts * 1e6, system / attempts * 1e6,
            wall, attempts / wall);
        return bad_ == 0 ? 0 : 1;
    }

private:
    struct Use {
        double user = 0;  // seconds
        double system = 0;
    };
    static double seconds(timeval time)
    {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    }
    static Use used_now()
    {
        rusage use{};
        getrusage(RUSAGE_SELF, &use);
        return {seconds(use.ru_utime), seconds(use.ru_stime)};
    }
    void restart()
    {
        use_ = used_now();
        begin_ = Clock::now();
    }

    long total_;
    long warm_up_;
    long begun_ = 0;
    long ended_ = 0;
    long bad_ = 0;
    Use use_{};
    Clock::time_point begin_{};
};

}  // namespace bench
