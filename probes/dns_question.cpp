#include "probes/dns_question.hpp"

#include "probes/hosts_file.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

// A server that has said nothing for this long is asked something that it must know.
constexpr auto doubtful_after = 200ms;
constexpr auto patience_with_other_family = 500ms;

// A question of its own: nobody shares it, and it ends with the coroutine that asks.
struct Question {
    Question(const asio::any_io_executor& executor, const DnsSettings& settings, Clock::time_point until)
        : channel{executor, settings}, timer{executor}, due{until}
    {
    }
    void ask(const std::string& name, RecordType type);
    DnsReply answer() const;

    DnsChannel channel;
    asio::steady_timer timer;
    Clock::time_point due;
    Clock::time_point sent = Clock::now();
    int open = 0;
    std::vector<DnsReply> replies{};
};

void Question::ask(const std::string& name, RecordType type)
{
    ++open;
    const auto done = [this](DnsReply reply) {
        --open;
        if (reply.status == DnsStatus::found)
            due = std::min(due, Clock::now() + patience_with_other_family);
        replies.push_back(std::move(reply));
        timer.cancel();
    };
    if (type == RecordType::a || type == RecordType::aaaa)
        channel.look_up(name, type, done);
    else
        channel.query(name, type, done);
}

DnsReply Question::answer() const
{
    DnsReply answer{.status = DnsStatus::silent, .detail = "no DNS server answered in time"};
    if (replies.size() == 2)
        answer = merged(replies[0], replies[1]);
    else if (replies.size() == 1 && (open == 0 || replies[0].status == DnsStatus::found))
        answer = replies[0];
    if (answer.status == DnsStatus::silent && channel.answered_at() >= sent)
        return {.status = DnsStatus::failed, .detail = "the DNS server answers, but not about this name"};
    return answer;
}

bool matches(const asio::ip::address& address, RecordType type)
{
    return type == RecordType::any || address.is_v4() == (type == RecordType::a);
}

// What needs no server: localhost and the hosts file.
DnsReply local_answer(const std::string& name, RecordType type, const DnsSettings& settings)
{
    HostsFile hosts{settings.hosts};
    hosts.refresh();
    DnsReply reply{.status = DnsStatus::found};
    for (const auto& address : is_localhost(name) ? loopback() : hosts.find(name))
        if (matches(address, type))
            reply.addresses.push_back(address);
    return reply;
}

bool asks_for_addresses(RecordType type)
{
    return type == RecordType::any || type == RecordType::a || type == RecordType::aaaa;
}

}  // namespace

asio::awaitable<DnsReply> ask(std::string name, RecordType type, DnsSettings settings, Clock::time_point due)
{
    const auto executor = co_await asio::this_coro::executor;
    const bool is_local = settings.servers.empty() || is_localhost(lower_case(name));
    if (is_local && asks_for_addresses(type))
        if (auto local = local_answer(lower_case(name), type, settings); !local.addresses.empty())
            co_return local;
    Question question{executor, settings, due};
    const auto doubtful = question.sent + doubtful_after;
    if (type == RecordType::any) {
        question.ask(name, RecordType::a);
        question.ask(name, RecordType::aaaa);
    } else {
        question.ask(name, type);
    }
    while (question.open > 0 && Clock::now() < question.due) {
        const bool is_silent = question.channel.answered_at() < question.sent;
        if (is_silent && Clock::now() >= doubtful)
            question.channel.knock();
        const bool knocks_later = is_silent && Clock::now() < doubtful;
        question.timer.expires_at(knocks_later ? std::min(doubtful, question.due) : question.due);
        co_await question.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    co_return question.answer();
}

}  // namespace keepwell
