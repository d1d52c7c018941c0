#include "probes/resolver.hpp"

#include "probes/hosts_file.hpp"
#include "probes/name_cache.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>

namespace keepwell {

namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<asio::ip::address>;

// How long one family waits for the other (RFC 8305, section 3), so that a server that drops AAAA does no
// harm.
constexpr auto resolution_delay = 50ms;
// A server that has said nothing for this long is asked something that it must know.
constexpr auto doubtful_after = 200ms;
constexpr auto files_checked_every = 1s;

std::optional<asio::ip::address> numeric(const std::string& host)
{
    boost::system::error_code not_numeric;
    const auto address = asio::ip::make_address(host.c_str(), not_numeric);
    return not_numeric ? std::nullopt : std::optional{address};
}

// A question that is under way, shared by all who wait for it. It outlives those who give up: its answer, or
// the end of the servers' time, comes all the same, and the cache takes it.
struct LookUp {
    LookUp(const asio::any_io_executor& executor, std::string of, std::weak_ptr<DnsChannel> by)
        : name{std::move(of)}, channel{std::move(by)}, timer{executor}
    {
    }
    // Nobody answers, and nobody has answered anything else since we asked.
    bool nobody_answers() const
    {
        const auto servers = channel.lock();
        return !servers || servers->answered_at() < sent;
    }

    std::string name;
    std::weak_ptr<DnsChannel> channel;
    asio::steady_timer timer;
    Clock::time_point sent = Clock::now();
    std::optional<DnsReply> v4{}, v6{};
    std::optional<DnsReply> answer{};
    std::vector<asio::steady_timer*> waiting{};
};

class Resolver : public asio::execution_context::service {
public:
    inline static asio::execution_context::id id;

    explicit Resolver(asio::execution_context& context)
        : service{context}, executor_{static_cast<asio::io_context&>(context).get_executor()}
    {
        const asio::steady_timer makes_the_reactor_older_than_us{executor_};
    }

    void configure(DnsSettings settings);
    std::optional<DnsReply> known(const std::string& name);
    std::shared_ptr<LookUp> look_up(const std::string& name);
    void forget(const std::string& name) { cache_.forget(name); }

private:
    void shutdown() override;
    void refresh();
    void doubt(const std::shared_ptr<LookUp>& look_up);
    void note(const std::shared_ptr<LookUp>& look_up);
    void settle(const std::shared_ptr<LookUp>& look_up, DnsReply answer);

