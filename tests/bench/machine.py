"""What the bench needs of the machine: a network of its own, a core for servers and one for probers, processes, their CPU and memory."""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, PROBER_CORE = CORES[0], CORES[-1]


def enter_own_network():
    """Starts this program again in a network namespace with nothing but a loopback device: no firewall or connection
    tracking of the host in the way, private ports and counters. Returns in the new one."""
    if os.environ.get("KEEPWELL_BENCH_NETWORK") != "own":
        os.environ["KEEPWELL_BENCH_NETWORK"] = "own"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def take_precedence():
    """Before what else the machine does, until the end: a prober that does not get its core misses every schedule. Where the
    scheduler groups by session (sched_autogroup, sched(7)), nice values count only within one: so this one gets its own."""
    group = Path("/proc/self/autogroup")
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        if group.exists():
            group.write_text("-15", encoding="ascii")
            atexit.register(group.write_text, "0", encoding="ascii")
    except OSError as error:
        print(f"without precedence over other work: {error}", file=sys.stderr)


def description():
    """Of the machine, for those who compare tables."""
    model = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return f"{len(CORES)} cores of {model[0] if model else os.uname().machine}, Linux {os.uname().release}"


class NotInstalled(Exception):
    """A peer, or a server that is asked."""


PACKAGES = {"haproxy": "haproxy", "prometheus-blackbox-exporter": "prometheus-blackbox-exporter", "redis-server": "redis-server",
            "redis-cli": "redis-tools", "mariadbd": "mariadb-server", "psql": "postgresql", "curl": "curl"}


def require(program):
    if not shutil.which(program):
        raise NotInstalled(f"{program} is not installed (Debian: apt-get install {PACKAGES[program]})")


def pinned(argv, core):
    return ["taskset", "-c", str(core), *map(str, argv)]


class Process:
    """A program that runs until stop(); its output goes to a file, or, with `talks`, its standard output to us."""

    running = []

    def __init__(self, argv, core, directory, user=None, end_by=signal.SIGTERM, talks=False, env=None):
        name = Path(str(argv[0])).name
        if name in PACKAGES:
            require(name)
        self.log = Path(directory) / f"{name}.log"
        self.end_by = end_by
        if user:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *argv]
        with open(self.log, "ab") as log:
            self.handle = subprocess.Popen(pinned(argv, core), stdin=subprocess.DEVNULL, cwd="/", stderr=log,
                                           stdout=subprocess.PIPE if talks else log, text=talks,
                                           env={**os.environ, **(env or {})})
        Process.running.append(self)

    @property
    def pid(self):
        return self.handle.pid

    def send(self, number):
        self.handle.send_signal(number)

    def stop(self):
        if self in Process.running:
            Process.running.remove(self)
        if self.handle.poll() is None:
            self.send(self.end_by)
            try:
                self.handle.wait(10)
            except subprocess.TimeoutExpired:
                self.handle.kill()
                self.handle.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @classmethod
    def stop_all(cls):
        for each in reversed(list(cls.running)):
            each.stop()


def run_json(argv, core):
    """Runs a program to its end and returns the line of JSON it printed."""
    done = subprocess.run(pinned(argv, core), capture_output=True, text=True, timeout=120)
    if not done.stdout.strip():
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr[-400:]}")
    result = json.loads(done.stdout)
    if result.get("failed"):
        raise RuntimeError(f"{' '.join(map(str, argv))}: {result['failed']} attempts failed: {done.stderr[:200]}")
    return result


def wait_for_port(port, seconds=30, process=None):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process and process.handle.poll() is not None:
                raise RuntimeError(f"ended at once; see {process.log}:\n{process.log.read_text()[-600:]}") from None
            time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def cpu_seconds(pid):
    """On-CPU time of all living threads of a process, in nanosecond steps (schedstat, proc(5))."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e9


def pss_mb(pid):
    """Proportional set size: shared pages are divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


def connections_opened():
    """Connections begun in this network namespace so far (Tcp ActiveOpens)."""
    names, values = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines()
                     if line.startswith("Tcp:")]
    return int(values[names.index("ActiveOpens")])
