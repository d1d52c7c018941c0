"""What keepwell does about it: restarts by command, and every reason for not restarting."""

import json
import os
import signal
import sys

import keepwell
import servers

# Restarts the program whose pid file is given: what a user's own restart command does.
RESTART = """
import os, signal, subprocess, sys, time
pid_file, argv = sys.argv[1], sys.argv[2:]
try:
    pid = int(open(pid_file).read()); os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}") and "Z" not in open(f"/proc/{pid}/stat").read().split(")")[1]: time.sleep(0.01)
except (OSError, ValueError): pass
child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
open(pid_file + ".new", "w").write(str(child.pid))
os.replace(pid_file + ".new", pid_file)  # who reads it finds the whole number
print("started", child.pid)
"""


class Stack:
    """Redis servers that keepwell's own command restarts; cleaned up by pid."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.script = f"{self.directory}/restart.py"
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(RESTART)
        self.ports = {}

    def argv(self, name):
        port = self.ports.setdefault(name, servers.free_port())
        return [sys.executable, self.script, f"{self.directory}/{name}.pid", servers.need("redis-server", "redis-server"),
                "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", self.directory]

    def start(self, name):
        servers.run(self.argv(name))
        servers.wait_until(lambda: servers.accepts(self.ports[name]))

    def pid(self, name):
        with open(f"{self.directory}/{name}.pid", encoding="utf-8") as file:
            return int(file.read())

    def stop(self):
        for name in self.ports:
            try:
                os.kill(self.pid(name), 9)
            except OSError:
                pass

    def service(self, name, probes=(), command=None, **more):
        restart = {"mode": "act", "backoff": "500ms", "backoff_max": "1s", "command": {"argv": command or self.argv(name)},
                   **more.pop("restart", {})}
        self.argv(name)
        return {"probes": [{"redis": f"127.0.0.1:{self.ports[name]}", **keepwell.FAST}, *probes], "restart": restart, **more}


def stack_of(tmp_path, request):
    stack = Stack(tmp_path)
    request.addfinalizer(stack.stop)
    return stack


def test_a_killed_and_a_hung_server_are_restarted(build, tmp_path, request):
    stack = stack_of(tmp_path, request)
    stack.argv("redis")
    stack.start("redis")
    with keepwell.running(build, {"services": {"redis": stack.service("redis")}}) as daemon:
        daemon.wait_state("redis", "healthy")
        for number in (9, 19):  # SIGKILL, SIGSTOP
            before = stack.pid("redis")
            os.kill(before, number)
            servers.wait_until(lambda: stack.pid("redis") != before, 20, "a new process")
            daemon.wait_state("redis", "healthy")
            servers.wait_until(lambda: daemon.history("action_finished", "redis"))
        assert daemon.metric("keepwell_actions_total", compose_service="redis", result="ok") == 2
        assert daemon.metric("keepwell_signals_total", compose_service="redis") == 2
        last = daemon.instance("redis")["restarts"]["last"]
        assert last["result"] == "ok" and "started" in last["output"]
        assert "last restart" in daemon.command("status").stdout


def test_a_dependant_is_held_while_its_root_is_down_and_never_restarted(build, tmp_path, request):
    stack = stack_of(tmp_path, request)
    for name in ("db", "api"):
        stack.argv(name)
        stack.start(name)
    api = stack.service("api", depends_on=["db"])
    api["probes"][0]["redis"] = f"127.0.0.1:{stack.ports['db']}"  # api answers only as long as db does
    with keepwell.running(build, {"services": {"db": stack.service("db", restart={"for": "5s"}), "api": api}}) as daemon:
        daemon.wait_state("api", "healthy")
        before = stack.pid("api")
        os.kill(stack.pid("db"), 9)
        daemon.wait_hold("api", "need_unhealthy")
        assert daemon.service("api")["root_cause"] == "db"
        assert daemon.metric("keepwell_restart_held", compose_service="api", hold="need_unhealthy") == 1
        assert "root cause: db" in daemon.command("status").stdout
        daemon.wait_state("db", "healthy", 20)
        daemon.wait_state("api", "healthy")
        assert stack.pid("api") == before
        assert daemon.metric("keepwell_actions_total", compose_service="db", result="ok") == 1
        assert daemon.metric("keepwell_actions_total", compose_service="api", result="ok") == 0


def test_a_restart_edge_restarts_the_dependant_after_its_root(build, tmp_path, request):
    stack = stack_of(tmp_path, request)
    for name in ("gateway", "client"):
        stack.argv(name)
        stack.start(name)
    config = {"services": {"gateway": stack.service("gateway"),
                           "client": stack.service("client", depends_on={"gateway": {"condition": "service_healthy", "restart": True}})}}
    with keepwell.running(build, config) as daemon:
        daemon.wait_state("client", "healthy")
        before = stack.pid("client")
        os.kill(stack.pid("gateway"), 9)
        servers.wait_until(lambda: stack.pid("client") != before, 20, "the client was restarted")
        daemon.wait_state("client", "healthy")
        kinds = [(each["kind"], each["service"]) for each in daemon.history()]
        assert kinds.index(("action_finished", "gateway")) < kinds.index(("action_started", "client"))
        servers.wait_until(lambda: daemon.metric("keepwell_actions_total", compose_service="client", result="ok") == 1)


def test_a_failing_gate_forbids_the_restart_and_says_why(build, tmp_path, request):
    stack = stack_of(tmp_path, request)
    stack.argv("proxy")
    stack.start("proxy")
    config_ok = tmp_path / "config-ok"
    config_ok.touch()
    gate = {"exec": {"argv": ["sh", "-c", f"test -e {config_ok} || {{ echo 'unexpected end of file in line 7'; exit 1; }}"]},
            "name": "config", "role": "gate", "timeout": "2s", "interval": "300ms"}
    with keepwell.running(build, {"services": {"proxy": stack.service("proxy", probes=[gate])}}) as daemon:
        daemon.wait_state("proxy", "healthy")
        before = stack.pid("proxy")
        config_ok.unlink()
        os.kill(before, 9)
        daemon.wait_hold("proxy", "gate_failed")
        assert "line 7" in daemon.instance("proxy")["hold"]["detail"]
        assert daemon.metric("keepwell_restart_held", compose_service="proxy", hold="gate_failed") == 1
        assert stack.pid("proxy") == before
        config_ok.touch()  # repaired: now it may be restarted
        servers.wait_until(lambda: stack.pid("proxy") != before, 20, "restarted after the repair")
        daemon.wait_state("proxy", "healthy")


def test_what_a_restart_does_not_help_ends_in_quarantine_until_somebody_resumes_it(build, tmp_path, request):
    counter = tmp_path / "restarts"
    command = ["sh", "-c", f"echo x >> {counter}"]
    closed = servers.free_port()
    service = {"probes": [{"tcp": f"127.0.0.1:{closed}", **keepwell.FAST, "retries": 1}],
               "restart": {"mode": "act", "backoff": "100ms", "backoff_max": "200ms", "max": 3, "within": "1h",
                           "command": {"argv": command}}}
    with keepwell.running(build, {"services": {"broken": service, "fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}) as daemon:
        daemon.wait_hold("broken", "quarantined", 30)
        assert counter.read_text().count("x") == 3
        assert daemon.metric("keepwell_quarantined", compose_service="broken") == 1

        daemon.stop()  # and keepwell's own restart changes nothing about that
        daemon.start()
        daemon.wait_hold("broken", "quarantined", 30)
        assert counter.read_text().count("x") == 3

        daemon.command("resume", "broken")
        servers.wait_until(lambda: counter.read_text().count("x") > 3, 20, "restarted again after resume")


def test_maintenance_is_set_and_cleared_by_hand(build, tmp_path, request):
    stack = stack_of(tmp_path, request)
    stack.argv("redis")
    stack.start("redis")
    with keepwell.running(build, {"services": {"redis": stack.service("redis")}}) as daemon:
        daemon.wait_state("redis", "healthy")
        before = stack.pid("redis")
        daemon.command("pause", "redis", "--note=new disk")
        daemon.wait_state("redis", "maintenance")
        assert daemon.get("/health/redis")[0] == 200
        os.kill(before, 9)
        servers.wait_until(lambda: daemon.metric("keepwell_probe_failing_streak", compose_service="redis") > 6)
        assert stack.pid("redis") == before
        daemon.stop()
        daemon.start()
        daemon.wait_state("redis", "maintenance")
        assert daemon.service("redis")["maintenance"]["note"] == "new disk"
        daemon.command("resume", "redis")
        servers.wait_until(lambda: stack.pid("redis") != before, 20, "restarted after maintenance")
        assert daemon.command("pause", "nobody", check=False).returncode == 1


def test_a_restart_that_fails_or_hangs_is_recorded_and_tried_again_after_the_backoff(build, tmp_path):
    closed = servers.free_port()
    service = {"probes": [{"tcp": f"127.0.0.1:{closed}", **keepwell.FAST, "retries": 1}],
               "restart": {"mode": "act", "backoff": "300ms", "max": 2,
                           "command": {"argv": ["sh", "-c", "echo cannot; exit 7"]}}}
    hung = {**service, "restart": {**service["restart"], "command": {"argv": ["sleep", "60"], "timeout": "300ms"}}}
    other = {"probes": [{"exec": ["true"], **keepwell.FAST}]}
    with keepwell.running(build, {"services": {"fails": service, "hangs": hung, "other": other}}) as daemon:
        daemon.wait_hold("fails", "quarantined", 30)
        daemon.wait_hold("hangs", "quarantined", 30)
        assert daemon.metric("keepwell_actions_total", compose_service="fails", result="failed") == 2
        assert daemon.metric("keepwell_actions_total", compose_service="hangs", result="timed_out") == 2
        assert "cannot" in daemon.instance("fails")["restarts"]["last"]["output"]


def slow_restart(tmp_path, begin="echo begun >>", seconds=3):
    """A service that is always down, and a restart of some seconds that leaves lines in a file."""
    lines = tmp_path / "lines"
    lines.touch()
    script = f"{begin} {lines}; sleep {seconds}; echo ended >> {lines}"
    service = {"probes": [{"tcp": f"127.0.0.1:{servers.free_port()}", **keepwell.FAST, "retries": 1}],
               "restart": {"mode": "act", "backoff": "100ms", "jitter": 0, "command": {"argv": ["sh", "-c", script], "timeout": "20s"}}}
    fine = {"probes": [{"exec": ["true"], **keepwell.FAST}]}
    return lines, {"services": {"down": service, "fine": fine}}


def test_a_restart_under_way_is_waited_for_when_keepwell_ends(build, tmp_path):
    lines, config = slow_restart(tmp_path)
    with keepwell.running(build, config) as daemon:
        servers.wait_until(lambda: "begun" in lines.read_text(), 20)
        assert daemon.stop() == 0
        assert lines.read_text().split() == ["begun", "ended"]
        assert 'msg="restart finished"' in daemon.log()


def test_a_second_signal_cuts_it_short(build, tmp_path):
    lines, config = slow_restart(tmp_path, seconds=60)
    with keepwell.running(build, config) as daemon:
        servers.wait_until(lambda: "begun" in lines.read_text(), 20)
        daemon.send(signal.SIGTERM)
        servers.wait_until(lambda: "waited for" in daemon.log(), 5)
        assert daemon.stop() == 0
        assert "cut short" in daemon.log() and lines.read_text().split() == ["begun"]


def test_a_keepwell_that_was_killed_leaves_no_second_restart_beside_the_first(build, tmp_path):
    lines, config = slow_restart(tmp_path)
    with keepwell.running(build, config) as daemon:
        servers.wait_until(lambda: "begun" in lines.read_text(), 20)
        servers.wait_until(lambda: "not_before" in read(daemon.state_file), 5, "the restart is in the state file")
        daemon.send(signal.SIGKILL)
        daemon.stop()
        daemon.start()
        daemon.wait_hold("down", "cooling_down", 15)
        servers.wait_until(lambda: "ended" in lines.read_text(), 20)
        assert lines.read_text().split()[:2] == ["begun", "ended"]


def test_a_restart_that_was_forgotten_by_a_reload_is_not_begun_twice(build, tmp_path):
    lines, config = slow_restart(tmp_path)
    with keepwell.running(build, config) as daemon:
        servers.wait_until(lambda: "begun" in lines.read_text(), 20)
        daemon.write({"services": {"fine": config["services"]["fine"]}})
        assert daemon.post("/-/reload")[0] == 200
        daemon.write(config)
        assert daemon.post("/-/reload")[0] == 200
        daemon.wait_hold("down", "cooling_down", 15)
        servers.wait_until(lambda: "ended" in lines.read_text(), 20)
        assert lines.read_text().split()[:2] == ["begun", "ended"]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def test_a_webhook_is_told_signed_and_told_again_after_a_failure(build):
    import hashlib
    import hmac
    import http.server
    import threading
    received, fail_first = [], [2]

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fail_first[0] -= 1
            self.send_response(500 if fail_first[0] >= 0 else 204)
            self.end_headers()
            if fail_first[0] < 0:
                received.append((dict(self.headers), body))

        def log_message(self, *words):
            pass

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        with servers.redis() as redis, servers.redis() as other:
            config = {"webhooks": [{"url": f"http://127.0.0.1:{receiver.server_port}/hook", "secret": "s3cret", "backoff": "100ms"}],
                      "services": {"redis": {"probes": [{"redis": redis.address, **keepwell.FAST}]},
                                   "other": {"probes": [{"redis": other.address, **keepwell.FAST}]}}}
            with keepwell.running(build, config) as daemon:
                daemon.wait_state("redis", "healthy")
                redis.kill()
                servers.wait_until(lambda: received, 20, "the signal arrives")
                headers, body = received[0]
                event = json.loads(body)
                assert (event["event"], event["service"], event["reason"]) == ("signal_raised", "redis", "connection_refused")
                stamp = headers["X-Keepwell-Timestamp"]
                expected = hmac.new(b"s3cret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
                assert headers["X-Keepwell-Signature"] == f"sha256={expected}"
                assert "s3cret" not in daemon.log() + daemon.metrics() + daemon.get("/api/v1/status")[1]
                servers.wait_until(lambda: daemon.metric("keepwell_webhook_deliveries_total", result="delivered") >= 1)
    finally:
        receiver.shutdown()
