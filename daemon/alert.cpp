#include "daemon/alert.hpp"

#include "daemon/health_line.hpp"
#include "daemon/schedule.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell {

namespace {

// A restart that has succeeded so lately counts as being healed.
constexpr Clock::duration healing = 15min;
// An alert that stands is looked at again after this: that something was done is forgotten by time alone.
constexpr Clock::duration glance = 5s;
constexpr std::size_t longest_description = 1000;
constexpr std::string_view runbooks = "https://github.com/keepwell/keepwell/blob/main/docs/runbooks/";

// Unhealthy by itself.
Standing is_root_cause(const Monitor& monitor, ServiceId id, Clock::time_point)
{
    const auto& service = monitor.service(id);
    if (service.state == State::unhealthy)
        return service.root_cause ? Standing::excused : Standing::met;
    const bool open = service.state == State::starting || service.state == State::unknown;
    return open && monitor.stack().services()[id].probed ? Standing::unclear : Standing::over;
}

Standing is_not_healed(const Monitor& monitor, ServiceId id, Clock::time_point now)
{
    const auto standing = is_root_cause(monitor, id, now);
    const auto& row = monitor.stack().services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        const auto& view = monitor.instance(each);
        const bool healed = view.last_action && view.last_action->result == ActionResult::ok &&
                            now - view.last_action_at < healing;
        if (healed && standing == Standing::met)
            return Standing::excused;
    }
    return standing;
}

// What is in doubt as a whole has an alert of its own.
Standing is_unknown(const Monitor& monitor, ServiceId id, Clock::time_point)
{
    const auto state = monitor.service(id).state;
    if (!monitor.stack().services()[id].probed || (state != State::unknown && state != State::starting))
        return Standing::over;
    if (state == State::starting)
        return Standing::unclear;
    return monitor.in_doubt() ? Standing::excused : Standing::met;
}

bool is_left_alone(State state) { return state == State::maintenance || state == State::paused; }

Standing is_quarantined(const Monitor& monitor, InstanceId id, Clock::time_point)
{
    const auto& view = monitor.instance(id);
    return view.record.quarantined && !is_left_alone(view.state) ? Standing::met : Standing::over;
}

Standing has_failing_gate(const Monitor& monitor, InstanceId id, Clock::time_point)
{
    const auto& view = monitor.instance(id);
    if (view.state == State::healthy || is_left_alone(view.state) || view.hold == Hold::in_flight)
        return Standing::over;
    if (view.state != State::unhealthy || view.hold == Hold::gate_pending)
        return Standing::unclear;
    if (view.hold == Hold::gate_failed)
        return Standing::met;
    return view.alive ? Standing::over : Standing::excused;
}

Standing is_in_doubt(const Monitor& monitor, std::size_t, Clock::time_point)
{
    if (monitor.in_doubt())
        return Standing::met;
    return monitor.stack_state() == State::starting ? Standing::unclear : Standing::over;
}

std::size_t count_of(const Monitor& monitor, AlertRule::About about)
{
    switch (about) {
        case AlertRule::About::stack: return 1;
        case AlertRule::About::service: return monitor.stack().services().size();
        case AlertRule::About::instance: return monitor.stack().instances().size();
    }
    return 0;
}

AlertKey key_of(const Monitor& monitor, const AlertRule& rule, std::size_t id)
{
    const auto& stack = monitor.stack();
    AlertKey key{.rule = std::string{rule.name}, .project = stack.spec().project};
    if (rule.about == AlertRule::About::stack)
        return key;
    const bool is_instance = rule.about == AlertRule::About::instance;
    const auto& service = *stack.services()[is_instance ? stack.instances()[id].service : id].spec;
    if (!service.project.empty())
        key.project = service.project;
    key.service = service.name;
    if (is_instance)
        key.container = stack.instances()[id].spec->name;
    return key;
}

