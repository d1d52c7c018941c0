#include "exporters/events.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace keepwell {

namespace {

bool gone(const std::weak_ptr<EventStream>& stream)
{
    const auto held = stream.lock();
    return !held || held->ended();
}

}  // namespace

std::string event_text(std::string_view name, std::string_view data, std::string_view id)
{
    std::string text;
    if (!id.empty())
        ((text += "id: ") += id) += '\n';
    ((text += "event: ") += name) += '\n';
    for (;;) {
        const auto end = data.find_first_of("\r\n");
        ((text += "data: ") += data.substr(0, end)) += '\n';
        if (end == data.npos)
            break;
        const bool both = data.substr(end).starts_with("\r\n");
        data.remove_prefix(end + (both ? 2 : 1));
    }
    return text += '\n';
}

asio::awaitable<std::string> EventStream::next()
{
    if (waiting_.empty() && !ended_) {
        wake_.expires_after(heartbeat);
        co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (ended_)
        co_return std::string{};
    if (waiting_.empty())
        co_return std::string{":\n\n"};
    std::string events;
    for (; !waiting_.empty(); waiting_.pop_front())
        events += *waiting_.front();
    waiting_bytes_ = 0;
    co_return events;
}

void EventStream::push(const std::shared_ptr<const std::string>& events)
{
    if (ended_)
        return;
    if (waiting_bytes_ + events->size() > most_waiting_bytes)
        return end();
    waiting_.push_back(events);
    waiting_bytes_ += events->size();
    wake_.cancel();
}

void EventStream::end()
{
    ended_ = true;
    waiting_.clear();
    wake_.cancel();
}

std::shared_ptr<EventStream> EventStreams::open()
{
    forget_gone();
    if (streams_.size() >= most)
        return {};
    auto stream = std::make_shared<EventStream>(loop_);
    streams_.push_back(stream);
    return stream;
}

bool EventStreams::any()
{
    forget_gone();
    return !streams_.empty();
}

void EventStreams::push(std::string events)
{
    const auto shared = std::make_shared<const std::string>(std::move(events));
    for (const auto& each : streams_)
        if (const auto stream = each.lock())
            stream->push(shared);
}

void EventStreams::end()
{
    for (const auto& each : streams_)
        if (const auto stream = each.lock())
            stream->end();
    streams_.clear();
}

void EventStreams::forget_gone() { std::erase_if(streams_, gone); }

}  // namespace keepwell
