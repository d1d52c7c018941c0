#include "daemon/main/lease_keeper.hpp"

#include "daemon/log.hpp"
#include "probes/deadline.hpp"
#include "probes/printable.hpp"
#include "probes/redis_session.hpp"

#include <fmt/format.h>
#include <boost/asio/detached.hpp>

#include <unistd.h>

#include <array>
#include <random>

namespace keepwell {

namespace {

constexpr int asks_per_ttl = 3;

// Takes the key when nobody has it, prolongs it when it is ours, and tells whose it is: all at once, so that
// two who ask at the same time get the same answer.
constexpr std::string_view script =
    "if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return ARGV[1] end "
    "local holder = redis.call('get', KEYS[1]) "
    "if holder == ARGV[1] then redis.call('pexpire', KEYS[1], ARGV[2]) end "
    "return holder";

// Of this process, and of no other that ever was.
std::string own_name()
{
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    std::random_device random;
    return fmt::format("{}/{}-{:08x}{:08x}", host.data(), ::getpid(), random(), random());
}

}  // namespace

struct LeaseKeeper::State {
    State(asio::io_context& loop, LeaseSettings with, std::function<void()> call)
        : settings{std::move(with)}, changed{std::move(call)}, lease{settings.ttl.value}, timer{loop}
    {
    }

    void note(LeaseAnswer answer, Clock::time_point asked, const std::string& holder,
              const std::string& trouble);
    static asio::awaitable<std::string> ask(std::shared_ptr<State> self);
    static asio::awaitable<void> ask_and_note(std::shared_ptr<State> self);
    static asio::awaitable<void> keep(std::shared_ptr<State> self);

    LeaseSettings settings;
    std::function<void()> changed;
    Lease lease;
    asio::steady_timer timer;
    std::string name = own_name();
    std::string said{};  // to the log
    bool acted = false;
    bool over = false;
};

// Who holds the lease now.
asio::awaitable<std::string> LeaseKeeper::State::ask(std::shared_ptr<State> self)
{
    const auto& with = self->settings;
    const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(with.ttl.value).count();
    std::string command;
    append_command(command, {"EVAL", script, "1", with.key, self->name, std::to_string(ttl)});
    const RedisLogin login{with.redis, with.tls, with.username, with.password, with.database};
    Progress progress;
    const auto replies = co_await converse(login, std::move(command), 1, progress);
    if (replies.front().kind == RedisReply::Kind::error)
        throw Failure{verdict_of_error(replies.front().text)};
    co_return replies.front().text;
}

asio::awaitable<void> LeaseKeeper::State::ask_and_note(std::shared_ptr<State> self)
{
    const auto asked = Clock::now();
    std::string trouble;
    try {
        const auto holder = co_await within(asked + self->settings.ttl.value / asks_per_ttl, ask(self));
        if (holder) {
            self->note(*holder == self->name ? LeaseAnswer::ours : LeaseAnswer::anothers, asked, *holder, {});
            co_return;
        }
        trouble = "no answer in time";
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    self->note(LeaseAnswer::none, asked, {}, trouble);
}

void LeaseKeeper::State::note(LeaseAnswer answer, Clock::time_point asked, const std::string& holder,
                              const std::string& trouble)
{
    lease.note(answer, asked);
    const bool acts = lease.acts(Clock::now());
    auto words = acts ? std::string{"this keepwell holds the lease: it acts"}
                 : answer == LeaseAnswer::ours
                     ? "this keepwell has taken the lease, and acts in " + Duration{settings.ttl}.text()
                 : answer == LeaseAnswer::anothers ? "another keepwell holds the lease: this one watches and "
                                                     "signals; it is " +
                                                         excerpt(holder)
                                                   : std::string{
                                                         "nobody tells who holds the lease: this "
                                                         "keepwell watches and signals"};
    if (!trouble.empty())
        words += "; " + settings.redis.text() + ": " + trouble;
    if (words != said)
        log(trouble.empty() ? LogLevel::info : LogLevel::warn, words, {{"key", settings.key}});
    said = std::move(words);
    if (acts != std::exchange(acted, acts) && !over)
        changed();
}

asio::awaitable<void> LeaseKeeper::State::keep(std::shared_ptr<State> self)
{
    while (!self->over) {
        co_await ask_and_note(self);
        self->timer.expires_after(self->settings.ttl.value / asks_per_ttl);
        co_await self->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

LeaseKeeper::LeaseKeeper(asio::io_context& loop, LeaseSettings settings, std::function<void()> changed)
    : state_{std::make_shared<State>(loop, std::move(settings), std::move(changed))}
{
    asio::co_spawn(loop, State::keep(state_), asio::detached);
}

LeaseKeeper::~LeaseKeeper()
{
    state_->over = true;
    state_->timer.cancel();
}

const LeaseSettings& LeaseKeeper::settings() const { return state_->settings; }

bool LeaseKeeper::acts() const { return state_->lease.acts(Clock::now()); }

}  // namespace keepwell
