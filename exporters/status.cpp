#include "exporters/status.hpp"

#include "daemon/version.hpp"
#include "probes/utf8.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <boost/json.hpp>

namespace keepwell {

namespace json = boost::json;

namespace {

constexpr std::size_t slice_bytes = 32 << 10;  // some tenths of a millisecond

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

// Steady time as the wall clock has it, RFC 3339 with milliseconds.
std::string time_text(Clock::time_point at, Clock::time_point now)
{
    const auto wall = std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(at - now));
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(wall)),
                       wall.time_since_epoch().count() % 1000);
}

json::object probe_object(const Probe& probe, const ProbeView& view, Clock::time_point now)
{
    json::object object{{"name", probe.name},
                        {"kind", kind_of(*probe.spec)},
                        {"role", name_of(probe.role)},
                        {"state", name_of(view.health.state)},
                        {"failing_streak", view.health.failing_streak},
                        {"retries", probe.timing.retries},
                        {"interval_seconds", seconds(probe.timing.interval)}};
    if (view.last.started == Clock::time_point{})
        return object;
    const auto& last = view.last;
    json::object attempt{{"outcome", to_string(last.outcome)}, {"reason", to_string(last.reason)},
                         {"words", words(last.reason)},        {"phase", to_string(last.phase)},
                         {"detail", valid_utf8(last.detail)},  {"at", time_text(last.started, now)},
                         {"seconds", seconds(last.took)}};
    json::object phases;
    for (std::size_t i = 0; i < phase_count; ++i)
        if (last.phase_took[i] > Clock::duration{})
            phases[to_string(static_cast<Phase>(i))] = seconds(last.phase_took[i]);
    attempt["phases"] = std::move(phases);
    json::object facts;
    for (const auto& fact : last.facts)
        facts[fact.name] = fact.value;
    attempt["facts"] = std::move(facts);
    if (!last.output.empty())
        attempt["output"] = valid_utf8(last.output);
    object["last_attempt"] = std::move(attempt);
    return object;
}

json::object signal_object(const Signal& signal, Clock::time_point now)
{
    return {{"cause", signal.cause},
            {"probe", signal.probe},
            {"reason", to_string(signal.reason)},
            {"words", words(signal.reason)},
            {"detail", valid_utf8(signal.detail)},
            {"since", time_text(signal.since, now)},
            {"times", signal.times}};
}

json::object instance_object(const Monitor& monitor, InstanceId id, Clock::time_point now)
{
    const auto& row = monitor.stack().instances()[id];
    const auto& view = monitor.instance(id);
    const auto& policy = monitor.stack().services()[row.service].spec->restart;
    json::object object{{"name", row.spec->name},
                        {"address", row.spec->address},
                        {"state", name_of(view.state)},
                        {"since", time_text(view.since, now)},
                        {"alive", view.alive}};
    if (view.state == State::paused && !row.spec->rest.empty())
        object["rest"] = row.spec->rest;
    if (view.hold != Hold::none && view.hold != Hold::healthy)
        object["hold"] = json::object{{"name", name_of(view.hold)},
                                      {"words", words(view.hold)},
                                      {"detail", valid_utf8(view.hold_detail)}};
    if (view.signal)
        object["signal"] = signal_object(*view.signal, now);
    json::object restarts{{"within_window", view.record.recent.size()},
                          {"max", policy.max},
                          {"window_seconds", seconds(policy.within)},
                          {"quarantined", view.record.quarantined}};
    if (view.record.not_before > now)
        restarts["not_before"] = time_text(view.record.not_before, now);
    if (view.last_action)
        restarts["last"] = json::object{{"result", name_of(view.last_action->result)},
                                        {"detail", valid_utf8(view.last_action->detail)},
                                        {"output", valid_utf8(view.last_action->output)},
                                        {"at", time_text(view.last_action_at, now)},
                                        {"seconds", seconds(view.last_action->took)},
                                        {"signal", signal_object(view.last_action_signal, now)}};
    object["restarts"] = std::move(restarts);
    json::array probes;
    for (std::size_t i = 0; i < row.probe_count; ++i)
        probes.push_back(probe_object(row.spec->probes[i], monitor.probe(row.first_probe + i), now));
    object["probes"] = std::move(probes);
    return object;
}

