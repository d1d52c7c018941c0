"""What happens when a service of a stack is broken: measured from Docker's own events, for keepwell and for what people use
today, on two copies of the stack at the same time.

    outcome = faults.strike("redis", "hang", None, healer, "story")
                        detected, restarted, healed: seconds since the blow, or None
    faults.keep(name, rows); faults.table()                    build/results/healing-*.json, and all of them as a table
"""

import contextlib
import dataclasses
import json
import pathlib
import threading
import time

import engine
import servers
import stacks

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "build" / "results"
POLL = 5  # seconds: autoheal's default interval
LOOK = 1  # seconds between two looks; what happened when is told by events
PATIENCE = stacks.BOUND + POLL + 30  # after which nobody comes any more
SLOWER = {"celery": 15, "scheduler": 15}  # what tells of a worker is the age of its file: that much later than others


def bound(service):
    """The seconds within which a health check has noticed."""
    return stacks.BOUND + SLOWER.get(service, 0)


@dataclasses.dataclass
class Outcome:
    stack: str
    service: str
    fault: str
    healer: str
    detected: float | None = None  # by the healer
    restarted: float | None = None  # the service runs anew
    healed: float | None = None  # and is healthy for Docker
    others: tuple = ()  # services that were restarted, too
    note: str = ""


class Healer:
    """Whoever heals a stack, and what happens there meanwhile."""

    def __init__(self, stack):
        self.stack = stack
        self.events = None

    def __enter__(self):
        self.events = engine.Events(self.stack.engine, self.stack.label)
        return self

    def __exit__(self, *_):
        self.events.__exit__()


class Autoheal(Healer):
    """What autoheal does, in a few lines: every five seconds a restart of whatever runs and is called unhealthy. It passes
    t=10 unless a label says otherwise; here it gets the stack's own grace period, so that only the deciding differs."""

    name = "autoheal"

    def __init__(self, stack):
        super().__init__(stack)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen = {}  # container name → when it was found unhealthy

    def __enter__(self):
        self._thread.start()
        return super().__enter__()

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(60)
        super().__exit__()

    def _watch(self):
        while not self._end.wait(POLL):
            for each in self.stack.engine.containers(label=self.stack.label, health="unhealthy", status="running"):
                self.seen[each["Name"]] = time.time()
                self.stack.engine.run("restart", "-t", "2", each["Id"])

    def wait_well(self):
        """It knows no more than Docker."""

    def detected(self, container, since):
        at = self.seen.get(container["Name"], 0)
        return at if at > since else None

    def gives_up(self, container, since):
        """Why nothing will come of waiting any longer, when that is certain."""
        state, service = container["State"], engine.service_of(container["Config"]["Labels"])
        if self.detected(container, since):
            return ""
        if state["Status"] == "exited" and container["HostConfig"]["RestartPolicy"]["Name"] in ("no", ""):
            return "it looks at nothing that has ended"
        if state["Status"] == "running" and time.time() - since > bound(service) + 2 and state["Health"]["Status"] == "healthy":
            return "Docker calls it healthy"
        return ""


class Keepwell(Healer):
    """The keepwell of the stack, by its API."""

    name = "keepwell"

    def __init__(self, stack):
        super().__init__(stack)
        self.url = f"http://127.0.0.1:{stack.env['KEEPWELL_PORT']}"

    def __enter__(self):
        self.wait_well()
        return super().__enter__()

    def get(self, path):
        status, text, _ = servers.get(self.url + path)
        assert status == 200, text
        return json.loads(text)

    def wait_well(self):
        def well():
            states = self.states()
            assert set(states.values()) == {"healthy"}, states
            return True
        servers.wait_until(well, 60, "all is well for keepwell", 0.2)

    def states(self):
        return {service["name"]: service["state"] for service in self.get("/api/v1/status")["services"]}

    def history(self, since, service=None):
        found = [each for each in self.get("/api/v1/signals")["history"] if stacks.moment(each["at"]) >= since - 0.05]
        return [each for each in found if service in (None, each["service"])]

    def detected(self, container, since):
        service = engine.service_of(container["Config"]["Labels"])
        found = [stacks.moment(each["at"]) for each in self.history(since, service)]
        return min(found, default=None)

    def gives_up(self, _container, _since):
        return ""


