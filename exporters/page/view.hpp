#pragma once

#include "exporters/history.hpp"
#include "exporters/markup.hpp"
#include "exporters/trails.hpp"

namespace keepwell {

// What the parts of the status page are made of; a moment of it, cheap to make.
struct PageView {
    const Monitor& monitor;
    const History& history;
    const Trails& trails;
    Clock::time_point now;
    std::chrono::system_clock::time_point wall_now;

    std::chrono::system_clock::time_point wall(Clock::time_point at) const
    {
        return wall_now + std::chrono::duration_cast<std::chrono::system_clock::duration>(at - now);
    }
};

// What the page shows first, and how its services are grouped for the filter.
struct Rank {
    int order = 0;             // smaller ones come first
    std::string_view group{};  // trouble, maintenance, healthy or unprobed
};
Rank rank_of(const Monitor& monitor, ServiceId id);

// Unhealthy by itself; and whether others depend on it, so that the word fits.
bool fails_by_itself(const Monitor& monitor, ServiceId id);
bool is_root_cause(const Monitor& monitor, ServiceId id);

// How many services there are of each group.
struct Counts {
    std::size_t all = 0, trouble = 0, maintenance = 0, healthy = 0, unprobed = 0;
    std::size_t of(std::string_view group) const
    {
        return group == "trouble"       ? trouble
               : group == "maintenance" ? maintenance
               : group == "healthy"     ? healthy
               : group == "unprobed"    ? unprobed
                                        : all;
    }
};
Counts counts_of(const Monitor& monitor);

// The probe whose last attempt says why the service is not well, or is about to be not; none when all is
// fine.
std::optional<ProbeId> telling_probe(const Monitor& monitor, ServiceId id);

// How long the last attempt of the slowest of the service's probes took; empty before the first.
std::string latency_text(const Monitor& monitor, ServiceId id);

// The parts, each an element with an id of its own, so that the page's script can replace it: `summary`,
// `service-N`, `graph`, `happening-N`.
void write_summary(Markup& html, const PageView& view);
void write_row(Markup& html, const PageView& view, ServiceId id);
void write_graph(Markup& html, const PageView& view);
void write_happening(Markup& html, const PageView& view, const Happening& happening);

// Pieces that several parts have.
void write_icon(Markup& html, State state);
void write_service_link(Markup& html, const PageView& view, ServiceId id);
void write_time(Markup& html, const PageView& view, Clock::time_point at);  // as its age
// Why a service is not well, in words; and what keepwell does about it, or why it does not.
void write_reason(Markup& html, const PageView& view, ProbeId probe);
void write_treatment(Markup& html, const PageView& view, ServiceId id);

}  // namespace keepwell
