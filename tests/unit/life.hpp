#pragma once

#include "daemon/monitor.hpp"

#include <map>
#include <sstream>
#include <string>

namespace keepwell {

using namespace std::chrono_literals;

// Writes down what the sinks are told, one word per event:
//   db:unhealthy  a state    (db):unhealthy  a service's    db!2  a signal, raised the second time    db~
//   cleared db>pending    a hold     db*  an action begun           db=failed  its report doubt, sure
class Tape : public Sink {
public:
    const Monitor* monitor = nullptr;
    bool states = true, services = false, signals = true, holds = false, doubts = false;
    std::string text;

    std::string take() { return std::exchange(text, {}); }

    void state_changed(InstanceId id, State, State after, Clock::time_point) override
    {
        if (states)
            write(name(id) + ":" + std::string{name_of(after)});
    }
    void service_changed(ServiceId id, State, State after, Clock::time_point) override
    {
        if (services)
            write("(" + monitor->stack().services()[id].spec->name + "):" + std::string{name_of(after)});
    }
    void signal_raised(InstanceId id, const Signal& signal, Clock::time_point) override
    {
        if (signals)
            write(name(id) + "!" + (signal.times > 1 ? std::to_string(signal.times) : ""));
    }
    void signal_cleared(InstanceId id, const Signal&, Clock::time_point) override
    {
        if (signals)
            write(name(id) + "~");
    }
    void held(InstanceId id, Hold, Hold after, const std::string&, Clock::time_point) override
    {
        if (holds)
            write(name(id) + ">" + std::string{name_of(after)});
    }
    void action_started(InstanceId id, const ActionContext&, Clock::time_point) override
    {
        if (signals)
            write(name(id) + "*");
    }
    void action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point) override
    {
        if (signals)
            write(name(id) + "=" + std::string{name_of(outcome.result)});
    }
    void doubted(bool on, const std::string&, Clock::time_point) override
    {
        if (doubts)
            write(on ? "doubt" : "sure");
    }

private:
    std::string name(InstanceId id) const { return monitor->stack().instances()[id].spec->name; }
    void write(const std::string& word) { text += (text.empty() ? "" : " ") + word; }
};

inline SharedSpec any_spec()
{
    static const auto spec = std::make_shared<const ProbeSpec>(TcpSpec{});
    return spec;
}

inline Probe a_probe(std::string name, Role role = Role::liveness)
{
    return {.name = std::move(name),
            .role = role,
            .spec = any_spec(),
            .timing = {.interval = 10s, .timeout = 1s, .retries = 2}};
}

// A service with one instance of its name (or NAME-1, NAME-2, ...), with a liveness probe `live`.
inline Service a_service(std::string name, std::vector<Edge> depends_on = {}, int instances = 1)
{
    Service service{.name = std::move(name), .depends_on = std::move(depends_on)};
    for (int i = 1; i <= instances; ++i)
        service.instances.push_back(
            {.name = instances == 1 ? service.name : service.name + "-" + std::to_string(i),
             .address = "10.0.0." + std::to_string(i),
             .probes = {a_probe("live")}});
    service.restart = {.backoff = 30s, .backoff_max = 2min, .jitter = 0, .max = 3, .within = 1h};
    return service;
}

inline Edge on(std::string service, bool restart = false, Condition condition = Condition::healthy)
{
    return {std::move(service), condition, restart};
}

inline Service acting(Service service)
{
    service.restart.mode = Mode::act;
    service.restart.command = CommandAction{.argv = {"restart"}, .timeout = 20s};
    return service;
}

inline Service with_gate(Service service)
{
    for (auto& instance : service.instances)
        instance.probes.push_back(a_probe("config", Role::gate));
    return service;
}

// A monitor in virtual time, driven by words:
//   db+ db- db? db=      an attempt of `db`'s probe `live`: ok, no response, not attempted, rejected
//   db.ready+            of another probe        db-@5s   begun 5 s ago
//   5s                   time passes; the rules are applied whenever they ask for it, and after every word
//   db/ok db/failed ...  the action's report     db/pass db/deny   the gates' answer
//   maintain:db work:db resume:db   by hand      start:db pause:db unpause:db   from outside
//   freeze:60s           the loop stood still    self+ self-   the self-check
// What is asked for is written to the tape: act(db), gates(db).
class Life {
public:
    explicit Life(StackSpec spec) : monitor{Stack{std::move(spec)}, {&tape}, now, 1}
    {
        tape.monitor = &monitor;
    }
    explicit Life(std::vector<Service> services) : Life{StackSpec{.services = std::move(services)}} {}

    // What was written meanwhile.
    std::string play(const std::string& script)
    {
        std::istringstream words{script};
        for (std::string word; words >> word;)
            step(word);
        return tape.take();
    }