std::string why(const Monitor& monitor, const AlertRule& rule, std::size_t id)
{
    switch (rule.about) {
        case AlertRule::About::stack: return monitor.doubt_reason();
        case AlertRule::About::service: return health_line(monitor, id);
        case AlertRule::About::instance: break;
    }
    const auto& view = monitor.instance(id);
    if (view.hold == Hold::gate_failed || view.hold == Hold::quarantined)
        return view.hold_detail;
    return health_line(monitor, monitor.stack().instances()[id].service);
}

std::string describe(const Monitor& monitor, const AlertRule& rule, std::size_t id, const AlertKey& key)
{
    auto text = fmt::format(fmt::runtime(rule.description), fmt::arg("project", key.project),
                            fmt::arg("service", key.service), fmt::arg("container", key.container),
                            fmt::arg("why", why(monitor, rule, id)));
    if (text.size() > longest_description)
        text.replace(longest_description, text.npos, "...");
    return valid_utf8(text);
}

std::string page_of(const Url& external_url)
{
    const auto page = external_url.whole();
    return page.empty() || page.ends_with('/') ? page : page + "/";
}

}  // namespace

std::span<const AlertRule> alert_rules()
{
    using enum AlertRule::About;
    static constexpr std::array all{
        AlertRule{"KeepwellServiceUnhealthy", "critical", service, &AlertTimes::service_unhealthy,
                  "unhealthy", "A service is unhealthy, and it is the root cause.",
                  "{service} of {project} is unhealthy, while everything that it depends on is well ({why}).",
                  is_root_cause},
        AlertRule{"KeepwellServiceNotHealed", "critical", service, &AlertTimes::service_not_healed,
                  "not being healed", "A service is unhealthy, and nothing is being done about it.",
                  "{service} of {project} is the root cause of an outage, and no restart of it has succeeded "
                  "({why}).",
                  is_not_healed},
        AlertRule{"KeepwellServiceUnknown", "warning", service, &AlertTimes::service_unknown,
                  "cannot be verified", "The state of a service cannot be verified.",
                  "keepwell can attempt none of the probes of {service} of {project}, and does not restart "
                  "what it cannot see ({why}).",
                  is_unknown},
        AlertRule{
            "KeepwellQuarantined", "critical", instance, &AlertTimes::quarantined, "in quarantine",
            "Neither restarts nor restart signals help, and keepwell has given up on an instance.",
            "{container} ({service} of {project}) has spent its restart budget. It is not restarted any "
            "more until it is well again or a person resumes it ({why}).",
            is_quarantined},
        AlertRule{
            "KeepwellGateFailing", "critical", instance, &AlertTimes::gate_failing, "held by its gate",
            "A service is unhealthy, and its gate forbids the restart.",
            "{container} ({service} of {project}) needs a restart, but a check that must pass before it "
            "fails ({why}).",
            has_failing_gate},
        AlertRule{"KeepwellSelfDoubt", "critical", stack, &AlertTimes::self_doubt, "doubts itself",
                  "Everything fails at once, and keepwell takes itself for the cause.",
                  "keepwell of {project} doubts what it sees and restarts nothing: its network is gone, or "
                  "everything that it watches ({why}).",
                  is_in_doubt},
    };
    return all;
}

const AlertRule* find_alert_rule(std::string_view name)
{
    const auto found = std::ranges::find(alert_rules(), name, &AlertRule::name);
    return found == alert_rules().end() ? nullptr : &*found;
}

AlertLabels labels_of(const AlertKey& key)
{
    const auto* rule = find_alert_rule(key.rule);
    AlertLabels labels{{"alertname", key.rule}, {"severity", std::string{rule ? rule->severity : "info"}}};
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty())
            labels.emplace_back(name, value);
    };
    add("compose_project", key.project);
    add("compose_service", key.service);
    add("container", key.container);
    if (key.rule == "KeepwellGateFailing")
        add("hold", "gate_failed");
    return labels;
}

