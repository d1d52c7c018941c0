"""Bad input and bad days of keepwell's own: broken configurations, no descriptors, a full disk, frozen, cut off."""

import datetime
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

import keepwell
import servers

GOOD = {"services": {"fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}


@pytest.mark.parametrize("text, words", [
    ("services: [", ["keepwell.yaml:"]),
    ("services: {a: {probs: []}}", ["probs", "probes"]),
    ("services: {a: {depends_on: [b], probes: []}}", ["b"]),
    ("services: {a: {depends_on: [b]}, b: {depends_on: [a]}}", ["a", "b"]),
    ("services: {a: {probes: [{tcp: nonsense}]}}", ["host:port"]),
    ("services: {a: {probes: [{tcp: 'x:1', interval: 999999w}]}}", ["interval"]),
    ("services: {a: {}, a: {}}", ["a"]),
])
def test_a_wrong_configuration_starts_nothing_and_says_where(build, tmp_path, text, words):
    file = tmp_path / "keepwell.yaml"
    file.write_text(text)
    for argv in (["check", file], [f"--config.file={file}", "--web.socket=none"]):
        done = subprocess.run([build / "daemon" / "keepwell", *argv], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 100, done.stdout + done.stderr
        for word in words:
            assert word in done.stderr


@pytest.mark.parametrize("text", [
    "services: {" + ", ".join(f"s{i}: {{probs: []}}" for i in range(20_000)) + "}",  # a mistake in each
    "services: {a: {probes: [{http: 'http://x/" + "y" * 11_000_000 + "'}]}}",
    "a: " + "[" * 5_000_000 + "]" * 5_000_000,
    "x: &x [" + "y, " * 1000 + "]\n" + "z: [" + "*x, " * 1000 + "]\nservices: 1",
], ids=["mistakes", "size", "depth", "aliases"])
def test_a_configuration_of_megabytes_is_refused_in_time_and_in_few_words(build, tmp_path, text):
    file = tmp_path / "keepwell.yaml"
    file.write_text(text)
    done = subprocess.run([build / "daemon" / "keepwell", f"--config.file={file}", "--web.socket=none"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 100 and str(file) in done.stderr
    assert len(done.stderr) < 500_000, len(done.stderr)


def test_a_missing_configuration_and_wrong_usage_exit_100(build):
    for argv in (["--config.file=/no/such/file"], ["--config.file=/tmp"], ["--no-such-flag"], ["check", "/no/such/file"],
                 ["probe", "nokind", "x"], ["healthcheck", "--nonsense"]):
        done = subprocess.run([build / "daemon" / "keepwell", *argv], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 100, (argv, done.stdout, done.stderr)
        assert done.stderr.strip()


def test_reload_keeps_the_old_configuration_when_the_new_one_is_wrong(build):
    with servers.redis() as redis:
        config = {"services": {"redis": {"probes": [{"redis": redis.address, **keepwell.FAST}]}, **GOOD["services"]}}
        with keepwell.running(build, config) as daemon:
            daemon.wait_state("redis", "healthy")
            attempts = daemon.metric("keepwell_probe_attempts_total", compose_service="redis", outcome="ok")
            daemon.write("services: {redis: {probs: 1}}")
            code, text = daemon.post("/-/reload")
            assert code == 500 and "probs" in text
            assert daemon.metric("keepwell_config_last_reload_successful") == 0
            assert daemon.service("redis")["state"] == "healthy"

            config["services"]["new"] = {"probes": [{"redis": redis.address, **keepwell.FAST}]}
            del config["services"]["fine"]
            daemon.write(config)
            daemon.send(signal.SIGHUP)
            daemon.wait_state("new", "healthy")
            assert daemon.metric("keepwell_config_last_reload_successful") == 1
            assert daemon.service("redis")["state"] == "healthy"
            assert daemon.metric("keepwell_probe_attempts_total", compose_service="redis", outcome="ok") >= attempts
            assert daemon.metric("keepwell_service_instances", compose_service="fine") is None
            assert daemon.request("GET", "/-/reload")[0] == 405


def test_a_file_that_was_emptied_changes_nothing(build):
    with keepwell.running(build, GOOD) as daemon:
        daemon.wait_state("fine", "healthy")
        for text in ("", "# all gone\n", "services: {}\n"):
            daemon.write(text)
            code, words = daemon.post("/-/reload")
            assert code == 500 and "has no service any more" in words and "the configuration stays as it was" in words
            assert daemon.service("fine")["state"] == "healthy"
            assert daemon.metric("keepwell_config_last_reload_successful") == 0


def test_a_reload_says_which_file_is_wrong(build, tmp_path):
    web = tmp_path / "web.yml"
    web.write_text("{}\n", encoding="utf-8")
    with keepwell.running(build, GOOD, f"--web.config.file={web}") as daemon:
        daemon.wait_state("fine", "healthy")
        web.write_text("nonsense: 1\n", encoding="utf-8")
        daemon.write({**GOOD, "project": "changed"})
        code, words = daemon.post("/-/reload")
        assert code == 500 and "the web configuration stays as it was" in words and "nonsense" in words
        assert "the configuration stays" not in words and daemon.status()["project"] == "changed"


def test_changed_content_is_reloaded_by_itself(build):
    with keepwell.running(build, GOOD, "--config.auto-reload-interval=200ms") as daemon:
        daemon.write({"services": {**GOOD["services"], "second": GOOD["services"]["fine"]}})
        servers.wait_until(lambda: daemon.get("/health/second")[0] == 200, 15)


def test_a_frozen_keepwell_restarts_nothing_when_it_wakes(build, tmp_path):
    restarted = tmp_path / "restarted"
    with servers.redis() as redis, servers.redis() as other:
        restart = {"mode": "act", "command": {"argv": ["touch", str(restarted)]}}
        # With a timeout longer than the freeze an attempt would be under way when it begins.
        config = {"services": {name: {"probes": [{"redis": server.address, **keepwell.FAST, "retries": 1}], "restart": restart}
                               for name, server in (("redis", redis), ("other", other))}}
        with keepwell.running(build, config) as daemon:
            daemon.wait_state("redis", "healthy")
            daemon.freeze()
            time.sleep(6)  # the freeze itself is what is tested
            daemon.thaw()
            servers.wait_until(lambda: daemon.history("doubt"), 10, "keepwell notices its own freeze")
            servers.wait_until(lambda: daemon.metric("keepwell_self_doubt") == 0, 10)
            daemon.wait_state("redis", "healthy")
            assert not restarted.exists()
            assert daemon.metric("keepwell_signals_total", compose_service="redis") == 0


def test_without_descriptors_nothing_is_blamed_on_the_targets(build, tmp_path):
    restarted = tmp_path / "restarted"
    restart = {"mode": "act", "command": {"argv": ["touch", str(restarted)]}}
    with servers.redis() as redis:
        services = {f"redis-{i}": {"probes": [{"redis": redis.address, **keepwell.FAST}], "restart": restart} for i in range(3)}
        with keepwell.running(build, {"services": services}) as daemon:
            daemon.wait_state("redis-0", "healthy")
            limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            time.sleep(3)  # fifteen intervals without a single descriptor to be had
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
            assert daemon.running(), daemon.log()
            servers.wait_until(lambda: daemon.get("/-/healthy")[0] == 200)
            failures = [line for line in daemon.metrics().splitlines() if line.startswith("keepwell_probe_failures_total{")]
            assert failures and all('reason="resource_exhausted"' in line for line in failures), failures
            daemon.wait_state("redis-0", "healthy")
            assert not restarted.exists()
            assert daemon.metric("keepwell_signals_total", compose_service="redis-0") == 0


def test_a_full_disk_costs_the_memory_of_restarts_but_not_the_watch(build, tmp_path):
    state = "/dev/full"
    closed = servers.free_port()
    config = {"services": {"broken": {"probes": [{"tcp": f"127.0.0.1:{closed}", **keepwell.FAST, "retries": 1}]}, **GOOD["services"]}}
    with keepwell.running(build, config, f"--state.file={state}") as daemon:
        daemon.wait_state("broken", "unhealthy")
        servers.wait_until(lambda: "state file" in daemon.log(), 10, "a warning about the state file")
        assert daemon.get("/-/healthy")[0] == 200


# Adds what a file says, in seconds, to the clock on the wall: what a clock that jumps looks like to one program.
# System calls only, because it also runs while the sanitizers are not ready yet.
JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static long long offset_in(const char* path)
{
    char text[32] = {0};
    const long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    long long value = 0;
    for (const char* digit = text + (text[0] == '-'); *digit >= '0' && *digit <= '9'; ++digit)
        value = value * 10 + (*digit - '0');
    return text[0] == '-' ? -value : value;
}
int clock_gettime(clockid_t id, struct timespec* out)
{
    const int result = (int)syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME)
        out->tv_sec += offset_in(getenv("CLOCK_OFFSET_FILE"));
    return result;
}
"""


def test_a_clock_that_jumps_restarts_nothing(build, tmp_path):
    source, library, offset, beat = (tmp_path / name for name in ("clock.c", "clock.so", "offset", "beat"))
    source.write_text(JUMPING_CLOCK)
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang-19", "gcc-14")))
    servers.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source])
    offset.write_text("0")
    beat.touch()
    env = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset), "ASAN_OPTIONS": "verify_asan_link_order=0"}
    with servers.redis() as redis:
        services = {"redis": {"probes": [{"redis": redis.address, **keepwell.FAST}]},
                    "worker": {"probes": [{"heartbeat": {"max_age": "5s", "file": str(beat)}, **keepwell.FAST, "retries": 1}]}}
        with keepwell.running(build, {"services": services}, env=env) as daemon:
            daemon.wait_state("worker", "healthy")
            for jump in (86400, -86400, 10 * 365 * 86400, 0):
                offset.write_text(str(jump))
                attempts = daemon.metric("keepwell_probe_attempts_total", compose_service="worker", outcome="ok")

                def seen(jump=jump, attempts=attempts):
                    beat.touch()  # it goes on reporting in
                    shown = datetime.datetime.fromisoformat(daemon.log().splitlines()[-1].split("time=")[1].split("Z")[0])
                    daemon.post("/api/v1/resume/redis")  # something to log
                    jumped = abs((shown - datetime.datetime.utcnow()).total_seconds() - jump) < 30
                    done = daemon.metric("keepwell_probe_attempts_total", compose_service="worker", outcome="ok")
                    return jumped and done >= attempts + 10

                servers.wait_until(seen, 20, f"the log's clock is {jump} s off, and the watch goes on", 0.2)
                assert daemon.metric("keepwell_self_doubt") == 0
            daemon.wait_state("redis", "healthy")
            assert not daemon.history("signal_raised") and not daemon.history("doubt")
            assert daemon.metric("keepwell_probe_attempts_total", compose_service="worker", outcome="rejected") == 0


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path):
    """A file system of 64 KiB; where nobody may mount one, the test is skipped."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_disk_that_fills_up_keeps_the_last_whole_state_file(build, small_disk):
    state, filler = small_disk / "state.json", small_disk / "filler"
    with keepwell.running(build, GOOD, f"--state.file={state}") as daemon:
        daemon.wait_state("fine", "healthy")
        daemon.post("/api/v1/maintenance/fine")
        servers.wait_until(lambda: '"maintenance"' in state.read_text(), 15, "the state file says maintenance")
        whole = state.read_text()
        with open(filler, "wb", buffering=0) as file:
            with pytest.raises(OSError):
                while True:
                    file.write(b"x" * 512)
        daemon.post("/api/v1/resume/fine")
        servers.wait_until(lambda: "No space left" in daemon.log(), 15, "a warning about the full disk")
        assert state.read_text() == whole
        daemon.wait_state("fine", "healthy")
        filler.unlink()
        servers.wait_until(lambda: state.read_text() != whole, 15, "with room again, it is written")
        json.loads(state.read_text())
        assert daemon.stop() == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 999}', "\x00" * 100, '{"version":1,"services":{"fine":3}}'])
def test_a_broken_state_file_is_survived_with_a_warning(build, content):
    daemon = keepwell.Daemon(build, GOOD)
    with open(daemon.state_file, "w", encoding="utf-8") as file:
        file.write(content)
    with servers.started(daemon):
        daemon.wait_state("fine", "healthy")
        assert "level=warn" in daemon.log()


@pytest.mark.parametrize("send, status", [
    (b"NONSENSE\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 431),
    (b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400),
    (b"GET /-/healthy HTTP/1.0\r\n\r\n", 200),
    (b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"POST /api/v1/resume/fine HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n", 403),
    (b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
    (b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nOrigin: http://localhost\r\n\r\n", 403),
])
def test_bad_requests_get_an_answer_and_hurt_nobody(build, send, status):
    with keepwell.running(build, GOOD) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
            client.sendall(send)
            reply = client.recv(4096)
            assert reply.startswith(f"HTTP/1.1 {status}".encode()), reply
        daemon.wait_state("fine", "healthy")


@pytest.mark.parametrize("encodings", ["gzip", "gzip, chunked", "chunked, identity", "xchunked", "chunked\r\nTransfer-Encoding: gzip", ""])
def test_a_body_whose_end_is_not_known_is_not_taken_for_the_next_request(build, encodings):
    smuggled = "POST /api/v1/maintenance/fine HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with keepwell.running(build, GOOD) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
            client.sendall(f"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {encodings}\r\n\r\n{smuggled}".encode())
            client.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        assert reply.startswith("HTTP/1.1 501 ") or reply.startswith("HTTP/1.1 400 "), reply
        assert reply.count("HTTP/1.1 ") == 1 and "Connection: close\r\n" in reply
        assert "in maintenance" not in daemon.get("/health/fine")[1]


def test_silent_and_slow_clients_do_not_keep_others_out(build):
    with keepwell.running(build, GOOD) as daemon:
        silent = [socket.create_connection(("127.0.0.1", daemon.port), timeout=10) for _ in range(300)]
        for client in silent[:100]:
            client.sendall(b"GET /metrics HTT")
        daemon.wait_state("fine", "healthy")
        assert daemon.get("/metrics")[0] == 200
        for client in silent:
            client.close()


def test_secrets_appear_nowhere(build, tmp_path):
    secret = "hunter2-secret"
    password = tmp_path / "password"
    password.write_text(secret + "\n")
    redis_login = {"username": "someone", "password": secret}
    with servers.redis("--requirepass", "another") as redis, servers.nginx("server { listen @PORT@; return 401; }") as web:
        closed = f"127.0.0.1:{servers.free_port()}"
        probes = {
            "redis": {"redis": {"address": redis.address, "password": secret}},
            "acl": {"redis": {"address": redis.address, "username": "someone", "password_file": str(password)}},
            "bearer": {"http": {"url": web.url, "bearer_token": secret}},
            "basic": {"http": {"url": web.url, "username": "someone", "password": secret}},
            "token": {"http": f"{web.url}/?token={secret}"},
            "header": {"http": {"url": web.url, "headers": {"X-Api-Key": secret}}},
            "postgres": {"postgres": {"address": closed, "user": "u", "password": secret, "query": "select 1"}},
            "mysql": {"mysql": {"address": closed, "user": "u", "password": "${THE_SECRET}"}},
            "beat": {"heartbeat": {"max_age": "1s", "key": "k", "redis": {"address": redis.address, **redis_login}}},
            "program": {"exec": {"argv": ["sh", "-c", "env; exit 1"]}},
        }
        config = {"services": {name: {"probes": [{**probe, **keepwell.FAST}]} for name, probe in probes.items()} | GOOD["services"],
                  "webhooks": [{"url": f"http://{closed}/{secret}?key={secret}", "secret": secret, "backoff": "100ms"}]}
        with keepwell.running(build, config, "--log.level=debug", env={"THE_SECRET": secret}) as daemon:
            for name in probes:
                daemon.wait_state(name, "unknown" if name == "beat" else "unhealthy")
            assert daemon.instance("redis")["probes"][0]["last_attempt"]["reason"] == "authentication_failed"
            servers.wait_until(lambda: daemon.metric("keepwell_webhook_deliveries_total", result="failed") != 0, 15)
            daemon.write(f"services: {{x: {{probes: [{{redis: {{address: 1, password: {secret}, pasword: {secret}}}}}, "
                         f"{{http: 'http://someone:{secret}@{closed}/'}}]}}}}")
            reload = daemon.post("/-/reload")[1]
            assert "pasword" in reload
            check = daemon.command("check", daemon.config_file, check=False)
            shown = [daemon.log(), daemon.metrics(), reload, check.stdout + check.stderr]
            shown += [daemon.get(path)[1] for path in ("/api/v1/status", "/api/v1/signals", "/api/v1/config", "/health/redis", "/")]
            shown += [daemon.command(*words, check=False).stdout for words in (["status"], ["status", "--json"], ["explain", "basic"])]
            with open(f"/proc/{daemon.pid}/cmdline", encoding="utf-8") as file:
                shown.append(file.read())
            with open(daemon.state_file, encoding="utf-8") as file:
                shown.append(file.read())
            for text in shown:
                assert "hunter2" not in text, text[max(0, text.index("hunter2") - 300):text.index("hunter2") + 50]


def test_it_ends_in_good_order_and_leaves_no_socket(build):
    with keepwell.running(build, GOOD) as daemon:
        daemon.wait_state("fine", "healthy")
        assert os.path.exists(daemon.socket)
        assert daemon.stop() == 0
        assert not os.path.exists(daemon.socket)


def test_two_daemons_do_not_share_a_port_or_a_socket(build):
    with keepwell.running(build, GOOD) as daemon:
        done = subprocess.run([str(word) for word in daemon.argv], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 111 and "cannot listen" in done.stderr


def test_memory_does_not_grow_while_everything_fails(build):
    closed = servers.free_port()
    services = {f"s{i}": {"probes": [{"tcp": f"127.0.0.1:{closed}", "interval": "10ms", "timeout": "100ms"}]} for i in range(20)}

    def resident(pid):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    def attempts(daemon):
        return sum(float(line.rsplit(" ", 1)[1]) for line in daemon.metrics().splitlines()
                   if line.startswith("keepwell_probe_attempts_total{"))

    with keepwell.running(build, {"services": services}, env={"ASAN_OPTIONS": "quarantine_size_mb=1"}) as daemon:
        servers.wait_until(lambda: attempts(daemon) > 5_000, 30)
        before = resident(daemon.pid)
        servers.wait_until(lambda: attempts(daemon) > 15_000, 60)
        assert resident(daemon.pid) < before * 1.25 + (4 << 20), json.dumps({"before": before, "after": resident(daemon.pid)})