    InstanceId instance(std::string_view name) const
    {
        for (InstanceId id = 0; id < monitor.stack().instances().size(); ++id)
            if (monitor.stack().instances()[id].spec->name == name)
                return id;
        throw std::runtime_error{"no instance " + std::string{name}};
    }
    const InstanceView& view(std::string_view name) const { return monitor.instance(instance(name)); }
    const ServiceView& service(std::string_view name) const
    {
        return monitor.service(*monitor.stack().find(name));
    }
    Hold hold(std::string_view name) const { return view(name).hold; }

    Clock::time_point now = Clock::time_point{} + 1h;
    Tape tape;
    bool pass_self_checks = true;  // all the time
    Monitor monitor;

private:
    void step(const std::string& word)
    {
        if (const auto length = Duration::parse(word))
            pass(length->value);
        else if (const auto slash = word.find('/'); slash != std::string::npos)
            answer(word.substr(0, slash), word.substr(slash + 1));
        else if (const auto colon = word.find(':'); colon != std::string::npos)
            by_hand(word.substr(0, colon), word.substr(colon + 1));
        else
            attempt(word);
        apply();
    }

    void pass(Clock::duration length)
    {
        const auto end = now + length;
        while (monitor.wake_at() <= end) {
            now = std::max(now, monitor.wake_at());
            apply();
        }
        now = end;
    }

    void apply()
    {
        // All others that are not in the script answer, too: our own eyes work.
        if (pass_self_checks)
            check_self(Outcome::ok);
        for (const auto& request : monitor.advance(now)) {
            const auto& name = monitor.stack().instances()[request.instance].spec->name;
            tape.text += (tape.text.empty() ? "" : " ") +
                         std::string{request.kind == Request::Kind::act ? "act(" : "gates("} + name + ")";
        }
    }

    void check_self(Outcome outcome, Clock::duration ago = {})
    {
        monitor.self_checked({.outcome = outcome, .detail = "self", .started = now - ago}, now);
    }

    void attempt(const std::string& word)
    {
        const auto at = sign_of(word);
        auto target = word.substr(0, at);
        const auto outcome = word[at] == '+'   ? Outcome::ok
                             : word[at] == '-' ? Outcome::no_response
                             : word[at] == '=' ? Outcome::rejected
                                               : Outcome::not_attempted;
        Clock::duration ago{};
        if (word.size() > at + 1)
            ago = Duration::parse(word.substr(at + 2))->value;
        if (target == "self")
            return check_self(outcome, ago);
        std::string probe = "live";
        if (const auto dot = target.find('.'); dot != std::string::npos) {
            probe = target.substr(dot + 1);
            target = target.substr(0, dot);
        }
        const ProbeResult result{.outcome = outcome,
                                 .reason = outcome == Outcome::ok ? Reason::none : Reason::timeout,
                                 .detail = outcome == Outcome::ok ? "" : "no answer",
                                 .started = now - ago,
                                 .took = ago};
        const auto id = monitor.stack().find_probe(instance(target), probe);
        if (!id)
            throw std::runtime_error{"no probe in " + word};
        monitor.observe(*id, result, now);
    }

    // Instance names may hold a dash (api-1): the sign is the last one before an optional @.
    static std::size_t sign_of(const std::string& word)
    {
        const auto at = word.find_last_of("+-?=", word.find('@'));
        if (at == std::string::npos)
            throw std::runtime_error{"what is " + word + "?"};
        return at;
    }

    void answer(const std::string& name, const std::string& what)
    {
        const auto id = instance(name);
        if (what == "pass" || what == "deny")
            return monitor.gates_answered(id, what == "pass", what == "pass" ? "" : "bad config", now);
        for (const auto& [result, word] : enum_names(ActionResult{}))
            if (word == what)
                return monitor.action_finished(id, {.result = result, .detail = "told so"}, now);
        throw std::runtime_error{"no answer " + what};
    }

    void by_hand(const std::string& what, const std::string& name)
    {
        if (what == "freeze") {
            const auto late = Duration::parse(name)->value;
            now += late;
            return monitor.frozen(late, now);
        }
        if (what == "maintain" || what == "work")
            return monitor.maintain(*monitor.stack().find(name), what == "maintain", "by hand", now);
        if (what == "resume")
            return monitor.resume(*monitor.stack().find(name), now);
        if (what == "start")
            return monitor.instance_started(instance(name), now);
        if (what == "pause" || what == "unpause")
            return monitor.instance_paused(instance(name), what == "pause", now);
        throw std::runtime_error{"what is " + what + "?"};
    }
};

}  // namespace keepwell