std::string link_to(ServiceId service, const Url& external_url)
{
    return external_url.empty() ? std::string{}
                                : fmt::format("{}#service-{}", page_of(external_url), service);
}

std::string link_to(const Alert& alert, const Url& external_url)
{
    const bool has_service = !alert.key.service.empty() && alert.looked_at != 0;
    return has_service ? link_to(alert.service, external_url) : page_of(external_url);
}

std::string runbook_url(std::string_view rule) { return fmt::format("{}{}.md", runbooks, rule); }

std::vector<Alert> Alerts::look(const Monitor& monitor, Clock::time_point now, WallTime wall)
{
    ++looks_;
    wake_ = Clock::time_point::max();
    std::vector<Alert> news;
    for (const auto& rule : alert_rules()) {
        const auto count = count_of(monitor, rule.about);
        for (std::size_t id = 0; id < count; ++id) {
            const auto standing = rule.standing(monitor, id, now);
            if (standing == Standing::over || (standing != Standing::met && alerts_.empty()))
                continue;
            auto* alert = take(key_of(monitor, rule, id), standing, now);
            if (!alert)
                continue;
            const bool is_instance = rule.about == AlertRule::About::instance;
            alert->service = is_instance ? monitor.stack().instances()[id].service : id;
            const bool began = standing == Standing::met && has_begun(*alert, rule, now, wall);
            if (alert->fired_at && (standing == Standing::met || alert->description.empty()))
                alert->description = describe(monitor, rule, id, alert->key);
            if (began)
                news.push_back(*alert);
        }
    }
    end_others(now, wall, news);
    return news;
}

// The alert of something that stands in some way; null when there is none.
Alert* Alerts::take(AlertKey key, Standing standing, Clock::time_point now)
{
    auto found = alerts_.find(key);
    if (found == alerts_.end() || found->second.ended_at) {
        if (standing != Standing::met || (found == alerts_.end() && full()))
            return nullptr;
        Alert fresh{.key = key, .since = now};
        found = alerts_.insert_or_assign(std::move(key), std::move(fresh)).first;
    }
    auto& alert = found->second;
    if (!alert.fired_at && standing == Standing::excused)
        return nullptr;
    alert.looked_at = looks_;
    wake_ = std::min(wake_, now + glance);
    return &alert;
}

bool Alerts::has_begun(Alert& alert, const AlertRule& rule, Clock::time_point now, WallTime wall)
{
    if (alert.fired_at)
        return false;
    if (const auto due = later(alert.since, after_.*rule.lasts); now < due) {
        wake_ = std::min(wake_, due);
        return false;
    }
    alert.fired_at = wall;
    return true;
}

// What was not found standing is over, or gone.
void Alerts::end_others(Clock::time_point now, WallTime wall, std::vector<Alert>& news)
{
    for (auto each = alerts_.begin(); each != alerts_.end();) {
        auto& alert = each->second;
        if (alert.firing() && alert.looked_at != looks_) {
            alert.ended_at = std::max(wall, *alert.fired_at);
            alert.ended = now;
            news.push_back(alert);
        }
        const bool forgotten = alert.ended_at ? now - alert.ended >= remembered : alert.looked_at != looks_;
        if (alert.ended_at && !forgotten)
            wake_ = std::min(wake_, alert.ended + remembered);
        each = forgotten ? alerts_.erase(each) : std::next(each);
    }
}

std::size_t Alerts::firing() const
{
    return static_cast<std::size_t>(
        std::ranges::count_if(alerts_, [](const auto& each) { return each.second.firing(); }));
}

void Alerts::restore(AlertKey key, WallTime fired_at, Clock::time_point now)
{
    if (!find_alert_rule(key.rule) || full() || alerts_.contains(key))
        return;
    Alert alert{.key = key, .since = now, .fired_at = fired_at};
    alerts_.emplace(std::move(key), std::move(alert));
}

}  // namespace keepwell
