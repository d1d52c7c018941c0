#!/usr/bin/env python3
"""Makes the three dashboards, beside this file. What they show is said here, how panels look in panels.py.

    dashboards/make.py"""

import json
import pathlib

from panels import (BAD, GOOD, STATES, Board, bars, fixed_color, gauge, heatmap, lines, override, stacked, stat, table, timeline,
                    variable)

OUTCOMES = {"ok": "green", "rejected": "orange", "no_response": "red", "not_attempted": "yellow"}
RESULTS = {"ok": "green", "failed": "red", "timed_out": "orange", "not_started": "yellow", "needs_recreate": "purple"}
AVAILABLE = [(None, "red"), (0.99, "orange"), (0.999, "green")]
SERVICE = "compose_project, compose_service"
PROJECTS = "label_values(keepwell_service_state, compose_project)"


def link_to_service(labels):
    """From a panel whose series have these labels: `field` of a series, `data` of a table's row."""
    where = {"field": "${__field.labels.%s}", "data": "${__data.fields.%s}"}[labels]
    return {"title": "This service", "url": "/d/keepwell-service?var-datasource=${datasource}"
            f"&var-project={where % 'compose_project'}&var-service={where % 'compose_service'}&${{__url_time_range}}"}


def state(metric, by, which):
    """The number of the state in STATES."""
    code = {"starting": 2, "maintenance|paused": 3, "unknown": 4, "unhealthy": 5}
    others = "".join(f' or {number} * {metric}{{{which}, state=~"{name}"}}' for name, number in code.items())
    return f'max by ({by}) ({metric}{{{which}, state="healthy"}}{others})'


def mean(summary, which, by=""):
    """Over the shown time; nothing when there was none."""
    by = f" by ({by})" if by else ""
    return (f"sum{by} (increase({summary}_sum{{{which}}}[$__range])) / "
            f"(sum{by} (increase({summary}_count{{{which}}}[$__range])) > 0)")


def restarts(which):
    return bars("Restarts by result", "Restarts that keepwell has carried out, or tried to.",
                (f"sum by (result) (increase(keepwell_actions_total{{{which}}}[$__rate_interval]))", "{{result}}"), colors=RESULTS)


def attempts(which, description):
    return stacked("Attempts by outcome", description,
                   (f"sum by (outcome) (rate(keepwell_probe_attempts_total{{{which}}}[$__rate_interval]))", "{{outcome}}"),
                   unit="reqps", colors=OUTCOMES)


def annotate_restarts(board, which):
    board.annotate("Restarts", f"sum by (compose_service, result) (increase(keepwell_actions_total{{{which}}}[$__rate_interval])) > 0",
                   "{{compose_service}} restarted: {{result}}")


