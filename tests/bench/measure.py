"""Each function here makes one measurement and returns it as a dictionary; `cpu_us` is the prober's CPU per attempt."""

import itertools
import json
import signal
import time
import urllib.parse
import urllib.request

from machine import (PROBER_CORE, SERVER_CORE, Process, connections_opened, cpu_seconds, pss_mb, run_json, wait_for_port)
from servers import MARIADB, NGINX, POSTGRES, REDIS, SINK

IN_FLIGHT = 32
HAPROXY_CHECKS = {
    "http": (NGINX, "option httpchk\n  http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost"),
    "redis": (REDIS, "option redis-check"),
    "postgres": (POSTGRES, "option pgsql-check user probe"),
    "mysql": (MARIADB, "option mysql-check user nopass"),
    "tcp": (NGINX, "option tcp-check"),
}


def target_address(index):
    """As target_address() in floor.hpp."""
    return f"127.{20 + index // 62500}.{index % 62500 // 250}.{1 + index % 250}"


class Bench:
    """What all measurements share: where the programs are, the servers, and how long a run is."""

    def __init__(self, programs, keepwell, servers, seconds, count):
        self.programs, self.keepwell, self.servers = programs, keepwell, servers
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
        """A floor or bench_attempts, as fast as it goes, against the real server of this kind."""
        address = "127.0.0.1"
        if kind in ("http", "redis", "tcp"):
            address = self.servers.fresh_address()
        port = {"http": NGINX, "tcp": NGINX, "redis": REDIS, "postgres": POSTGRES, "mysql": MARIADB}[kind]
        self.server_of(kind)
        count = self.count // 10 if kind in ("postgres", "mysql") else self.count
        where = [f"--url=http://{address}:{port}/"] if name == "floor_curl" else [f"--address={address}", f"--port={port}"]
        return self.program(name, *where, f"--count={count}", *options)

    def server_of(self, kind):
        return {"http": "nginx", "tcp": "nginx", "redis": "redis", "postgres": "postgres", "mysql": "mariadb"}[kind] and \
            getattr(self.servers, {"postgres": "postgres", "redis": "redis", "mysql": "mariadb"}.get(kind, "nginx"))

    def haproxy_flat_out(self, kind):
        self.server_of(kind)
        port, check = HAPROXY_CHECKS[kind]
        config = self.haproxy_config(check, (f"127.0.0.1:{port}" for _ in range(IN_FLIGHT)), "1ms")
        with Process(["haproxy", "-db", "-f", config], PROBER_CORE, self.directory, end_by=signal.SIGINT) as haproxy:
            time.sleep(1)
            return self.window(haproxy, lambda begin: {"arrivals": connections_opened() - begin}, connections_opened())

    def window(self, process, count, *begin):
        """CPU per attempt of a process during some seconds; `count` tells the attempts."""
        before, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(self.seconds)
        result = count(*begin)
        cpu, wall = cpu_seconds(process.pid) - before, time.monotonic() - began
        attempts = max(1, result["arrivals"])
        return {"per_second": attempts / wall, **result, "cpu_us": cpu * 1e6 / attempts, "core": cpu / wall,
                "pss_mb": pss_mb(process.pid)}

    def haproxy_config(self, check, addresses, interval):
        servers = "".join(f"  server s{i} {address} check inter {interval}\n" for i, address in enumerate(addresses))
        return self.file("haproxy.cfg", f"global\n  nbthread 1\n  maxconn 100\n  stats socket {self.directory}/haproxy.sock\n"
                         "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  timeout check 5s\n"
                         f"backend all\n  {check}\n{servers}")

    def blackbox(self):
        config = self.file("blackbox.yml", "modules:\n"
                           "  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}\n"
                           "  redis: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: "
                           "[{send: \"PING\\r\"}, {expect: \"^\\\\+PONG\"}]}}\n")
        process = Process(["prometheus-blackbox-exporter", f"--config.file={config}", "--web.listen-address=:19115",
                           "--log.level=error"], PROBER_CORE, self.directory)
        wait_for_port(19115, process=process)
        return process

    def blackbox_flat_out(self, kind):
        self.server_of(kind)
        target = f"http://127.0.0.1:{NGINX}/" if kind == "http" else f"127.0.0.1:{REDIS}"
        path = f"/probe?module={kind}&target=" + urllib.parse.quote(target, safe="")
        with self.blackbox() as blackbox:
            page = urllib.request.urlopen("http://127.0.0.1:19115" + path, timeout=10).read()
            if b"\nprobe_success 1" not in page:
                raise RuntimeError("blackbox_exporter's probe fails")
            before = cpu_seconds(blackbox.pid)
            asked = run_json([self.programs / "bench_floor_epoll", "--port=19115", f"--path={path}", "--connection=kept",
                              "--in-flight=8", f"--count={self.count // 4}"], SERVER_CORE)
            cpu = cpu_seconds(blackbox.pid) - before
            return {"cpu_us": cpu * 1e6 / asked["attempts"], "per_second": asked["per_second"], "pss_mb": pss_mb(blackbox.pid)}

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
        count = targets * (self.seconds + 10)
        url = [f"--url=http://127.0.0.1:{SINK}/"] if name == "floor_curl" else [f"--port={SINK}"]
        argv = [self.programs / f"bench_{name}", *url, f"--targets={targets}", f"--rate={targets}", f"--count={count}", *options]
        return self.on_schedule(lambda: Process(argv, PROBER_CORE, self.directory, end_by=signal.SIGKILL), 3)

    def haproxy_on_schedule(self, targets):
        config = self.haproxy_config(HAPROXY_CHECKS["http"][1], (f"{target_address(i)}:{SINK}" for i in range(targets)), "1s")
        argv = ["haproxy", "-db", "-f", config]
        return self.on_schedule(lambda: Process(argv, PROBER_CORE, self.directory, end_by=signal.SIGINT), 5)

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
        return run_json([self.programs / "bench_oneshot", max(20, self.count // 100), *argv], PROBER_CORE)
