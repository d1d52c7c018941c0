"""The table: which measurement stands beside which, and what is to be reached (the numbers of the design)."""

from dataclasses import dataclass

from servers import NGINX, POSTGRES, REDIS, postgres_bin

TICK = "--tick=0.005"
LOGIN = {"postgres": {"user": "probe"}, "mysql": {"user": "probe", "password": "probe"}}

# Every measurement, in the order in which a round makes them.
MEASUREMENTS = {
    # flat out
    "epoll http": lambda b: b.flat_out("floor_epoll", "http"),
    "libcurl fresh": lambda b: b.flat_out("floor_curl", "http"),
    "libcurl reused": lambda b: b.flat_out("floor_curl", "http", "--connection=reused"),
    "blackbox http": lambda b: b.blackbox_flat_out("http"),
    "keepwell /probe http": lambda b: b.keepwell_on_demand("http"),
    "keepwell http": lambda b: b.keepwell_flat_out("http"),
    "keepwell http reused": lambda b: b.keepwell_flat_out("http", reuse="true"),
    "keepwell tcp": lambda b: b.keepwell_flat_out("tcp"),
    "haproxy tcp": lambda b: b.haproxy_flat_out("tcp"),
    "keepwell redis": lambda b: b.keepwell_flat_out("redis"),
    "hiredis": lambda b: b.flat_out("floor_hiredis", "redis"),
    "epoll redis": lambda b: b.flat_out("floor_epoll", "redis", "--kind=redis"),
    "haproxy redis": lambda b: b.haproxy_flat_out("redis"),
    "blackbox redis": lambda b: b.blackbox_flat_out("redis"),
    "keepwell /probe redis": lambda b: b.keepwell_on_demand("redis"),
    "keepwell postgres": lambda b: b.keepwell_flat_out("postgres", **LOGIN["postgres"]),
    "keepwell postgres, sslmode prefer": lambda b: b.keepwell_flat_out("postgres", **LOGIN["postgres"], sslmode="prefer"),
    "libpq": lambda b: b.flat_out("floor_libpq", "postgres", "--user=probe"),
    "haproxy postgres": lambda b: b.haproxy_flat_out("postgres"),
    "keepwell mysql": lambda b: b.keepwell_flat_out("mysql", **LOGIN["mysql"]),
    "libmariadb": lambda b: b.flat_out("floor_mariadb", "mysql"),
    "haproxy mysql": lambda b: b.haproxy_flat_out("mysql"),
}
for _n in (1000, 10000):
    MEASUREMENTS |= {
        f"epoll in ticks, {_n}": lambda b, n=_n: b.floor_on_schedule("floor_epoll", n, TICK, "--close=reset"),
        f"libcurl fresh in ticks, {_n}": lambda b, n=_n: b.floor_on_schedule("floor_curl", n, TICK),
        f"libcurl reused in ticks, {_n}": lambda b, n=_n: b.floor_on_schedule("floor_curl", n, TICK, "--connection=reused"),
        f"haproxy http, {_n}": lambda b, n=_n: b.haproxy_on_schedule(n),
    }
    MEASUREMENTS |= {
        f"keepwell fresh, {_n}": lambda b, n=_n: b.keepwell_on_schedule(n),
        f"keepwell reuse, {_n}": lambda b, n=_n: b.keepwell_on_schedule(n, reuse=True),
    }
for _kind, _n in (("redis", 1000), ("postgres", 100), ("mysql", 500)):
    MEASUREMENTS |= {
        f"keepwell {_kind}, {_n}": lambda b, k=_kind, n=_n: b.keepwell_at_servers(k, n, **LOGIN.get(k, {})),
        f"haproxy {_kind}, {_n}": lambda b, k=_kind, n=_n: b.haproxy_at_servers(k, n),
    }
MEASUREMENTS |= {
    "keepwell scraped": lambda b: b.scraped(3000),
    "keepwell asked": lambda b: b.asked(1000, 10000),
    "keepwell page": lambda b: b.keepwell_page(3000),
    "haproxy page": lambda b: b.haproxy_page(2000),
    "keepwell idle": lambda b: b.idle(max(20, b.seconds * 3)),
    "keepwell healthcheck": lambda b: b.healthcheck(),
    "curl -f": lambda b: b.start_server("http") and b.oneshot("curl", "-sfo", "/dev/null", f"http://127.0.0.1:{NGINX}/"),
    "redis-cli ping": lambda b: b.start_server("redis") and b.oneshot("redis-cli", "-p", REDIS, "ping"),
    "pg_isready": lambda b: b.start_server("postgres") and b.oneshot(postgres_bin() / "pg_isready", "-qh", "127.0.0.1", "-p", POSTGRES),
}
MEASUREMENTS["blackbox http, 1000"] = lambda b: b.blackbox_on_schedule(1000)
# These last long and average over thousands of attempts: once is enough.
SLOW = {name for name in MEASUREMENTS if name.endswith("00")} | {
    "keepwell scraped", "keepwell asked", "keepwell page", "haproxy page", "keepwell idle"}