def stack():
    which = 'compose_project=~"$project", compose_service=~"$service"'
    services = 'label_values(keepwell_service_state{compose_project=~"$project"}, compose_service)'
    board = Board("keepwell-stack", "keepwell: stack",
                  "Every service of a stack: how it is, what is the root cause, what was done, and how available it was.",
                  [variable("project", "Project", PROJECTS, multi=True), variable("service", "Service", services, multi=True)], "now-6h")
    annotate_restarts(board, which)
    to_service, row_to_service = link_to_service("field"), link_to_service("data")

    board.row("Now")
    colors = {name: color for name, color in STATES.values()} | {"paused": "purple"}
    board.add(stat("Services by state", "How many services are in each state now.",
                   f"sum by (state) (keepwell_service_state{{{which}}}) > 0", "{{state}}", colors=colors), w=10, h=5)
    board.add(table("Root causes", "Unhealthy services whose dependencies are all well: what to look at first. Empty when all is well.",
                    f"max by ({SERVICE}) (keepwell_service_root_cause{{{which}}}) == 1",
                    {"compose_project": "Project", "compose_service": "Service"}, link=row_to_service), w=6, h=5)
    board.add(table("Not restarted, and why", "Instances that are not alive and not restarted, with the hold that says why. "
                    "Empty when all is well.", f"max by ({SERVICE}, container, hold) (keepwell_restart_held{{{which}}}) == 1",
                    {"compose_project": "Project", "compose_service": "Service", "container": "Instance", "hold": "Hold"},
                    link=row_to_service), w=8, h=5)
    board.add(timeline("State of every service", "Each service over time. A click leads to its own dashboard.",
                       state("keepwell_service_state", SERVICE, which), "{{compose_service}}", names=STATES, link=to_service), w=24, h=10)

    board.row("What was done")
    board.add(restarts(which), w=12, h=8)
    board.add(bars("Restart signals by service", "How often keepwell has said that a service should be restarted, in whatever mode.",
                   (f"sum by (compose_service) (increase(keepwell_signals_total{{{which}}}[$__rate_interval])) > 0",
                    "{{compose_service}}")), w=12, h=8)
    board.add(stat("Time to notice", "Mean over the shown time: from the begin of the first attempt that failed until unhealthy.",
                   mean("keepwell_outage_detection_seconds", which), unit="s", calm=True, decimals=1, noValue="no outage"), w=4, h=7)
    board.add(stat("Time to heal", "Mean over the shown time: from unhealthy until healthy again, of outages that have ended.",
                   mean("keepwell_outage_seconds", which), unit="s", calm=True, decimals=1, noValue="no outage"), w=4, h=7)
    board.add(gauge("Outages by service", "How often each service became unhealthy in the shown time.",
                    f"sort_desc(sum by ({SERVICE}) (increase(keepwell_outage_detection_seconds_count{{{which}}}[$__range])) > 0)",
                    "{{compose_service}}", unit="none", decimals=0, noValue="no outage", color=fixed_color("orange"), link=to_service),
              w=8, h=7)
    board.add(gauge("Time to heal by service", "Mean over the shown time, of outages that have ended.",
                    f'sort_desc({mean("keepwell_outage_seconds", which, SERVICE)})', "{{compose_service}}", unit="s",
                    noValue="no outage", color=fixed_color("orange"), link=to_service), w=8, h=7)

    board.row("Availability against the objective (needs the recording rules)")
    errors, own_errors = (f"keepwell:service_{kind}:ratio_rate5m{{{which}}}" for kind in ("errors", "own_errors"))
    allowed = "1 - keepwell:availability_objective:ratio"
    board.add(gauge("Availability", "Share of attempts that were ok in the shown time, as users meet it: what a service failed at for "
                    "another's sake counts, too.", f"sort(1 - avg_over_time({errors}[$__range]))", "{{compose_service}}",
                    unit="percentunit", decimals=3, max=1, limits=AVAILABLE, link=to_service), w=8, h=9)
    board.add(gauge("Error budget left", "Of what the objective allows for the shown time. Only the service's own doing is charged.",
                    f"sort(1 - avg_over_time({own_errors}[$__range]) / scalar({allowed}))", "{{compose_service}}",
                    unit="percentunit", max=1, limits=[(None, "red"), (0, "orange"), (0.25, "green")], link=to_service), w=8, h=9)
    board.add(lines("Error ratio", "Share of attempts that failed, by service, and what the objective allows.",
                    (errors, "{{compose_service}}"), (allowed, "allowed"), unit="percentunit",
                    overrides=[override("allowed", color=fixed_color("red"), custom__lineStyle={"fill": "dash"})]), w=8, h=9)
    return board


def service():
    of_service = 'compose_project="$project", compose_service="$service"'
    which = f'{of_service}, container=~"$container"'
    services = 'label_values(keepwell_service_state{compose_project="$project"}, compose_service)'
    containers = f"label_values(keepwell_instance_state{{{of_service}}}, container)"
    board = Board("keepwell-service", "keepwell: service",
                  "One service: attempts, latency, certificates, restarts, and what holds them back.",
                  [variable("project", "Project", PROJECTS, multi=False), variable("service", "Service", services, multi=False),
                   variable("container", "Instance", containers, multi=True)], "now-3h")
    annotate_restarts(board, which)
    state_of_service(board, which)
    latency_of_service(board, which)
    restarts_of_service(board, which)

    board.row("Found on the way")
    board.add(gauge("Certificates are valid for", "Until the first certificate expires of the chain that the server presents.",
                    f"min by (container, probe) (keepwell_probe_certificate_expiry_timestamp_seconds{{{which}}}) - time()",
                    "{{container}} {{probe}}", unit="s", max=90 * 86400, noValue="no certificate",
                    limits=[(None, "red"), (3 * 86400, "orange"), (21 * 86400, "green")]), w=12, h=7)
    board.add(lines("HTTP status", "Of the last attempt of each probe that asks by HTTP.",
                    (f"max by (container, probe) (keepwell_probe_http_status_code{{{which}}})", "{{container}} {{probe}}"),
                    unit="none", noValue="no HTTP"), w=12, h=7)
    return board


