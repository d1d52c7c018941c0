"""The table: which measurement stands beside which, and what is to be reached (the numbers of the design)."""

from dataclasses import dataclass

from measure import HAPROXY_CHECKS

TICK = "--tick=0.005"

# Every measurement, in the order in which a round makes them.
MEASUREMENTS = {
    # flat out
    "epoll http": lambda b: b.flat_out("floor_epoll", "http"),
    "libcurl fresh": lambda b: b.flat_out("floor_curl", "http"),
    "libcurl reused": lambda b: b.flat_out("floor_curl", "http", "--connection=reused"),
    "blackbox http": lambda b: b.blackbox_flat_out("http"),
    "keepwell tcp": lambda b: b.flat_out("attempts", "tcp", "--kind=tcp"),
    "haproxy tcp": lambda b: b.haproxy_flat_out("tcp"),
    "hiredis": lambda b: b.flat_out("floor_hiredis", "redis"),
    "epoll redis": lambda b: b.flat_out("floor_epoll", "redis", "--kind=redis"),
    "haproxy redis": lambda b: b.haproxy_flat_out("redis"),
    "blackbox redis": lambda b: b.blackbox_flat_out("redis"),
    "libpq": lambda b: b.flat_out("floor_libpq", "postgres", "--user=probe"),
    "haproxy postgres": lambda b: b.haproxy_flat_out("postgres"),
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
MEASUREMENTS["blackbox http, 1000"] = lambda b: b.blackbox_on_schedule(1000)


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

    def title(self):
        return f"{self.group}: {self.what}" + (f", beside {self.theirs}" if self.theirs else "")

    def needs(self):
        return [name for name in (self.ours, self.theirs) if name]


FLAT, SCHEDULE = "flat out, 32 at a time", "on schedule, every second"
ROWS = [
    Row(FLAT, "HTTP fresh", "keepwell http", "libcurl fresh", at_most_ratio=1.25),
    Row(FLAT, "HTTP fresh", "keepwell http", "epoll http"),
    Row(FLAT, "HTTP fresh", "keepwell http", "blackbox http"),
    Row(FLAT, "HTTP reused", "keepwell http reused", "libcurl reused", at_most_ratio=1.25),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "hiredis", at_most_ratio=1.25),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "haproxy redis", at_most_ratio=1.0),
    Row(FLAT, "Redis PING fresh", "keepwell redis", "blackbox redis"),
    Row(FLAT, "Postgres readiness", "keepwell postgres", "haproxy postgres", at_most_ratio=1.0),
    Row(FLAT, "Postgres readiness", "keepwell postgres", "libpq"),
    Row(FLAT, "MySQL login and ping", "keepwell mysql", "libmariadb", at_most_ratio=1.25),
    Row(FLAT, "MySQL login and ping", "keepwell mysql", "haproxy mysql"),
    Row(FLAT, "TCP connect", "keepwell tcp", "haproxy tcp"),
]


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def verdict(row, ours, ratio):
    """(what was to be reached, whether it was)"""
    if row.at_most_ratio is not None:
        return f"≤ {row.at_most_ratio:g} ×", ratio is not None and ratio <= row.at_most_ratio
    if row.at_most is not None:
        return f"≤ {row.at_most:g}", ours is not None and ours <= row.at_most
    if row.at_least is not None:
        return f"≥ {row.at_least:,g}", ours is not None and ours >= row.at_least
    return "", None


def print_table(wanted, results, median):
    lines, group = [("what", "unit", "keepwell", "beside it", "", "ratio", "to reach", "")], None
    for row in wanted:
        if row.group != group:
            group = row.group
            lines.append((f"── {group}",) + ("",) * 7)
        ours, theirs = results.get(row.ours, {}), results.get(row.theirs, {})
        rounds = ours.keys() & theirs.keys()
        middle = lambda found: median(each[row.figure] for each in found.values()) if found else None
        ratio = median(ours[i][row.figure] / theirs[i][row.figure] for i in rounds) if rounds else None
        reach, reached = verdict(row, middle(ours), ratio)
        said = "" if reached is None else "not measured" if not ours or (row.at_most_ratio and not rounds) else \
            "reached" if reached else "MISSED"
        lines.append((row.what, row.unit, number(middle(ours)), row.theirs, number(middle(theirs)) if row.theirs else "",
                      f"{ratio:.2f}" if ratio else "", reach, said))
    widths = [max(len(line[i]) for line in lines[0:1] + [l for l in lines if l[1]]) for i in range(8)]
    for line in lines:
        if line[0].startswith("──"):
            print(f"\n{line[0]}")
        else:
            left = (True, True, False, True, False, False, True, True)
            print("  ".join(cell.ljust(width) if to_left else cell.rjust(width)
                            for cell, width, to_left in zip(line, widths, left)).rstrip())