@dataclass
class Row:
    """One comparison: ours beside theirs, of one figure."""

    group: str
    what: str
    ours: str
    theirs: str = ""
    figure: str = "cpu_us"
    unit: str = "µs CPU"
    at_most_ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    later: bool = False  # a goal, but not of today

    def title(self):
        return f"{self.group}: {self.what}" + (f", beside {self.theirs}" if self.theirs else "")

    def needs(self):
        return [name for name in (self.ours, self.theirs) if name]


FLAT = "flat out, 32 at a time"
DEMAND = "on demand, 8 requests for /probe at a time"
SMALL, LARGE = "on schedule, 1,000 HTTP targets each second", "on schedule, 10,000 HTTP targets each second"
OTHERS = "on schedule, other kinds, each target each second"
STANDING, ONESHOT = "standing costs", "one-shot commands"
ASKED = "a service's state asked for 10,000 times a second"
ROWS = [
    Row(FLAT, "HTTP fresh", "keepwell http", "libcurl fresh", at_most_ratio=1.25),
    Row(FLAT, "HTTP fresh", "keepwell http", "epoll http"),
    Row(FLAT, "HTTP fresh", "keepwell http", "blackbox http"),
    Row(FLAT, "HTTP reused", "keepwell http reused", "libcurl reused"),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "hiredis", at_most_ratio=1.25),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "haproxy redis", at_most_ratio=1.0),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "blackbox redis"),
    Row(FLAT, "Postgres readiness", "keepwell postgres", "haproxy postgres", at_most_ratio=1.0),
    Row(FLAT, "Postgres readiness", "keepwell postgres", "libpq"),
    Row(FLAT, "Postgres readiness, sslmode: prefer", "keepwell postgres, sslmode prefer", "haproxy postgres"),
    Row(FLAT, "MySQL login and ping", "keepwell mysql", "libmariadb", at_most_ratio=1.25),
    Row(FLAT, "MySQL login and ping", "keepwell mysql", "haproxy mysql"),
    Row(FLAT, "TCP connect", "keepwell tcp", "haproxy tcp"),
    Row(DEMAND, "HTTP", "keepwell /probe http", "blackbox http", at_most_ratio=0.25),
    Row(DEMAND, "Redis by send and expect", "keepwell /probe redis", "blackbox redis", at_most_ratio=0.25),
]
for _group, _n in ((SMALL, 1000), (LARGE, 10000)):
    ROWS += [
        Row(_group, "fresh", f"keepwell fresh, {_n}", f"libcurl fresh in ticks, {_n}", at_most_ratio=1.15),
        Row(_group, "fresh", f"keepwell fresh, {_n}", f"haproxy http, {_n}", at_most_ratio=1.0, later=True),
        Row(_group, "fresh", f"keepwell fresh, {_n}", f"epoll in ticks, {_n}"),
        Row(_group, "reused", f"keepwell reuse, {_n}", f"libcurl reused in ticks, {_n}"),
        Row(_group, "reused", f"keepwell reuse, {_n}", f"haproxy http, {_n}", at_most_ratio=1.0),
    ]
