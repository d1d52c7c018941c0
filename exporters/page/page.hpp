#pragma once

#include "exporters/events.hpp"
#include "exporters/page/view.hpp"

namespace keepwell {

// The status page, and who is told when something on it changes. Live on the loop; costs next to nothing
// while nobody looks.
class Page : public Sink {
public:
    Page(asio::io_context& loop, const History& history);

    // Shows this monitor from now on; pages that are open load themselves anew. It must live until the next
    // attach.
    void attach(const Monitor& monitor);

    // The whole document in slices: each call appends some rows, so that a page of thousands of services
    // never holds up the loop; false when it is complete. A reload in between begins it again. `refusal`: why
    // who looks may only read; empty: may act.
    struct Cursor {
        std::uint64_t generation = 0;
        std::size_t part = 0;  // of the template
        std::size_t row = 0;
        std::vector<ServiceId> order{};
    };
    bool write(std::string& out, Cursor& cursor, const std::string& refusal) const;

    // A stream of what changes after `since`: the page's own mark, or the id of the last event that was seen.
    // Null when there are too many.
    std::shared_ptr<EventStream> follow(std::string_view since);
    void stop();

    // Something was changed by hand.
    void touch(ServiceId id);

    void attempted(ProbeId, const ProbeResult&, const Health&) override;
    void state_changed(InstanceId, State, State, Clock::time_point) override;
    void service_changed(ServiceId, State, State, Clock::time_point) override;
    void signal_raised(InstanceId, const Signal&, Clock::time_point) override;
    void signal_cleared(InstanceId, const Signal&, Clock::time_point) override;
    void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override;
    void action_started(InstanceId, const ActionContext&, Clock::time_point) override;
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override;
    void doubted(bool, const std::string&, Clock::time_point) override;

    const Trails& trails() const { return trails_; }

private:
    PageView view() const;
    std::string mark() const;
    bool write_rows(std::string& out, Cursor& cursor) const;
    void write_happenings(Markup& html, const PageView& at) const;
    void write_part(std::string& out, std::string_view name, const std::string& refusal) const;
    void touch_instance(InstanceId id);
    void touch_dependants(ServiceId id);
    void forget_queue();
    void arm(Clock::duration pause);
    void flush();
    void tell_figures();
    std::string rows_event(std::span<const ServiceId> services, bool graph) const;
    std::string happenings_event(std::uint64_t after) const;

    const History& history_;
    const Monitor* monitor_ = nullptr;
    Trails trails_{};
    EventStreams streams_;
    asio::steady_timer flush_timer_;
    asio::steady_timer figures_timer_;
    bool armed_ = false;
    bool counting_ = false;

    std::uint64_t boot_;                    // differs from that of any keepwell before
    std::uint64_t generation_ = 0;          // counts monitors
    std::uint64_t version_ = 0;             // counts changes of services
    std::uint64_t told_ = 0;                // number of the last happening that streams have been told of
    std::vector<std::uint64_t> changed_{};  // by service: the version that has its last change
    std::vector<bool> queued_{};
    std::vector<bool> attempted_{};  // since figures were told
    std::vector<Reason> reasons_{};  // by probe: of the last attempt
    std::deque<ServiceId> queue_{};
    bool graph_changed_ = false;
    std::int64_t minute_ = 0;
};

}  // namespace keepwell
