"""Each function here makes one measurement and returns it as a dictionary; `cpu_us` is the prober's CPU per attempt."""

import itertools
import json
import signal
import statistics
import subprocess
import time
import urllib.parse
import urllib.request

from machine import (PACKAGES, PROBER_CORE, SERVER_CORE, Process, connections_opened, cpu_seconds, pss_mb, require, run_json,
                     wait_for_port)
from servers import MARIADB, NGINX, POSTGRES, REDIS, SINK

IN_FLIGHT = 32
PORTS = {"http": NGINX, "tcp": NGINX, "redis": REDIS, "postgres": POSTGRES, "mysql": MARIADB}
HAPROXY_CHECKS = {
    "http": "option httpchk\n  http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost",
    "redis": "option redis-check",
    "postgres": "option pgsql-check user probe",
    "mysql": "option mysql-check user nopass",
    "tcp": "option tcp-check",
}
KEEPWELL_PORT = 19337
KEEPWELL_METRICS = f"http://127.0.0.1:{KEEPWELL_PORT}/metrics"


def where(program, address, port):
    """The options that tell a program of the bench what to probe."""
    if program == "floor_curl":
        return [f"--url=http://{address}:{port}/"]
    return [f"--address={address}", f"--port={port}"]


def target_address(index):
    """As target_address() in floor.hpp."""
    return f"127.{20 + index // 62500}.{index % 62500 // 250}.{1 + index % 250}"