def state_of_service(board, which):
    board.row("State")
    board.add(timeline("State of each instance", "Each running copy of the service over time.",
                       state("keepwell_instance_state", "container", which), "{{container}}", names=STATES), w=14, h=6)
    board.add(stat("In this state for", "How long each instance is in the state that it is in.",
                   f"time() - max by (container) (keepwell_instance_state_changed_timestamp_seconds{{{which}}})", "{{container}}",
                   unit="s", calm=True, decimals=0), w=5, h=6)
    board.add(stat("Failing in a row", "Failures in a row by probe; at the probe's `retries` the instance is unhealthy.",
                   f"max by (container, probe) (keepwell_probe_failing_streak{{{which}}})", "{{container}} {{probe}}",
                   limits=[(None, "green"), (1, "orange"), (3, "red")]), w=5, h=6)

    board.row("Attempts")
    board.add(attempts(which, "ok; rejected: it answered, and the answer is bad; no_response: no answer in time; "
                       "not_attempted: keepwell's own fault."), w=12, h=8)
    board.add(stacked("Failures by reason", "Why attempts were not ok. `keepwell status` has each reason in words.",
                      (f"sum by (probe, reason) (rate(keepwell_probe_failures_total{{{which}}}[$__rate_interval])) > 0",
                       "{{probe}}: {{reason}}"), unit="reqps"), w=12, h=8)


def latency_of_service(board, which):
    buckets = f"rate(keepwell_probe_duration_seconds_bucket{{{which}}}[$__rate_interval])"
    phases = (f"sum by (phase) (rate(keepwell_probe_phase_seconds_total{{{which}}}[$__rate_interval]))"
              f" / scalar(sum(rate(keepwell_probe_duration_seconds_count{{{which}}}[$__rate_interval])) > 0)")
    quantiles = [(f"histogram_quantile({share}, sum by (le, probe) ({buckets}))", "{{probe}} " + name)
                 for share, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))]

    board.row("Latency")
    board.add(heatmap("Duration of attempts", "How many attempts per second took how long: of all that were answered or timed out.",
                      f"sum by (le) ({buckets})", "{{le}}", unit="s", scheme="Oranges", buckets=True), w=12, h=9)
    board.add(heatmap("Time per phase", "Where an attempt's time goes: mean seconds in each phase, one row per phase.",
                      phases, "{{phase}}", unit="s", scheme="Blues", buckets=False), w=12, h=9)
    board.add(lines("Median and slowest attempts", "By probe: the median, and what 95 and 99 of 100 attempts stay below.",
                    *quantiles, unit="s"), w=12, h=8)
    board.add(stacked("Time per phase over time", "Resolving the name, connecting, TLS, sending, waiting for the reply.",
                      (phases, "{{phase}}"), unit="s"), w=12, h=8)


def restarts_of_service(board, which):
    def ask(title, description, metric):
        return stat(title, description, f"max by (container) ({metric}{{{which}}})", "{{container}}", names=BAD)

    board.row("Restarts")
    board.add(timeline("Holds", "Why an instance that is not alive was not restarted. No row: nothing was held.",
                       f"max by (container, hold) (keepwell_restart_held{{{which}}})", "{{container}}: {{hold}}",
                       names={1: ("held", "orange")}, noValue="nothing is held"), w=12, h=7)
    board.add(restarts(which), w=6, h=7)
    board.add(gauge("Restart budget used", "Within its window. When all is used, the instance is quarantined.",
                    f"max by (container) (keepwell_restart_budget_used{{{which}}} / keepwell_restart_budget)", "{{container}}",
                    unit="percentunit", max=1, limits=[(None, "green"), (0.6, "orange"), (0.8, "red")]), w=6, h=7)
    board.add(ask("Restart asked for", "Whether the restart signal of an instance is raised.", "keepwell_signal_raised"), w=6, h=5)
    board.add(ask("Quarantined", "Whether keepwell has given up on an instance.", "keepwell_quarantined"), w=6, h=5)
    took, count = (f"sum(increase(keepwell_action{name}_total{{{which}}}[$__range]))" for name in ("_seconds", "s"))
    board.add(stat("Time of a restart", "Mean over the shown time, of the command or the Engine.", f"{took} / ({count} > 0)",
                   unit="s", calm=True, decimals=2, noValue="no restart"), w=6, h=5)
    good, all_ = (f"sum(increase(keepwell_probe_attempts_total{{{which}, outcome{name}}}[$__range]))"
                  for name in ('="ok"', '!="not_attempted"'))
    board.add(stat("Availability", "Share of attempts that were ok in the shown time.", f"{good} / {all_}", unit="percentunit",
                   decimals=3, limits=AVAILABLE), w=6, h=5)