def inflict(stack, service, fault, port):
    """Returns when it was done."""
    if fault == "endpoint":
        stack.engine.docker("exec", stack.container(service)["Id"], "curl", "-fsS", "-d", "", f"http://localhost:{port}/faults/error")
        return time.time()
    now = time.time()
    {"kill": stack.kill, "hang": stack.freeze}[fault](service)
    return now


def strike(service, fault, port, healer, name):
    """Breaks the first copy of a service and waits until it is well again, or until it is sure that it will not be."""
    stack, outcome = healer.stack, Outcome(name, service, fault, healer.name)
    before = stack.container(service)
    start = inflict(stack, service, fault, port)
    while time.time() - start < PATIENCE:
        now = stack.container(service)
        if now["State"]["StartedAt"] != before["State"]["StartedAt"] and engine.is_well(now):
            break
        outcome.note = healer.gives_up(now, start)
        if outcome.note:
            break
        time.sleep(LOOK)
    detected = healer.detected(before, start)
    outcome.detected = detected and round(detected - start, 1)
    _read_events(healer.events, service, start, outcome)
    if outcome.healed is None:
        with contextlib.suppress(AssertionError):
            stack.engine.docker("restart", "-t", "0", before["Id"])
    stack.wait_healthy(seconds=90)
    healer.wait_well()
    outcome.others = tuple(sorted(_others(healer.events, service, start)))
    return outcome


def _read_events(events, service, start, outcome):
    for at, action, about in events.since(start):
        if engine.service_of(about) != service:
            continue
        if action == "start":
            outcome.restarted, outcome.healed = round(at - start, 1), None
        if action == "health_status: healthy" and outcome.restarted is not None and outcome.healed is None:
            outcome.healed = round(at - start, 1)


def _others(events, service, start):
    return {engine.service_of(about) for _, action, about in events.since(start)
            if action == "start" and engine.service_of(about) != service}


def keep(name, outcomes):
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps([dataclasses.asdict(each) for each in outcomes], indent=1)
    (RESULTS / f"healing-{name}.json").write_text(text, encoding="utf-8")


def _cell(outcome):
    if outcome is None:
        return f"{'':24}"
    times = [outcome[key] for key in ("detected", "restarted", "healed")]
    seconds = [f"{value:5.1f}" if value is not None else "    –" for value in times]
    extra = " +" + ",".join(outcome["others"]) if outcome["others"] else ""
    return " ".join(seconds) + extra + (f" ({outcome['note']})" if outcome["note"] else "")


def table(since=0.0):
    """The kept outcomes as a text, one line per blow; empty when there are none younger than `since`."""
    rows = {}
    for path in sorted(RESULTS.glob("healing-*.json")):
        if path.stat().st_mtime >= since:
            for each in json.loads(path.read_text(encoding="utf-8")):
                rows.setdefault((each["stack"], each["service"], each["fault"]), {})[each["healer"]] = each
    if not rows:
        return ""
    lines = ["Seconds from the blow until it was noticed, until the service ran anew, until it was healthy; the health checks'",
             f"own bound is {stacks.BOUND} s, of workers {stacks.BOUND + 15} s; + names services that were restarted with it.", "",
             f"{'stack':18}{'service':11}{'blow':10}{'keepwell':28}autoheal (poll {POLL} s, restart what is unhealthy)"]
    for (stack, service, fault), by in rows.items():
        lines.append(f"{stack:18}{service:11}{fault:10}{_cell(by.get('keepwell')):28}{_cell(by.get('autoheal'))}")
    for healer in ("keepwell", "autoheal"):
        each = [by[healer] for by in rows.values() if healer in by]
        healed = [one["healed"] for one in each if one["healed"] is not None]
        alone = sum(not one["others"] for one in each)
        if each:
            mean = f"{sum(healed) / len(healed):.1f} s" if healed else "never"
            lines.append(f"{healer}: {len(healed)} of {len(each)} healed, after {mean} on average; "
                         f"{len(each) - alone} times something else was restarted, too")
    return "\n".join(lines)