class Scraper:
    """Asks for a page every half second, on the server core and only when nothing else wants to run there."""

    def __init__(self, url, directory):
        script = f"while curl -s -o /dev/null -w '%{{http_code}}\\n' {url} && sleep 0.5; do :; done"
        self.process = Process(["chrt", "-i", "0", "sh", "-c", script], SERVER_CORE, directory, talks=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def finish(self):
        """The scrapes made so far."""
        self.process.stop()
        return self.process.handle.stdout.read().split().count("200")


class Bench:
    """What all measurements share: where the programs are, the servers, and how long a run is."""

    def __init__(self, programs, daemon, command, servers, seconds, count):
        self.programs, self.daemon, self.command, self.servers = programs, daemon, command, servers
        self.seconds, self.count = seconds, count
        self.directory = servers.directory
        self.serial = itertools.count()

    def file(self, name, text):
        path = self.directory / f"{next(self.serial)}-{name}"
        path.write_text(text)
        return path

    # Flat out: the program counts its own attempts.

    def program(self, name, *options):
        return run_json([self.programs / f"bench_{name}", *options], PROBER_CORE)

    def flat_out(self, name, kind, *options):
        """A floor, as fast as it goes, against the real server of this kind."""
        self.start_server(kind)
        address = self.servers.fresh_address() if kind in ("http", "redis", "tcp") else "127.0.0.1"
        return self.program(name, *where(name, address, PORTS[kind]), f"--count={self.attempts(kind)}", *options)

    def keepwell_flat_out(self, kind, **settings):
        self.start_server(kind)
        address = f"{self.servers.fresh_address() if kind in ('http', 'redis', 'tcp') else '127.0.0.1'}:{PORTS[kind]}"
        return self.program("attempts", f"--kind={kind}", f"--target={'http://' if kind == 'http' else ''}{address}",
                            f"--settings={';'.join(f'{key}={value}' for key, value in settings.items())}",
                            f"--count={self.attempts(kind)}")

    def attempts(self, kind):
        return self.count // 10 if kind in ("postgres", "mysql") else self.count

    def start_server(self, kind):
        return {"redis": lambda: self.servers.redis, "postgres": lambda: self.servers.postgres,
                "mysql": lambda: self.servers.mariadb}.get(kind, lambda: self.servers.nginx)()

    def haproxy_flat_out(self, kind):
        self.start_server(kind)
        with self.haproxy(kind, (f"127.0.0.1:{PORTS[kind]}" for _ in range(IN_FLIGHT)), "1ms") as process:
            time.sleep(1)
            return self.connections_window(process)

    def connections_window(self, process):
        before = connections_opened()
        return self.window(process, lambda: {"arrivals": connections_opened() - before})

    def window(self, process, count):
        """CPU per attempt of a process during some seconds; `count` tells the attempts of them."""
        before, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(self.seconds)
        result = count()
        cpu, wall = cpu_seconds(process.pid) - before, time.monotonic() - began
        attempts = max(1, result["arrivals"])
        return {"per_second": attempts / wall, **result, "cpu_us": cpu * 1e6 / attempts, "core": cpu / wall,
                "pss_mb": pss_mb(process.pid)}

    def haproxy(self, kind, addresses, interval):
        servers = "".join(f"  server s{i} {address} check inter {interval}\n" for i, address in enumerate(addresses))
        config = self.file("haproxy.cfg", f"global\n  nbthread 1\n  maxconn 100\n  stats socket {self.directory}/haproxy.sock\n"
                           "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
                           f"  timeout check 5s\nbackend all\n  {HAPROXY_CHECKS[kind]}\n{servers}")
        return Process(["haproxy", "-db", "-f", config], PROBER_CORE, self.directory, end_by=signal.SIGINT)

    def modules(self):
        return self.file("blackbox.yml", "modules:\n"
                         "  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}\n"
                         "  redis: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: "
                         "[{send: \"PING\\r\"}, {expect: \"^\\\\+PONG\"}]}}\n")

    def blackbox(self):
        config = self.modules()
        process = Process(["prometheus-blackbox-exporter", f"--config.file={config}", "--web.listen-address=:19115",
                           "--log.level=error"], PROBER_CORE, self.directory)
        wait_for_port(19115, process=process)
        return process

    def blackbox_flat_out(self, kind):
        self.start_server(kind)
        target = f"http://127.0.0.1:{NGINX}/" if kind == "http" else f"127.0.0.1:{REDIS}"
        path = f"/probe?module={kind}&target=" + urllib.parse.quote(target, safe="")
        with self.blackbox() as blackbox:
            return self.asked_for_probes(blackbox, 19115, path)

    def keepwell_on_demand(self, kind):
        """/probe of keepwell, asked as blackbox_flat_out() asks the other one."""
        self.start_server(kind)
        target = f"http://127.0.0.1:{NGINX}/" if kind == "http" else f"127.0.0.1:{REDIS}"
        path = f"/probe?module={kind}&target=" + urllib.parse.quote(target, safe="")
        with self.keepwell({}, f"--blackbox.config.file={self.modules()}") as keepwell:
            return self.asked_for_probes(keepwell, KEEPWELL_PORT, path)

    def asked_for_probes(self, process, port, path):
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read()
        if b"\nprobe_success 1" not in page:
            raise RuntimeError("the probe fails")
        before = cpu_seconds(process.pid)
        asked = run_json([self.programs / "bench_floor_epoll", f"--port={port}", f"--path={path}", "--connection=kept",
                          "--in-flight=8", f"--count={self.count // 4}"], SERVER_CORE)
        cpu = cpu_seconds(process.pid) - before
        return {"cpu_us": cpu * 1e6 / asked["attempts"], "per_second": asked["per_second"], "pss_mb": pss_mb(process.pid)}

    # On schedule: some thousand targets, each every second; the sink counts attempts and measures the gaps.

    def on_schedule(self, prober, warm_up):
        """`prober` starts the process to be measured; it is given `warm_up` seconds to settle."""
        with Process([self.programs / "bench_sink", f"--port={SINK}"], SERVER_CORE, self.directory, talks=True,
                     end_by=signal.SIGTERM) as sink:
            wait_for_port(SINK, process=sink)
            with prober() as process:
                time.sleep(warm_up)
                if process.handle.poll() is not None:
                    raise RuntimeError(f"ended at once: {process.log.read_text()[-600:]}")
                sink.send(signal.SIGUSR1)
                return self.window(process, lambda: self.end_of_window(sink))

    @staticmethod
    def end_of_window(sink):
        sink.send(signal.SIGUSR2)
        return json.loads(sink.handle.stdout.readline())

    def floor_on_schedule(self, name, targets, *options):
        argv = [self.programs / f"bench_{name}", *where(name, "127.0.0.1", SINK), f"--targets={targets}", f"--rate={targets}",
                f"--count={targets * (self.seconds + 10)}", *options]
        return self.on_schedule(lambda: Process(argv, PROBER_CORE, self.directory, end_by=signal.SIGKILL), 3)

    def haproxy_on_schedule(self, targets):
        addresses = [f"{target_address(i)}:{SINK}" for i in range(targets)]
        return self.on_schedule(lambda: self.haproxy("http", addresses, "1s"), 5)

    def keepwell_on_schedule(self, targets, **settings):
        return self.on_schedule(lambda: self.keepwell_http(targets, **settings), 5)

    def haproxy_at_servers(self, kind, targets):
        """As on_schedule(), but of a real server, and connections are counted."""
        self.start_server(kind)
        with self.haproxy(kind, (f"127.0.0.1:{PORTS[kind]}" for _ in range(targets)), "1s") as process:
            time.sleep(5)
            return self.connections_window(process)

    def keepwell_at_servers(self, kind, targets, **settings):
        self.start_server(kind)
        probe = {kind: {"address": f"127.0.0.1:{PORTS[kind]}", **settings}, "interval": "1s"}
        with self.keepwell({"many": {"instances": [f"i{i}" for i in range(targets)], "probes": [probe]}}) as process:
            time.sleep(5)
            return self.connections_window(process)

    # The daemon.

    def keepwell(self, services, *options):
        if not self.daemon.exists():
            raise RuntimeError("keepwelld is not built")
        config = self.file("keepwell.yaml", json.dumps({"project": "bench", "mode": "observe", "services": services}))
        process = Process([self.daemon, f"--config.file={config}", f"--web.listen-address=0.0.0.0:{KEEPWELL_PORT}",
                           f"--web.socket={self.directory}/keepwell.sock", "--state.file=none",
                           "--log.level=error", *options], PROBER_CORE, self.directory)
        wait_for_port(KEEPWELL_PORT, process=process)
        return process

    def keepwell_http(self, targets, **settings):
        """One service with so many instances, each probed every second."""
        probe = {"http": {"url": f"http://{{instance}}:{SINK}/", **settings}, "interval": "1s"}
        return self.keepwell({"many": {"instances": [target_address(i) for i in range(targets)], "probes": [probe]}})

    def scraped(self, targets, pairs=3):
        """How much later attempts are while /metrics is asked for every half second: without and with, in turns."""
        turns = []
        with Process([self.programs / "bench_sink", f"--port={SINK}"], SERVER_CORE, self.directory, talks=True) as sink:
            wait_for_port(SINK, process=sink)
            with self.keepwell_http(targets) as process:
                time.sleep(5)
                for _ in range(pairs):
                    sink.send(signal.SIGUSR1)
                    alone = self.window(process, lambda: self.end_of_window(sink))
                    sink.send(signal.SIGUSR1)
                    with Scraper(KEEPWELL_METRICS, self.directory) as scraper:
                        beside = self.window(process, lambda: self.end_of_window(sink))
                        if not scraper.finish():
                            raise RuntimeError("no scrape succeeded")
                    turns.append((alone, beside))
        figure = lambda which, key: statistics.median(turn[which][key] for turn in turns)
        return {"delay_ms": statistics.median(beside["gap_p999_ms"] - alone["gap_p999_ms"] for alone, beside in turns),
                **{f"{name}_{key}": figure(which, key) for which, name in enumerate(("alone", "scraped"))
                   for key in ("gap_p99_ms", "gap_p999_ms", "gap_max_ms", "core")}}

    def asked(self, targets, rate):
        """How punctual attempts are while services are asked for so often over 50 connections; without it, and with."""
        probe = lambda i: {"http": {"url": f"http://{target_address(i)}:{SINK}/"}, "interval": "1s"}
        services = {f"s{i}": {"probes": [probe(i)]} for i in range(targets)}
        driver = [self.programs / "bench_floor_epoll", f"--port={KEEPWELL_PORT}", "--path=/api/v1/services/s7", "--connection=kept",
                  "--targets=50", f"--rate={rate}", f"--count={rate * (self.seconds + 2)}"]
        with Process([self.programs / "bench_sink", f"--port={SINK}"], SERVER_CORE, self.directory, talks=True) as sink:
            wait_for_port(SINK, process=sink)
            with self.keepwell(services) as process:
                time.sleep(5)
                sink.send(signal.SIGUSR1)
                alone = self.window(process, lambda: self.end_of_window(sink))
                with Process(driver, SERVER_CORE, self.directory, talks=True) as asking:
                    time.sleep(1)
                    sink.send(signal.SIGUSR1)
                    beside = self.window(process, lambda: self.end_of_window(sink))
                    answers = json.loads(asking.handle.stdout.readline())
        if answers["failed"]:
            raise RuntimeError(f"{answers['failed']} requests failed")
        return {"requests_per_second": answers["per_second"], "gap_p99_ms": beside["gap_p99_ms"],
                "delay_ms": beside["gap_p999_ms"] - alone["gap_p999_ms"],
                "cpu_us": (beside["core"] - alone["core"]) * 1e6 / answers["per_second"]}

    def page(self, process, url, scrapes=10):
        """What a scrape costs the one that is scraped."""
        page = urllib.request.urlopen(url, timeout=30).read()
        series = sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))
        before = cpu_seconds(process.pid)
        for _ in range(scrapes):
            urllib.request.urlopen(url, timeout=30).read()
        cpu = (cpu_seconds(process.pid) - before) / scrapes
        return {"series": series, "cpu_ms": cpu * 1e3, "us_per_series": cpu * 1e6 / series}

    def keepwell_page(self, instances):
        probe = {"tcp": f"127.0.0.1:{NGINX}", "interval": "1h"}
        self.start_server("tcp")
        with self.keepwell({"many": {"instances": [f"i{i}" for i in range(instances)], "probes": [probe]}}) as process:
            return self.page(process, KEEPWELL_METRICS)

    def haproxy_page(self, servers):
        config = self.file("haproxy.cfg", "global\n  nbthread 1\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n"
                           "  timeout client 5s\n  timeout server 5s\nfrontend page\n  bind 127.0.0.1:19101\n"
                           "  http-request use-service prometheus-exporter\nbackend all\n" +
                           "".join(f"  server s{i} 127.0.0.1:{NGINX}\n" for i in range(servers)))
        with Process(["haproxy", "-db", "-f", config], PROBER_CORE, self.directory, end_by=signal.SIGINT) as process:
            wait_for_port(19101, process=process)
            return self.page(process, "http://127.0.0.1:19101/metrics")

    def idle(self, seconds):
        """Six services every ten seconds: what keepwell takes when there is nothing to do."""
        for kind in ("http", "redis", "postgres"):
            self.start_server(kind)
        one = lambda kind, **settings: {"probes": [{kind: settings}]}
        services = {"proxy": one("http", url=f"http://127.0.0.1:{NGINX}/"), "api": one("http", url=f"http://127.0.0.1:{NGINX}/api"),
                    "cache": one("redis", address=f"127.0.0.1:{REDIS}"), "db": one("postgres", address=f"127.0.0.1:{POSTGRES}"),
                    "queue": one("tcp", address=f"127.0.0.1:{REDIS}"), "worker": one("heartbeat", max_age="1h")}
        with self.keepwell(services) as process:
            time.sleep(5)
            before = cpu_seconds(process.pid)
            time.sleep(seconds)
            return {"cpu_s_per_min": (cpu_seconds(process.pid) - before) * 60 / seconds, "pss_mb": pss_mb(process.pid)}

    def blackbox_on_schedule(self, rate):
        """blackbox_exporter does not schedule: it is asked at this rate, for one target."""
        path = "/probe?module=http&target=" + urllib.parse.quote(f"http://{target_address(0)}:{SINK}/", safe="")
        with self.blackbox() as blackbox:
            driver = [self.programs / "bench_floor_epoll", "--port=19115", f"--path={path}", "--connection=kept",
                      "--targets=50", f"--rate={rate}", f"--count={rate * (self.seconds + 10)}"]
            class Driven:
                def __enter__(self):
                    self.driver = Process(driver, SERVER_CORE, blackbox.log.parent, end_by=signal.SIGKILL)
                    return blackbox

                def __exit__(self, *_):
                    self.driver.stop()

            result = self.on_schedule(Driven, 2)
        return {key: value for key, value in result.items() if not key.startswith(("gap", "drift"))}

    # One-shot commands.

    def oneshot(self, *argv):
        if argv[0] in PACKAGES:
            require(argv[0])
        return run_json([self.programs / "bench_oneshot", max(20, self.count // 100), *argv], PROBER_CORE)

    def healthcheck(self):
        self.start_server("http")
        with self.keepwell({"web": {"probes": [{"http": f"http://127.0.0.1:{NGINX}/"}]}}):
            url = f"unix:{self.directory}/keepwell.sock"
            deadline = time.monotonic() + 10
            while subprocess.run([self.command, "healthcheck", "web", "--url", url], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL).returncode:
                if time.monotonic() > deadline:
                    raise RuntimeError("keepwell healthcheck never succeeds")
                time.sleep(0.05)
            return self.oneshot(self.command, "healthcheck", "web", "--url", url)