    asio::any_io_executor executor_;
    DnsSettings settings_{};
    HostsFile hosts_{settings_.hosts};
    FileStamp servers_stamp_{};
    Clock::time_point next_check_{};
    NameCache cache_{};
    std::shared_ptr<DnsChannel> channel_{};
    std::vector<std::shared_ptr<DnsChannel>> retired_{};  // of an older resolv.conf, with queries still open
    std::unordered_map<std::string, std::shared_ptr<LookUp>> under_way_{};
};

void Resolver::shutdown()
{
    under_way_.clear();
    channel_.reset();
    retired_.clear();
}

void Resolver::configure(DnsSettings settings)
{
    settings_ = std::move(settings);
    hosts_ = HostsFile{settings_.hosts};
    next_check_ = {};
    servers_stamp_ = {};
    cache_.clear();
    if (channel_)
        retired_.push_back(std::move(channel_));
    under_way_.clear();
}

// Follows changes of the hosts file and of resolv.conf; who is asking the old servers is left in peace.
void Resolver::refresh()
{
    const auto now = Clock::now();
    if (now < next_check_)
        return;
    next_check_ = now + files_checked_every;
    hosts_.refresh();
    const auto stamp = FileStamp::of(settings_.resolv_conf);
    if (stamp == servers_stamp_)
        return;
    servers_stamp_ = stamp;
    if (channel_)
        retired_.push_back(std::move(channel_));
    cache_.clear();
    under_way_.clear();
}

std::optional<DnsReply> Resolver::known(const std::string& name)
{
    if (is_localhost(name))
        return DnsReply{.status = DnsStatus::found, .addresses = loopback()};
    refresh();
    if (const auto& addresses = hosts_.find(name); !addresses.empty())
        return DnsReply{.status = DnsStatus::found, .addresses = addresses};
    if (const auto* reply = cache_.find(name, Clock::now()))
        return *reply;
    return std::nullopt;
}

std::shared_ptr<LookUp> Resolver::look_up(const std::string& name)
{
    if (const auto found = under_way_.find(name); found != under_way_.end())
        return found->second;
    std::erase_if(retired_, [](const auto& old) { return old->open_queries() == 0; });
    if (!channel_)
        channel_ = std::make_shared<DnsChannel>(executor_, settings_);
    const auto look_up = std::make_shared<LookUp>(executor_, name, channel_);
    under_way_.emplace(name, look_up);
    doubt(look_up);
    channel_->look_up(name, RecordType::a, [this, look_up](DnsReply reply) {
        look_up->v4 = std::move(reply);
        note(look_up);
    });
    channel_->look_up(name, RecordType::aaaa, [this, look_up](DnsReply reply) {
        look_up->v6 = std::move(reply);
        note(look_up);
    });
    return look_up;
}

// Finds out in time whether it is the name that hangs, or the servers.
void Resolver::doubt(const std::shared_ptr<LookUp>& look_up)
{
    look_up->timer.expires_after(doubtful_after);
    look_up->timer.async_wait([look_up](boost::system::error_code error) {
        const auto servers = look_up->channel.lock();
        if (!error && servers && !look_up->answer && servers->answered_at() < look_up->sent)
            servers->knock();
    });
}

// One family has answered.
void Resolver::note(const std::shared_ptr<LookUp>& look_up)
{
    if (look_up->v4 && look_up->v6) {
        settle(look_up, merged(*look_up->v4, *look_up->v6));
        return;
    }
    const auto& first = look_up->v4 ? look_up->v4 : look_up->v6;
    if (first->status == DnsStatus::bad_name)
        settle(look_up, *first);
    if (first->status != DnsStatus::found)
        return;
    look_up->timer.expires_after(resolution_delay);
    look_up->timer.async_wait([this, look_up](boost::system::error_code error) {
        if (!error && !look_up->answer)
            settle(look_up, look_up->v4 ? *look_up->v4 : *look_up->v6);
    });
}

void Resolver::settle(const std::shared_ptr<LookUp>& look_up, DnsReply answer)
{
    look_up->timer.cancel();
    if (answer.status < DnsStatus::silent)
        cache_.put(look_up->name, answer, Clock::now());
    if (const auto found = under_way_.find(look_up->name);
        found != under_way_.end() && found->second == look_up)
        under_way_.erase(found);
    look_up->answer = std::move(answer);
    for (auto* waiting : look_up->waiting)
        waiting->cancel();
}

// Someone who waits for a look-up until `due`; gone from its list when he goes, for whatever reason.
struct Waiter {
    Waiter(const asio::any_io_executor& executor, Clock::time_point due, std::shared_ptr<LookUp> on)
        : timer{executor, due}, look_up{std::move(on)}
    {
        look_up->waiting.push_back(&timer);
    }
    ~Waiter() { std::erase(look_up->waiting, &timer); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    asio::steady_timer timer;
    std::shared_ptr<LookUp> look_up;
};

Resolver& resolver_of(const asio::any_io_executor& executor)
{
    return asio::use_service<Resolver>(asio::query(executor, asio::execution::context));
}

Addresses judged(const std::string& host, const DnsReply& reply, bool nobody_answers)
{
    switch (reply.status) {
        case DnsStatus::found: return reply.addresses;
        case DnsStatus::bad_name:
            throw Failure{not_attempted(Reason::bad_configuration, host + " is not a host name")};
        case DnsStatus::unsent:
            throw Failure{not_attempted(Reason::resource_exhausted, host + ": " + reply.detail)};
        case DnsStatus::silent:
            if (nobody_answers)
                throw Failure{not_attempted(Reason::resolver_unavailable, host + ": " + reply.detail)};
            throw Failure{
                no_response(Reason::dns_failure, host + ": the DNS servers answer, but not about this name")};
        case DnsStatus::missing:
        case DnsStatus::failed: break;
    }
    throw Failure{no_response(Reason::dns_failure, host + ": " + reply.detail)};
}

}  // namespace

asio::awaitable<Addresses> resolve(std::string host, Clock::time_point due)
{
    if (const auto address = numeric(host))
        co_return Addresses{*address};
    const auto executor = co_await asio::this_coro::executor;
    auto& resolver = resolver_of(executor);
    const auto name = lower_case(host);
    if (const auto known = resolver.known(name))
        co_return judged(host, *known, false);

    Waiter waiter{executor, due, resolver.look_up(name)};
    const auto& look_up = *waiter.look_up;
    if (!look_up.answer)
        co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    const DnsReply in_vain{.detail = "no DNS server answered in time"};
    co_return judged(host, look_up.answer ? *look_up.answer : in_vain, look_up.nobody_answers());
}

asio::awaitable<Addresses> resolve(const Address& address, Progress& progress)
{
    progress.enter(Phase::resolve);
    if (const auto known = numeric_form(address))
        co_return Addresses{*known};
    co_return co_await resolve(address.pinned.empty() ? address.host : address.pinned,
                               progress.verdict_due());
}

std::optional<asio::ip::address> numeric_form(const Address& address)
{
    return numeric(address.pinned.empty() ? address.host : address.pinned);
}

void forget_name(const asio::any_io_executor& executor, const std::string& host)
{
    resolver_of(executor).forget(lower_case(host));
}

void configure_resolver(asio::execution_context& loop, DnsSettings settings)
{
    asio::use_service<Resolver>(loop).configure(std::move(settings));
}

}  // namespace keepwell
