#include "exporters/page/page.hpp"

#include "daemon/timestamp.hpp"
#include "daemon/version.hpp"
#include "exporters/assets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

namespace keepwell {

namespace {

constexpr std::size_t rows_at_once = 100;  // written without a pause for the loop
constexpr std::size_t most_missed_rows = 300;
constexpr std::size_t happenings_shown = 100;
constexpr auto gather = 200ms;  // changes that come so soon after another are told together
constexpr auto figures_pause = 5s;

// A piece of page.html: text as it is, then what belongs in the place of {{name}}.
struct Part {
    std::string_view text{};
    std::string_view name{};
};

std::vector<Part> parts_of(std::string_view document)
{
    std::vector<Part> parts;
    for (;;) {
        const auto begin = document.find("{{");
        const auto end = document.find("}}", begin);
        if (begin == document.npos || end == document.npos)
            break;
        parts.push_back({document.substr(0, begin), document.substr(begin + 2, end - begin - 2)});
        document.remove_prefix(end + 2);
    }
    parts.push_back({document, {}});
    return parts;
}

const std::vector<Part>& parts()
{
    static const auto parts = parts_of(find_asset("page.html")->content);
    return parts;
}

// Those that need a look first.
std::vector<ServiceId> order_of(const Monitor& monitor)
{
    std::vector<std::pair<int, ServiceId>> ranked;
    for (ServiceId id = 0; id < monitor.stack().services().size(); ++id)
        ranked.emplace_back(rank_of(monitor, id).order, id);
    std::ranges::sort(ranked);
    std::vector<ServiceId> order;
    order.reserve(ranked.size());
    for (const auto& [rank, id] : ranked)
        order.push_back(id);
    return order;
}

std::string counts_json(const Counts& counts)
{
    return fmt::format(
        R"("count-all":"{}","count-trouble":"{}","count-maintenance":"{}","count-healthy":"{}")", counts.all,
        counts.trouble, counts.maintenance, counts.healthy);
}

std::optional<std::uint64_t> number(std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return {};
    return value;
}

}  // namespace

Page::Page(asio::io_context& loop, const History& history)
    : history_{history},
      streams_{loop},
      flush_timer_{loop},
      figures_timer_{loop},
      boot_{(std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()}
{
}

void Page::attach(const Monitor& monitor)
{
    monitor_ = &monitor;
    trails_.attach(monitor, Clock::now());
    ++generation_;
    const auto services = monitor.stack().services().size();
    changed_.assign(services, 0);
    queued_.assign(services, false);
    attempted_.assign(services, false);
    reasons_.assign(monitor.stack().probes().size(), Reason::none);
    queue_.clear();
    minute_ = Trails::minute_of(Clock::now());
    streams_.push(event_text("stale", "", mark()));
}

PageView Page::view() const
{
    return {*monitor_, history_, trails_, Clock::now(), std::chrono::system_clock::now()};
}

// Says which state of things was seen: of this keepwell, of this configuration, up to this version and
// happening.
std::string Page::mark() const
{
    const auto& happenings = history_.happenings();
    return fmt::format("{:x}.{}.{}.{}", boot_, generation_, version_,
                       happenings.empty() ? 0 : happenings.back().number);
}

void Page::write_happenings(Markup& html, const PageView& at) const
{
    const auto& all = history_.happenings();
    for (std::size_t i = 0; i < std::min(all.size(), happenings_shown); ++i)
        write_happening(html, at, all[all.size() - 1 - i]);
}

void Page::write_part(std::string& out, std::string_view name, const std::string& refusal) const
{
    Markup html{out};
    const auto at = view();
    if (name == "project")
        html << monitor_->stack().spec().project;
    else if (name == "version")
        html << version;
    else if (name == "mark")
        html << mark();
    else if (name == "time")
        html << rfc3339(at.wall_now);
    else if (name == "rights")
        html << (refusal.empty() ? Literal{"may-act"} : Literal{"may-read"});
    else if (name == "refusal")
        html << refusal;
    else if (name.starts_with("count-"))
        html << counts_of(*monitor_).of(name.substr(6));
    else if (name == "summary")
        write_summary(html, at);
    else if (name == "graph")
        write_graph(html, at);
    else if (name == "happenings")
        write_happenings(html, at);
    else if (const auto* asset = find_asset(name))
        html << asset->url();
}

// Whether there are more of them.
bool Page::write_rows(std::string& out, Cursor& cursor) const
{
    Markup html{out};
    const auto at = view();
    const auto end = std::min(cursor.row + rows_at_once, cursor.order.size());
    for (; cursor.row < end; ++cursor.row)
        write_row(html, at, cursor.order[cursor.row]);
    return cursor.row < cursor.order.size();
}

bool Page::write(std::string& out, Cursor& cursor, const std::string& refusal) const
{
    if (cursor.generation != generation_) {
        out.clear();
        cursor = {.generation = generation_, .order = order_of(*monitor_)};
    }
    const auto& part = parts()[cursor.part];
    if (cursor.row == 0)
        out += part.text;
    if (part.name != "rows")
        write_part(out, part.name, refusal);
    else if (write_rows(out, cursor))
        return true;
    cursor.row = 0;
    return ++cursor.part < parts().size();
}

std::shared_ptr<EventStream> Page::follow(std::string_view since)
{
    if (!streams_.any())
        forget_queue();  // the next words are of what happens from now on
    auto stream = streams_.open();
    if (!stream)
        return {};
    if (!std::exchange(counting_, true)) {
        told_ = history_.happenings().empty() ? 0 : history_.happenings().back().number;
        tell_figures();
    }
    const auto now = mark();
    std::string events = "retry: 2000\n\n";
    const auto same = fmt::format("{:x}.{}.", boot_, generation_);
    const auto dot = since.rfind('.');
    const auto seen = since.starts_with(same) && dot >= same.size()
                          ? number(since.substr(same.size(), dot - same.size()))
                          : std::nullopt;
    const auto happening = seen ? number(since.substr(dot + 1)) : std::nullopt;
    std::vector<ServiceId> missed;
    for (ServiceId id = 0; seen && id < changed_.size(); ++id)
        if (changed_[id] > *seen)
            missed.push_back(id);
    if (since.empty())
        events += event_text("hello", "", now);
    else if (!happening || missed.size() > most_missed_rows)
        events += event_text("stale", "", now);
    else
        events += rows_event(missed, true) + happenings_event(*happening);
    stream->push(std::make_shared<const std::string>(std::move(events)));
    return stream;
}

void Page::stop()
{
    streams_.end();
    flush_timer_.cancel();
    figures_timer_.cancel();
}

// Rows of the table apart from all else: a parser takes them for rows only where nothing else comes first.
std::string Page::rows_event(std::span<const ServiceId> services, bool graph) const
{
    std::string rows;
    std::string rest;
    const auto at = view();
    Markup row_html{rows};
    for (const auto id : services)
        write_row(row_html, at, id);
    Markup html{rest};
    write_summary(html, at);
    if (graph)
        write_graph(html, at);
    return event_text("text", "{" + counts_json(counts_of(*monitor_)) + "}", mark()) +
           event_text("replace", rest, mark()) + (rows.empty() ? rows : event_text("replace", rows, mark()));
}

std::string Page::happenings_event(std::uint64_t after) const
{
    const auto at = view();
    std::string text;
    Markup html{text};
    const auto& all = history_.happenings();
    const auto first = std::ranges::find_if(all, [&](const auto& each) { return each.number > after; });
    for (auto each = first; each != all.end(); ++each)
        write_happening(html, at, *each);
    return text.empty() ? text : event_text("happened", text, mark());
}

// --- what changes ---

void Page::touch(ServiceId id)
{
    changed_[id] = ++version_;
    if (queued_[id])
        return;
    queued_[id] = true;
    queue_.push_back(id);
    arm(gather);
}

void Page::forget_queue()
{
    for (const auto id : queue_)
        queued_[id] = false;
    queue_.clear();
    graph_changed_ = false;
}

void Page::touch_instance(InstanceId id) { touch(monitor_->stack().instances()[id].service); }

// What they say of their root cause may have changed, too.
void Page::touch_dependants(ServiceId id)
{
    std::vector<bool> seen(changed_.size());
    std::vector<ServiceId> open{id};
    while (!open.empty()) {
        const auto each = open.back();
        open.pop_back();
        if (seen[each])
            continue;
        seen[each] = true;
        touch(each);
        const auto& dependants = monitor_->stack().services()[each].dependants;
        open.insert(open.end(), dependants.begin(), dependants.end());
    }
}

void Page::attempted(ProbeId id, const ProbeResult& result, const Health& after)
{
    trails_.attempted(id, result, after);
    const auto service = monitor_->stack().instances()[monitor_->stack().probes()[id].instance].service;
    attempted_[service] = true;
    if (std::exchange(reasons_[id], result.reason) != result.reason)
        touch(service);
}

void Page::service_changed(ServiceId id, State before, State after, Clock::time_point at)
{
    trails_.service_changed(id, before, after, at);
    graph_changed_ = true;
    touch_dependants(id);
}

void Page::state_changed(InstanceId id, State, State, Clock::time_point) { touch_instance(id); }
void Page::signal_raised(InstanceId id, const Signal&, Clock::time_point) { touch_instance(id); }
void Page::signal_cleared(InstanceId id, const Signal&, Clock::time_point) { touch_instance(id); }
void Page::action_started(InstanceId id, const ActionContext&, Clock::time_point) { touch_instance(id); }
void Page::action_finished(InstanceId id, const ActionOutcome&, Clock::time_point) { touch_instance(id); }
void Page::held(InstanceId id, Hold, Hold, const std::string&, Clock::time_point) { touch_instance(id); }
void Page::doubted(bool, const std::string&, Clock::time_point) { arm(gather); }

// --- who is told ---

void Page::arm(Clock::duration pause)
{
    if (armed_ || !streams_.any())
        return;
    armed_ = true;
    flush_timer_.expires_after(pause);
    flush_timer_.async_wait([this](boost::system::error_code error) {
        if (error)
            return;
        armed_ = false;
        flush();
    });
}

void Page::flush()
{
    std::vector<ServiceId> changed;
    for (; !queue_.empty() && changed.size() < rows_at_once; queue_.pop_front()) {
        changed.push_back(queue_.front());
        queued_[queue_.front()] = false;
    }
    auto events = rows_event(changed, std::exchange(graph_changed_, false)) + happenings_event(told_);
    told_ = history_.happenings().empty() ? 0 : history_.happenings().back().number;
    streams_.push(std::move(events));
    for (const auto id : queue_)  // later than what this event's mark tells of
        changed_[id] = ++version_;
    if (!queue_.empty())
        arm(gather / 4);
}

// How long attempts take and how often they have failed, again and again; and what moves on with the minutes.
void Page::tell_figures()
{
    if (!streams_.any()) {
        counting_ = false;
        return;
    }
    std::string text = "{" + counts_json(counts_of(*monitor_));
    for (ServiceId id = 0; id < attempted_.size(); ++id)
        if (attempted_[id]) {
            attempted_[id] = false;
            if (telling_probe(*monitor_, id))
                touch(id);
            text += fmt::format(R"(,"latency-{}":"{}")", id, latency_text(*monitor_, id));
        }
    streams_.push(event_text("text", text + "}"));
    const auto minute = Trails::minute_of(Clock::now());
    if (std::exchange(minute_, minute) != minute)
        for (ServiceId id = 0; id < changed_.size(); ++id)
            touch(id);
    figures_timer_.expires_after(figures_pause);
    figures_timer_.async_wait([this](boost::system::error_code error) {
        if (!error)
            tell_figures();
    });
}

}  // namespace keepwell
