#include "daemon/docker/discovery.hpp"

#include "probes/probe.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace keepwell::docker {

namespace {

constexpr auto resync_pause = std::chrono::seconds{60};
constexpr auto settle_pause = std::chrono::milliseconds{50};  // events come in bursts
constexpr auto first_retry = std::chrono::seconds{1};
constexpr auto last_retry = std::chrono::seconds{15};
constexpr auto replayed = std::chrono::seconds{2};
constexpr std::size_t most_changed = 10'000;  // more than that is a reason to look at everything

// Not each run of a health check, which are many; its verdict when that changes. From a little before now, so
// that nothing falls between a look and the begin of the stream.
std::string events_path()
{
    const auto since = std::chrono::system_clock::now() - replayed;
    return "/events?since=" +
           std::to_string(
               std::chrono::duration_cast<std::chrono::seconds>(since.time_since_epoch()).count()) +
           "&filters=" +
           url_encoded(
               R"({"type":["container"],"event":["create","start","restart","die","kill","stop","oom","pause","unpause",)"
               R"("rename","update","destroy","health_status"]})");
}

struct Event {
    std::string id{};
    std::string action{};
    std::string signal{};  // of a kill
};

// Signals that end a program: whoever sends one through the Engine wants it to stop.
bool ends(std::string_view signal)
{
    constexpr std::array<std::string_view, 4> ending{"2", "3", "9", "15"};
    return std::ranges::find(ending, signal) != ending.end();
}

std::string text_at(const boost::json::value& value, std::string_view pointer)
{
    boost::json::error_code error;
    const auto* found = value.find_pointer(pointer, error);
    const auto* text = found && !error ? found->if_string() : nullptr;
    return text ? std::string{*text} : std::string{};
}

Event parse_event(std::string_view json)
{
    boost::json::error_code error;
    const auto value = boost::json::parse(json, error);
    return error ? Event{}
                 : Event{text_at(value, "/Actor/ID"), text_at(value, "/Action"),
                         text_at(value, "/Actor/Attributes/signal")};
}

Failure unusable(const std::string& why) { return Failure{rejected(Reason::protocol_error, why)}; }

asio::awaitable<std::vector<std::string>> list_ids(Engine engine)
{
    const auto reply = co_await engine.call({.path = "/containers/json?all=1"});
    if (reply.status != 200)
        throw unusable("the list of containers was refused: " + message_of(reply));
    auto ids = parse_container_ids(reply.body);
    if (!ids)
        throw unusable(ids.error());
    co_return *std::move(ids);
}

// Nothing when it is gone by now.
asio::awaitable<std::optional<Container>> inspect(Engine engine, std::string id)
{
    const auto reply = co_await engine.call({.path = "/containers/" + url_encoded(id) + "/json"});
    if (reply.status == 404)
        co_return std::nullopt;
    if (reply.status != 200)
        throw unusable("a look at a container was refused: " + message_of(reply));
    auto container = parse_container(reply.body);
    if (!container)
        throw unusable(container.error());
    co_return *std::move(container);
}

}  // namespace

asio::awaitable<std::vector<Container>> list_containers(Engine engine)
{
    std::vector<Container> all;
    const auto ids = co_await list_ids(engine);
    for (const auto& id : ids)
        if (auto container = co_await inspect(engine, id))
            all.push_back(*std::move(container));
    co_return all;
}

struct Discovery::State : std::enable_shared_from_this<State> {
    State(asio::io_context& loop, Engine on, Seen on_seen, Told on_told)
        : timer{loop}, pause{loop}, engine{std::move(on)}, seen{std::move(on_seen)}, told{std::move(on_told)}
    {
    }

    void begin(asio::io_context& loop)
    {
        asio::co_spawn(loop, look_for_ever(shared_from_this()),
                       asio::bind_cancellation_slot(stop_looking.slot(), asio::detached));
        asio::co_spawn(loop, listen_for_ever(shared_from_this()),
                       asio::bind_cancellation_slot(stop_listening.slot(), asio::detached));
    }
    void end()
    {
        over = true;
        stop_looking.emit(asio::cancellation_type::terminal);
        stop_listening.emit(asio::cancellation_type::terminal);
    }
    void wake(bool everything)
    {
        all = all || everything;
        timer.cancel();
    }
    void note(const std::string& now)
    {
        figures.up = now.empty();
        if (now == trouble)
            return;
        trouble = now;
        if (!over)
            told(trouble);
    }

    void hear(std::string_view event);
    std::vector<Container> containers();

    static asio::awaitable<void> look_for_ever(std::shared_ptr<State> self);
    static asio::awaitable<void> listen_for_ever(std::shared_ptr<State> self);
    asio::awaitable<void> look();

