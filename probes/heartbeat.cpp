#include "probes/heartbeat.hpp"

#include "probes/deadline.hpp"
#include "probes/redis_session.hpp"
#include "probes/runner.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

// Clocks of two hosts differ a little; nobody needs to be told.
constexpr Clock::duration clock_tolerance = 2s;

// The last whole second after 1970 that nanoseconds are counted to here (the year 2255).
constexpr std::int64_t last_second = 9'000'000'000;

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

// Nobody has reported in yet, which nobody may call well; or the stamp has gone, and the limit counts from
// when we first asked for it, or from the end of a standstill of ours.
Verdict judge_absence(const HeartbeatSpec& spec, const std::string& what, Heartbeats::Last last,
                      Clock::time_point now)
{
    const auto watched = what + ", watched for " + seconds_text(now - last.at);
    return last.came ? judge(spec, now - last.at, watched) : rejected(Reason::late, watched);
}

Verdict judge_age(const HeartbeatSpec& spec, Clock::duration age, Progress& progress)
{
    progress.note("heartbeat_age_seconds", std::chrono::duration<double>(age).count());
    return judge(spec, age, "last beat " + seconds_text(age) + " ago");
}

Verdict judge_stamp(const HeartbeatSpec& spec, Heartbeats& beats, const std::string& source,
                    const Stamp& stamp, Progress& progress)
{
    beats.seen(source);
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
    const auto last = beats.last(source, now);
    struct stat status{};
    if (::stat(spec.file.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return judge_absence(spec, source + " is missing", last, now);
        return not_attempted(errno == EACCES ? Reason::permission_denied : Reason::bad_configuration,
                             source + ": " + std::strerror(errno));
    }
    const auto seconds = std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, last_second);
    const auto stamp = stamp_of(seconds * 1'000'000'000 + status.st_mtim.tv_nsec);
    return judge_stamp(spec, beats, source, stamp, progress);
}

// The key's value as Redis answers, or why it cannot be read.
struct KeyRead {
    RedisReply reply{};
    std::optional<Verdict> fault{};
};

asio::awaitable<KeyRead> read_key(const HeartbeatSpec& spec, Progress& progress)
{
    const auto& server = *spec.redis;
    std::string command;
    append_command(command, {"GET", spec.key});
    const RedisLogin login{server.address, server.tls, server.username, server.password, server.database};
    KeyRead read;
    try {
        auto replies = co_await converse(login, std::move(command), 1, progress);
        read.reply = std::move(replies.front());
    } catch (const Failure& failure) {
        read.fault = failure.verdict;
    } catch (const boost::system::system_error& error) {
        read.fault = verdict_of(error.code());
    }
    co_return read;
}

// A beat that we cannot read is our fault, whoever's it is: restarting the service would not bring Redis
// back.
Verdict cannot_read(const std::string& source, const Verdict& why)
{
    return not_attempted(why.reason, "its heartbeat cannot be read from " + source + ": " + why.detail);
}

asio::awaitable<Verdict> probe_key(const HeartbeatSpec& spec, Heartbeats& beats, Progress& progress)
{
    const auto source = "key " + spec.key + " of redis " + spec.redis->address.text();
    const auto last = beats.last(source, Clock::now());
    // The attempt's own deadline would count as the service's silence.
    const auto left = progress.deadline() - Clock::now();
    const auto read = co_await within(progress.deadline() - left / 20, read_key(spec, progress));
    if (!read)
        co_return cannot_read(source, no_response(Reason::timeout, "no answer"));
    if (read->fault)
        co_return cannot_read(source, *read->fault);

    const auto& reply = read->reply;
    if (reply.kind == RedisReply::Kind::error && !reply.text.starts_with("WRONGTYPE"))
        co_return cannot_read(source, verdict_of_error(reply.text));
    if (reply.kind == RedisReply::Kind::nil)
        co_return judge_absence(spec, source + " is missing", last, Clock::now());
    const auto stamp = reply.kind == RedisReply::Kind::text ? beat_time(reply.text) : std::nullopt;
    if (!stamp) {  // a list, a set or a word: it is there
        beats.seen(source);
        co_return ok(source + " is there");
    }
    co_return judge_stamp(spec, beats, source, stamp_of(*stamp), progress);
}

Verdict probe_posts(const HeartbeatSpec& spec, Heartbeats& beats, Progress& progress)
{
    if (spec.name.empty())
        return not_attempted(Reason::bad_configuration, "`name` is empty: under which name does it post?");
    const auto now = Clock::now();
    const auto last = beats.last(spec.name, now);
    return last.came ? judge_age(spec, now - last.at, progress)
                     : judge_absence(spec, "no beat yet", last, now);
}

}  // namespace

std::optional<std::int64_t> beat_time(std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.remove_suffix(1);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number))
        return std::nullopt;
    constexpr double seconds_in_the_year_5138 = 1e11;
    if (std::abs(number) > seconds_in_the_year_5138)
        number /= 1000;
    return std::llround(std::clamp(number, 0.0, static_cast<double>(last_second)) * 1e9);
}

std::vector<std::string> HeartbeatSpec::faults() const
{
    std::vector<std::string> found;
    if (!file.empty() && redis)
        found.emplace_back("heartbeat takes `file` or `redis`, not both");
    if (redis && key.empty())
        found.emplace_back("key: which key of the Redis server holds the heartbeat?");
    if (!redis && !key.empty())
        found.emplace_back("key: in which server? add `redis`");
    if (redis && !redis->username.empty() && redis->password.empty())
        found.emplace_back("redis: username needs a password");
    return found;
}

asio::awaitable<Verdict> probe(const HeartbeatSpec& spec, Progress& progress)
{
    const auto executor = co_await asio::this_coro::executor;
    auto& beats = heartbeats(asio::query(executor, asio::execution::context));
    if (spec.redis)
        co_return co_await probe_key(spec, beats, progress);
    progress.enter(Phase::reply);
    if (!spec.file.empty())
        co_return probe_file(spec, beats, progress);
    co_return probe_posts(spec, beats, progress);
}

}  // namespace keepwell
