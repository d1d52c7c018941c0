#include "probes/heartbeat.hpp"

#include <boost/asio/this_coro.hpp>

#include <sys/stat.h>

#include <cstring>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

// Clocks of two hosts differ a little; nobody needs to be told.
constexpr Clock::duration clock_tolerance = 2s;

// A beat as its source has it.
struct Stamp {
    std::int64_t nanoseconds = 0;  // since 1970
    Clock::duration age{};         // by the clock on the wall; negative when it lies in the future
};

Stamp stamp_of(std::int64_t nanoseconds)
{
    const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
    return {nanoseconds, now - std::chrono::nanoseconds{nanoseconds}};
}

// "95 s", "3.2 s"
std::string seconds_text(Clock::duration length)
{
    const auto tenths = length / 100ms;
    if (tenths >= 100)
        return std::to_string(tenths / 10) + " s";
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

Verdict judge(const HeartbeatSpec& spec, Clock::duration age, std::string detail)
{
    if (age <= spec.max_age.value)
        return ok(std::move(detail));
    return rejected(Reason::late, detail + ", limit " + spec.max_age.text());
}

// Nobody has reported in yet, or the stamp has gone: the limit counts from the first time we asked.
Verdict judge_absence(const HeartbeatSpec& spec, const std::string& what, Clock::time_point since,
                      Clock::time_point now)
{
    return judge(spec, now - since, what + ", watched for " + seconds_text(now - since));
}

Verdict judge_age(const HeartbeatSpec& spec, Clock::duration age, Progress& progress)
{
    progress.note("heartbeat_age_seconds", std::chrono::duration<double>(age).count());
    return judge(spec, age, "last beat " + seconds_text(age) + " ago");
}

Verdict judge_stamp(const HeartbeatSpec& spec, Heartbeats& beats, const std::string& source,
                    const Stamp& stamp, Progress& progress)
{
    auto verdict =
        judge_age(spec, beats.age_of(source, stamp.nanoseconds, stamp.age, Clock::now()), progress);
    if (stamp.age < -clock_tolerance)
        verdict.detail += "; its time lies " + seconds_text(-stamp.age) +
                          " in the future, so it counts from when it was seen";
    return verdict;
}

Verdict probe_file(const HeartbeatSpec& spec, Heartbeats& beats, Progress& progress)
{
    const auto source = "file " + spec.file;
    const auto now = Clock::now();
    const auto since = beats.last(source, now).at;
    struct stat status{};
    if (::stat(spec.file.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return judge_absence(spec, source + " is missing", since, now);
        return not_attempted(errno == EACCES ? Reason::permission_denied : Reason::bad_configuration,
                             source + ": " + std::strerror(errno));
    }
    const auto stamp = stamp_of(status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec);
    return judge_stamp(spec, beats, source, stamp, progress);
}

Verdict probe_posts(const HeartbeatSpec& spec, Heartbeats& beats, Progress& progress)
{
    if (spec.name.empty())
        return not_attempted(Reason::bad_configuration, "`name` is empty: under which name does it post?");
    const auto now = Clock::now();
    const auto last = beats.last(spec.name, now);
    return last.came ? judge_age(spec, now - last.at, progress)
                     : judge_absence(spec, "no beat yet", last.at, now);
}

}  // namespace

std::vector<std::string> HeartbeatSpec::faults() const { return {}; }

asio::awaitable<Verdict> probe(const HeartbeatSpec& spec, Progress& progress)
{
    const auto executor = co_await asio::this_coro::executor;
    auto& beats = heartbeats(asio::query(executor, asio::execution::context));
    progress.enter(Phase::reply);
    if (!spec.file.empty())
        co_return probe_file(spec, beats, progress);
    co_return probe_posts(spec, beats, progress);
}

}  // namespace keepwell