    asio::steady_timer timer;  // until the next look
    asio::steady_timer pause;  // until the next try to listen
    Engine engine;
    Seen seen;
    Told told;
    asio::cancellation_signal stop_looking{};
    asio::cancellation_signal stop_listening{};
    std::map<std::string, Container> known{};  // by id
    std::set<std::string> changed{};           // ids that events named
    std::set<std::string> ran{};               // ids of what we have seen running
    std::set<std::string> stopped{};           // ids of what was stopped by request since it was started
    bool all = true;                           // look at every container, whatever is known
    bool listening = false;                    // to the stream of events
    bool over = false;
    std::string trouble{};
    DiscoveryFigures figures{};
};

void Discovery::State::hear(std::string_view text)
{
    ++figures.events;
    const auto event = parse_event(text);
    if (event.id.empty() || changed.size() >= most_changed)
        all = true;
    else
        changed.insert(event.id);
    if (event.action == "stop" || (event.action == "kill" && ends(event.signal)))
        stopped.insert(event.id);
    else if (event.action == "start")
        stopped.erase(event.id);
    wake(false);
}

// Whether somebody wanted a container to stop is told by events only; before the first one nobody knows.
std::vector<Container> Discovery::State::containers()
{
    std::erase_if(ran, [&](const auto& id) { return !known.contains(id); });
    std::erase_if(stopped, [&](const auto& id) { return !known.contains(id); });
    std::vector<Container> all_of_them;
    all_of_them.reserve(known.size());
    for (const auto& [id, container] : known) {
        all_of_them.push_back(container);
        if (container.running())
            ran.insert(id);
        all_of_them.back().asked_to_stop = stopped.contains(id);
        all_of_them.back().never_ran = !ran.contains(id);
    }
    return all_of_them;
}

// One look: brings `known` up to date. What goes wrong on the way leaves it as it was.
asio::awaitable<void> Discovery::State::look()
{
    ++figures.looks;
    const bool everything = std::exchange(all, false);
    const auto named = std::exchange(changed, {});
    try {
        std::map<std::string, Container> fresh;
        const auto ids = co_await list_ids(engine);
        for (const auto& id : ids) {
            const auto old = known.find(id);
            if (!everything && old != known.end() && !named.contains(id))
                fresh.insert(*old);
            else if (auto container = co_await inspect(engine, id))
                fresh.emplace(id, *std::move(container));
        }
        known = std::move(fresh);
    } catch (...) {
        ++figures.failed_looks;
        all = true;
        throw;
    }
}

asio::awaitable<void> Discovery::State::look_for_ever(std::shared_ptr<State> self)
{
    auto retry = Clock::duration{first_retry};
    while (!self->over) {
        std::string failed;
        try {
            co_await self->look();
        } catch (const Failure& failure) {
            failed = failure.what();
        } catch (const std::exception& error) {
            failed = error.what();
        }
        if (self->over)
            co_return;
        self->note(failed);
        if (failed.empty())
            self->seen(self->containers());
        const auto wait = failed.empty() ? Clock::duration{resync_pause} : retry;
        retry =
            failed.empty() ? Clock::duration{first_retry} : std::min<Clock::duration>(retry * 2, last_retry);
        if (failed.empty() && (self->all || !self->changed.empty()))
            self->timer.expires_after(settle_pause);
        else
            self->timer.expires_after(wait);
        const auto [woken] = co_await self->timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (self->over)
            co_return;
        if (!woken) {
            self->all = true;
            continue;
        }
        self->timer.expires_after(settle_pause);
        co_await self->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

// Whatever ends the stream, everything is looked at once it flows again: what happened meanwhile is not told.
asio::awaitable<void> Discovery::State::listen_for_ever(std::shared_ptr<State> self)
{
    auto retry = Clock::duration{first_retry};
    while (!self->over) {
        const auto begun = Clock::now();
        self->listening = true;
        try {
            co_await self->engine.stream(events_path(),
                                         [self](std::string_view event) { self->hear(event); });
        } catch (const std::exception&) {  // the next look says why
        }
        self->listening = false;
        if (self->over)
            co_return;
        self->wake(true);
        const bool lived = Clock::now() - begun > last_retry;
        retry = lived ? Clock::duration{first_retry} : std::min<Clock::duration>(retry * 2, last_retry);
        self->pause.expires_after(retry);
        co_await self->pause.async_wait(asio::as_tuple(asio::use_awaitable));
        self->wake(true);
    }
}

Discovery::Discovery(asio::io_context& loop, Engine engine, Seen seen, Told told)
    : state_{std::make_shared<State>(loop, std::move(engine), std::move(seen), std::move(told))}
{
    state_->begin(loop);
}

Discovery::~Discovery() { state_->end(); }

const DiscoveryFigures& Discovery::figures() const { return state_->figures; }

bool Discovery::in_touch() const { return state_->listening && state_->figures.up; }

bool Discovery::is_current() const { return in_touch() && !state_->all && state_->changed.empty(); }

}  // namespace keepwell::docker