// But for its instances, which may be thousands.
json::object service_object(const Monitor& monitor, ServiceId id, Clock::time_point now)
{
    const auto& row = monitor.stack().services()[id];
    const auto& view = monitor.service(id);
    json::object object{{"name", row.spec->name},
                        {"state", name_of(view.state)},
                        {"since", time_text(view.since, now)},
                        {"mode", name_of(monitor.stack().mode_of(id))},
                        {"summary", valid_utf8(health_line(monitor, id))}};
    json::array needs;
    for (const auto need : row.needs)
        needs.push_back(json::value(monitor.stack().services()[need].spec->name));
    object["depends_on"] = std::move(needs);
    if (view.root_cause)
        object["root_cause"] = monitor.stack().services()[*view.root_cause].spec->name;
    if (view.maintenance)
        object["maintenance"] = json::object{{"note", valid_utf8(view.maintenance_note)}};
    return object;
}

// A document whose last member is a list that is to come.
void append_open(std::string& body, const json::object& object, std::string_view list)
{
    body += json::serialize(object);
    body.pop_back();
    fmt::format_to(std::back_inserter(body), ",\"{}\":[", list);
}

}  // namespace

void StatusWriter::begin(std::string& body, const Monitor& monitor, Clock::time_point now) const
{
    json::object object{{"project", monitor.stack().spec().project},
                        {"version", version},
                        {"state", name_of(monitor.stack_state())},
                        {"at", time_text(now, now)},
                        {"in_doubt", monitor.in_doubt()},
                        {"stands_by", stands_by_}};
    if (engine_up_)
        object["engine_up"] = *engine_up_;
    if (monitor.in_doubt())
        object["doubt"] = monitor.doubt_reason();
    append_open(body, object, "services");
}

// The next part; false when there is none. Another monitor than that of the part before may have fewer
// services.
bool StatusWriter::write_part(std::string& body, const Monitor& monitor, Clock::time_point now)
{
    const auto& services = monitor.stack().services();
    if (service_ >= std::min(end_, services.size()) && !within_)
        return false;
    if (!within_) {
        body += whole_ && service_ > 0 ? "," : "";
        append_open(body, service_object(monitor, service_, now), "instances");
        within_ = true;
        instance_ = 0;
    }
    if (service_ < services.size() && instance_ < services[service_].instance_count) {
        body += instance_ > 0 ? "," : "";
        body += json::serialize(instance_object(monitor, services[service_].first_instance + instance_, now));
        ++instance_;
    } else {
        body += "]}";
        within_ = false;
        ++service_;
    }
    return true;
}

bool StatusWriter::write(std::string& body, const Monitor& monitor, Clock::time_point now)
{
    const auto limit = body.size() + slice_bytes;
    if (whole_ && body.empty())
        begin(body, monitor, now);
    while (body.size() < limit)
        if (!write_part(body, monitor, now)) {
            body += whole_ ? "]}\n" : "\n";
            return false;
        }
    return true;
}

std::string signals_json(const Monitor& monitor, const History& history, Clock::time_point now)
{
    json::array raised;
    for (InstanceId id = 0; id < monitor.stack().instances().size(); ++id) {
        const auto& view = monitor.instance(id);
        if (!view.signal)
            continue;
        auto object = signal_object(*view.signal, now);
        const auto& row = monitor.stack().instances()[id];
        object["service"] = monitor.stack().services()[row.service].spec->name;
        object["instance"] = row.spec->name;
        object["hold"] = name_of(view.hold);
        raised.push_back(std::move(object));
    }
    json::array happenings;
    for (const auto& each : history.happenings())
        happenings.push_back(json::object{{"number", each.number},
                                          {"at", time_text(each.at, now)},
                                          {"kind", each.kind},
                                          {"service", each.service},
                                          {"instance", each.instance},
                                          {"text", valid_utf8(each.text)}});
    return json::serialize(json::object{{"signals", std::move(raised)}, {"history", std::move(happenings)}}) +
           "\n";
}

std::string error_json(std::string_view message)
{
    return json::serialize(json::object{{"error", message}}) + "\n";
}

}  // namespace keepwell