def itself():
    which = 'job="keepwell", instance=~"$instance"'
    board = Board("keepwell-itself", "keepwell: itself",
                  "Whether keepwell can be relied on: configuration, timeliness, cost, and whom it reaches.",
                  [variable("instance", "keepwell", "label_values(keepwell_build_info, instance)", multi=True)], "now-6h")

    def ask(title, description, metric, **more):
        return stat(title, description, f"{metric}{{{which}}}", "{{instance}}", **more)

    def plot(title, description, *metrics, unit, **more):
        """Counters as rates; each metric with what its legend says of it."""
        queries = [(f"rate({name}{{{which}}}[$__rate_interval])" if name.endswith("_total") else f"{name}{{{which}}}",
                    ("{{instance}} " + legend).strip()) for name, legend in metrics]
        return lines(title, description, *queries, unit=unit, **more)

    board.row("Now")
    board.add(ask("Up", "Whether Prometheus can scrape it.", "up", names=GOOD), w=3, h=4)
    board.add(ask("Configuration accepted", "Whether the last load of the configuration succeeded; if not, the one before is in use.",
                  "keepwell_config_last_reload_successful", names=GOOD), w=3, h=4)
    board.add(ask("Warnings about it", "`keepwell check` prints them.", "keepwell_config_warnings",
                  limits=[(None, "green"), (1, "orange")]), w=3, h=4)
    board.add(ask("In doubt", "Whether it takes itself for the cause of what it sees; it restarts nothing then.",
                  "keepwell_self_doubt", names=BAD), w=3, h=4)
    board.add(ask("Stands by", "Whether another keepwell of the same stack acts, and this one only watches and signals.",
                  "keepwell_stands_by", names={0: ("no", "green"), 1: ("yes", "blue")}), w=3, h=4)
    board.add(ask("Engine answers", "Whether the Docker Engine answered the last look. Empty where keepwell follows no Engine.",
                  "keepwell_engine_up", names=GOOD, noValue="no Engine"), w=3, h=4)
    board.add(table("Version", "What each keepwell was built from.", f"keepwell_build_info{{{which}}}",
                    {"instance": "keepwell", "version": "Version"}, header=False), w=6, h=4)

    board.row("Timeliness")
    board.add(plot("Lateness of the scheduler", "How late it was at worst between two scrapes.",
                   ("keepwell_loop_lateness_seconds", ""), unit="s"), w=8, h=8)
    board.add(plot("Late ticks", "Ticks of the scheduler that came more than 50 ms late, per second.",
                   ("keepwell_loop_late_ticks_total", ""), unit="cps"), w=8, h=8)
    board.add(plot("Attempts under way, and skipped", "Skipped: not begun because the one before had not ended, per second.",
                   ("keepwell_attempts_running", "under way"), ("keepwell_attempts_skipped_total", "skipped"), unit="short"), w=8, h=8)

    board.row("Work and cost")
    board.add(attempts(which, "Of everything that is watched, per second."), w=8, h=8)
    board.add(lines("What is watched", "Services, instances and probes.", (f"count(keepwell_service_instances{{{which}}})", "services"),
                    (f"sum(keepwell_service_instances{{{which}}})", "instances"),
                    (f"count(keepwell_probe_failing_streak{{{which}}})", "probes"), unit="none"), w=8, h=8)
    board.add(plot("Processor time", "Of one processor.", ("process_cpu_seconds_total", ""), unit="percentunit"), w=8, h=8)
    board.add(plot("Memory", "Resident in memory.", ("process_resident_memory_bytes", ""), unit="bytes"), w=8, h=8)
    board.add(lines("Open files", "Of what it may have open at most. Without any left nothing can be attempted.",
                    (f"process_open_fds{{{which}}} / process_max_fds", "{{instance}}"), unit="percentunit"), w=8, h=8)
    board.add(plot("Scrapes", "How long Prometheus waits for the metrics page.", ("scrape_duration_seconds", ""), unit="s"), w=8, h=8)

    board.row("Whom it reaches")
    board.add(plot("Docker Engine", "Events that were heard, looks at the containers, and looks without an answer, per second.",
                   ("keepwell_engine_events_total", "events"), ("keepwell_engine_looks_total", "looks"),
                   ("keepwell_engine_failed_looks_total", "without an answer"), unit="ops", noValue="no Engine"), w=6, h=8)
    board.add(plot("Alerts", "Alerts of keepwell's own that fire.", ("keepwell_alerts_firing", ""), unit="short"), w=6, h=8)
    told = {"delivered": "green", "failed": "red", "dropped": "orange"}
    board.add(bars("Alerts told", "What became of the alerts that keepwell itself has sent to Alertmanagers.",
                   (f"sum by (result) (increase(keepwell_alertmanager_deliveries_total{{{which}}}[$__rate_interval]))", "{{result}}"),
                   colors=told), w=6, h=8)
    board.add(bars("Webhook events", "What became of them.",
                   (f"sum by (result) (increase(keepwell_webhook_deliveries_total{{{which}}}[$__rate_interval]))", "{{result}}"),
                   colors=told), w=6, h=8)
    return board


def made():
    """{file name: text}"""
    boards = [stack(), service(), itself()]
    return {f"{each.board['uid']}.json": json.dumps(each.board, indent=1) + "\n" for each in boards}


if __name__ == "__main__":
    for name, text in made().items():
        (pathlib.Path(__file__).parent / name).write_text(text, encoding="utf-8")