ROWS.insert(-5, Row(SMALL, "fresh", "keepwell fresh, 1000", "blackbox http, 1000"))
_ours, _theirs = "keepwell fresh, 10000", "haproxy http, 10000"
ROWS += [
    Row(LARGE, "cost per probe, against 1,000", _ours, "keepwell fresh, 1000", at_most_ratio=1.0),
    Row(LARGE, "attempts per second", _ours, _theirs, "per_second", "1/s", at_least=9950),
    Row(LARGE, "attempts per second", _ours, "libcurl fresh in ticks, 10000", "per_second", "1/s"),
    Row(LARGE, "gap error p99", _ours, _theirs, "gap_p99_ms", "ms", at_most=20),
    Row(LARGE, "gap error p99", _ours, "epoll in ticks, 10000", "gap_p99_ms", "ms"),
    Row(LARGE, "gap error p99.9", _ours, _theirs, "gap_p999_ms", "ms"),
    Row(LARGE, "drift per attempt", _ours, _theirs, "drift_ms", "ms"),
    Row(LARGE, "memory (PSS)", _ours, _theirs, "pss_mb", "MB", at_most=100),
    Row(LARGE, "memory (PSS), reused", "keepwell reuse, 10000", _theirs, "pss_mb", "MB", at_most=100),
    Row(OTHERS, "Redis PING, 1,000 targets", "keepwell redis, 1000", "haproxy redis, 1000", at_most_ratio=1.0),
    Row(OTHERS, "Postgres readiness, 100 targets", "keepwell postgres, 100", "haproxy postgres, 100", at_most_ratio=1.0),
    Row(OTHERS, "MySQL login and ping, 500 targets", "keepwell mysql, 500", "haproxy mysql, 500"),
    Row(STANDING, "a scrape delays attempts (p99.9)", "keepwell scraped", "", "delay_ms", "ms", at_most=5),
    Row(ASKED, "requests per second", "keepwell asked", "", "requests_per_second", "1/s", at_least=9900),
    Row(ASKED, "per request", "keepwell asked", "", "cpu_us"),
    Row(ASKED, "gap error p99 of 1,000 targets meanwhile", "keepwell asked", "", "gap_p99_ms", "ms", at_most=20),
    Row(ASKED, "what that delays attempts (p99.9)", "keepwell asked", "", "delay_ms", "ms", at_most=5),
    Row(STANDING, "a scrape, per series", "keepwell page", "haproxy page", "us_per_series", "µs CPU", at_most=0.25),
    Row(STANDING, "series of that scrape", "keepwell page", "haproxy page", "series", "series"),
    Row(STANDING, "idle, six services: memory (PSS)", "keepwell idle", "", "pss_mb", "MB", at_most=15),
    Row(STANDING, "idle, six services: CPU per minute", "keepwell idle", "", "cpu_s_per_min", "s", at_most=0.05),
    Row(ONESHOT, "healthcheck", "keepwell healthcheck", "curl -f", "wall_us", "µs wall", at_most=1500),
    Row(ONESHOT, "healthcheck", "keepwell healthcheck", "redis-cli ping", "wall_us", "µs wall"),
    Row(ONESHOT, "healthcheck", "keepwell healthcheck", "pg_isready", "wall_us", "µs wall"),
]


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def verdict(row, ours, ratio):
    """(the goal, whether it is met; nothing when there is none)"""
    if row.at_most_ratio is not None:
        return f"≤ {row.at_most_ratio:g} ×", ratio is not None and ratio <= row.at_most_ratio
    if row.at_most is not None:
        return f"≤ {row.at_most:g} {row.unit}", ours is not None and ours <= row.at_most
    if row.at_least is not None:
        return f"≥ {row.at_least:,g} {row.unit}", ours is not None and ours >= row.at_least
    return "", None


def said_of(row, results, skipped, median):
    """The cells of a row."""
    ours, theirs = results.get(row.ours, {}), results.get(row.theirs, {})
    rounds = ours.keys() & theirs.keys()
    middle = lambda found: median(each[row.figure] for each in found.values()) if found else None
    pairs = [(ours[i][row.figure], theirs[i][row.figure]) for i in rounds]
    ratio = median(mine / other for mine, other in pairs) if pairs and all(other for _, other in pairs) else None
    goal, met = verdict(row, middle(ours), ratio)
    why = next((skipped[name] for name in row.needs() if name in skipped), None)
    if why:
        said = f"skipped: {why}"
    elif not ours or (row.at_most_ratio and not rounds):
        said = "not measured"
    else:
        said = {None: "", True: "met", False: "not yet" if row.later else "MISSED"}[met]
    return (row.what, row.unit, number(middle(ours)), row.theirs, number(middle(theirs)) if row.theirs else "",
            f"{ratio:.2f}" if ratio is not None else "", goal, said)


def print_table(wanted, results, skipped, median):
    lines, group = [("what", "unit", "keepwell", "beside it", "its figure", "ratio", "goal", "")], None
    for row in wanted:
        if row.group != group:
            group = row.group
            lines.append((f"── {group}",) + ("",) * 7)
        lines.append(said_of(row, results, skipped, median))
    widths = [max(len(line[i]) for line in lines[0:1] + [l for l in lines if l[1]]) for i in range(8)]
    for line in lines:
        if line[0].startswith("──"):
            print(f"\n{line[0]}")
        else:
            left = (True, True, False, True, False, False, True, True)
            print("  ".join(cell.ljust(width) if to_left else cell.rjust(width)
                            for cell, width, to_left in zip(line, widths, left)).rstrip())


LEGEND = """
what        what is measured. fresh: a connection for each attempt; reused: one is kept; in ticks: all that is due within
            5 ms begins together; flat out: 32 attempts in flight, the next begins when one ends
unit        µs CPU: user and system time of the prober per attempt (or of the one that is scraped, per series);
            MB: proportional set size; ms: gap errors, that is, how far successive arrivals at one target are from one
            second, counted by the target; drift: their mean, with its sign; s: CPU seconds per minute
keepwell    its figure: the median of the rounds
beside it   the peer or floor that was measured in the same run (a floor does the same with the bare library and nothing
            else), and its figure
ratio       keepwell's figure by the other's: the median of the ratios within each round
goal        what is to be reached; met, MISSED, or "not yet" for a goal of later
"""
