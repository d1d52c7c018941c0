"""keepwell on Compose projects that know nothing of it, on a real Docker Engine: what it finds, what it asks, and what it does
when containers hang, are killed, paused, stopped, scaled, made anew or lose what they stand on."""

import contextlib
import json
import time

import keepwell
import pytest
import servers

pytestmark = pytest.mark.timeout(900)

QUICK = {"interval": "1s", "timeout": "1s", "retries": 2}
SLEEP = {"image": "debian:trixie-slim", "command": ["sleep", "infinity"], "init": True, "stop_grace_period": "1s"}


def redis(**more):
    return {"image": "redis:7-alpine", "stop_grace_period": "1s",
            "healthcheck": {"test": ["CMD", "redis-cli", "ping"], **QUICK}, **more}


def nginx(**more):
    return {"image": "nginx:1.27-alpine", "stop_grace_period": "1s",
            "healthcheck": {"test": "curl -fs http://localhost/ || exit 1", **QUICK}, **more}


@contextlib.contextmanager
def project(engine, name, services, tmp_path, **more):
    file = tmp_path / "compose.yaml"
    file.write_text(json.dumps({"services": services, **more}), encoding="utf-8")
    with engine.project(f"keepwell-{name}", [file]) as stack:
        stack.compose("up", "-d")
        yield stack


@contextlib.contextmanager
def watching(build, engine, stack, *, mode="act", **more):
    config = {"docker": {"host": engine.host, "projects": [stack.name]}, "mode": mode,
              "defaults": {"restart": {"backoff": "500ms", "backoff_max": "1s"}}, **more}
    with keepwell.running(build, config) as daemon:
        labels = [each["Config"]["Labels"] for each in stack.containers()]
        for service in {each["com.docker.compose.service"] for each in labels if each.get("keepwell.enable") != "false"}:
            servers.wait_until(lambda name=service: daemon.get(f"/api/v1/services/{name}")[0] == 200, 20, f"{service} is found")
        yield daemon


def started_at(stack, service, number=1):
    return stack.container(service, number)["State"]["StartedAt"]


# Each a Compose file: services, and what keepwell must ask each for (words of `keepwell explain`).
SHAPES = {
    "redis-with-a-check": ({"cache": redis()}, {"cache": ["own health check (redis-cli)", "redis {address:"]}),
    "redis-with-a-password": (
        {"cache": redis(command="redis-server --requirepass hunter2",
                        healthcheck={"test": "redis-cli -a hunter2 ping | grep PONG", **QUICK})},
        {"cache": ["own health check", "redis {address:", "password"]}),
    "redis-without-a-check": ({"cache": {**redis(), "healthcheck": {"disable": True}}},
                              {"cache": ["a guess from its image (redis)", "readiness"]}),
    "postgres": (
        {"db": {"image": "postgres:15", "environment": {"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "x"},
                "healthcheck": {"test": ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"], **QUICK, "start_period": "30s"}}},
        {"db": ["own health check (pg_isready)", "postgres {address:", "for 30s after a start"]}),
    "web-behind-a-cache": (
        {"cache": redis(), "web": nginx(depends_on={"cache": {"condition": "service_healthy", "restart": True}})},
        {"web": ["own health check (curl)", "http {url: http://", "not while cache is not healthy"],
         "cache": ["once it is healthy again, web is restarted too"]}),
    "copies": ({"web": nginx(deploy={"replicas": 3})}, {"web": ["3 instances", "own health check (curl)"]}),
    "wget-and-a-path": (
        {"web": nginx(healthcheck={"test": ["CMD", "wget", "-q", "--spider", "http://127.0.0.1:80/"], **QUICK})},
        {"web": ["own health check (wget)", "http {url: http://"]}),
    "a-shared-namespace": (
        {"cache": redis(), "side": {**SLEEP, "network_mode": "service:cache",
                                    "healthcheck": {"test": ["CMD", "bash", "-c", "echo > /dev/tcp/localhost/6379"], **QUICK}}},
        {"side": ["tcp {address:", "not while cache is not healthy"]}),
    "a-check-of-its-own": (
        {"job": {**SLEEP, "healthcheck": {"test": "test -d /tmp", **QUICK}}},
        {"job": ["Docker's verdict", "docker {container: keepwell-a-check-of-its-own-job-1"]}),
    "a-worker-that-nobody-can-ask": ({"worker": dict(SLEEP)},
                                     {"worker": ["only whether it runs", "readiness", "never causes a restart"]}),
    "a-check-that-checks-nothing": (
        {"web": nginx(healthcheck={"test": ["CMD-SHELL", "exit 0"], **QUICK})},
        {"web": ["a guess from its image (nginx)", "always says the same"]}),
    "labels": (
        {"web": nginx(labels={"keepwell.interval": "7s", "keepwell.restart.mode": "observe"}),
         "cache": redis(labels={"keepwell.probes": '[{tcp: "{address}:6379", name: port}]'}),
         "old": {**SLEEP, "labels": {"keepwell.enable": "false"}}},
        {"web": ["every 7s", "mode observe"], "cache": ["label keepwell.probes", "tcp {address:"]}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_project_that_knows_nothing_of_keepwell_is_watched_as_a_careful_person_would(build, engine, tmp_path, shape):
    services, expected = SHAPES[shape]
    with project(engine, shape, services, tmp_path) as stack, watching(build, engine, stack) as daemon:
        for service, words in expected.items():
            text = daemon.command("explain", service, f"--config.file={daemon.config_file}").stdout
            for word in words:
                assert word in text, text
            daemon.wait_state(service, "healthy", 60)
        assert "hunter2" not in daemon.metrics() + daemon.get("/api/v1/status")[1]
        watched = {each["name"] for each in daemon.status()["services"]}
        assert watched == {name for name, each in services.items() if each.get("labels", {}).get("keepwell.enable") != "false"}


def test_what_hangs_is_restarted_and_what_is_killed_is_started_and_nothing_else_is_touched(build, engine, tmp_path):
    services = {"cache": redis(), "web": nginx(deploy={"replicas": 2})}
    with project(engine, "heal", services, tmp_path) as stack, watching(build, engine, stack) as daemon:
        for service in services:
            daemon.wait_state(service, "healthy", 30)
        before = {(service, number): started_at(stack, service, number)
                  for service, number in (("cache", 1), ("web", 1), ("web", 2))}
        stack.freeze("web", 2)
        servers.wait_until(lambda: started_at(stack, "web", 2) != before["web", 2], 30, "the hung copy is restarted")
        daemon.wait_state("web", "healthy", 30)
        stack.kill("cache")
        servers.wait_until(lambda: stack.container("cache")["State"]["Running"] and
                           started_at(stack, "cache") != before["cache", 1], 30, "the killed one is started")
        daemon.wait_state("cache", "healthy", 30)
        assert started_at(stack, "web", 1) == before["web", 1]
        ended = daemon.history("action_finished")
        assert [each["instance"] for each in ended] == ["keepwell-heal-web-2", "keepwell-heal-cache-1"]


def test_what_a_person_pauses_or_stops_is_left_alone(build, engine, tmp_path):
    with project(engine, "rest", {"cache": redis(), "web": nginx()}, tmp_path) as stack, \
            watching(build, engine, stack) as daemon:
        for service in ("cache", "web"):
            daemon.wait_state(service, "healthy", 30)
        stack.compose("pause", "web")
        daemon.wait_state("web", "paused")
        stack.compose("stop", "cache")
        daemon.wait_state("cache", "paused")
        time.sleep(6)  # longer than anything would take to be noticed: nothing may happen
        assert daemon.history("action_started") == []
        assert daemon.instance("cache")["rest"] == "stopped by hand"
        stack.compose("unpause", "web")
        stack.compose("start", "cache")
        for service in ("cache", "web"):
            daemon.wait_state(service, "healthy", 30)
        stack.compose("kill", "cache")
        daemon.wait_state("cache", "paused")
        assert daemon.history("action_started") == []


def test_copies_come_and_go_with_the_scale_and_a_replacement_goes_on_as_the_same_instance(build, engine, tmp_path):
    with project(engine, "scale", {"web": nginx()}, tmp_path) as stack, watching(build, engine, stack) as daemon:
        daemon.wait_state("web", "healthy", 30)
        names = lambda: [each["name"] for each in daemon.service("web")["instances"]]
        stack.up("--scale", "web=3", "--no-recreate")
        servers.wait_until(lambda: names() == [f"keepwell-scale-web-{n}" for n in (1, 2, 3)], 20, "three are found")
        stack.up("--scale", "web=1", "--no-recreate")
        servers.wait_until(lambda: names() == ["keepwell-scale-web-1"], 20, "one is left")
        old = stack.container("web")["Id"]
        stack.up("--force-recreate")
        assert stack.container("web")["Id"] != old
        daemon.wait_state("web", "healthy", 30)
        assert names() == ["keepwell-scale-web-1"]
        assert daemon.history("action_started") == []
        stack.compose("rm", "-sf", "web")
        servers.wait_until(lambda: daemon.get("/api/v1/services/web")[0] == 404, 20, "it is gone")


def test_dependants_follow_their_root_and_are_not_restarted_before_it(build, engine, tmp_path):
    web = nginx(depends_on={"cache": {"condition": "service_healthy", "restart": True}},
                healthcheck={"test": ["CMD-SHELL", "curl -fs http://localhost/"], **QUICK})
    with project(engine, "cascade", {"cache": redis(), "web": web}, tmp_path) as stack, \
            watching(build, engine, stack) as daemon:
        for service in ("cache", "web"):
            daemon.wait_state(service, "healthy", 30)
        before = started_at(stack, "web")
        stack.freeze("cache")
        servers.wait_until(lambda: started_at(stack, "web") != before, 40, "the dependant follows")
        assert started_at(stack, "web") > started_at(stack, "cache")
        for service in ("cache", "web"):
            daemon.wait_state(service, "healthy", 30)
        ended = daemon.history("action_finished")
        assert [each["service"] for each in ended] == ["cache", "web"]


def test_a_container_whose_namespace_is_gone_is_reported_and_never_looped_on(build, engine, tmp_path):
    side = {**SLEEP, "network_mode": "service:cache",
            "healthcheck": {"test": ["CMD", "bash", "-c", "echo > /dev/tcp/localhost/6379"], **QUICK}}
    with project(engine, "stale", {"cache": redis(), "side": side}, tmp_path) as stack, \
            watching(build, engine, stack) as daemon:
        for service in ("cache", "side"):
            daemon.wait_state(service, "healthy", 30)
        stack.compose("rm", "-sf", "cache")
        stack.kill("side")
        daemon.wait_hold("side", "quarantined", 40)
        assert len(daemon.history("action_finished")) == 1
        assert daemon.instance("side")["restarts"]["last"]["result"] == "needs_recreate"
        assert "--force-recreate --no-deps side" in json.dumps(daemon.instance("side"))
        stack.up("--force-recreate")
        for service in ("cache", "side"):
            daemon.wait_state(service, "healthy", 40)


def test_a_config_test_inside_the_container_forbids_the_restart_of_a_proxy_that_would_not_come_back(build, engine, tmp_path):
    gate = '[{http: "http://{address}/"}, {exec: {container: "{container}", argv: [nginx, -t]}, role: gate, timeout: 10s}]'
    web = nginx(labels={"keepwell.probes": gate} | {f"keepwell.{key}": str(value) for key, value in QUICK.items()})
    with project(engine, "gate", {"web": web}, tmp_path) as stack, watching(build, engine, stack) as daemon:
        daemon.wait_state("web", "healthy", 30)
        before = started_at(stack, "web")
        container = stack.container("web")["Id"]
        engine.docker("exec", container, "sh", "-c", "echo 'this is no nginx' > /etc/nginx/conf.d/broken.conf")
        pid = stack.container("web")["State"]["Pid"]
        children = engine.docker("exec", container, "sh", "-c", "cat /proc/1/task/1/children").split()
        assert children
        # Workers hang, the master still runs checks of its configuration.
        for child in children:
            engine.docker("exec", container, "sh", "-c", f"kill -STOP {child}")
        daemon.wait_hold("web", "gate_failed", 30)
        assert started_at(stack, "web") == before and stack.container("web")["State"]["Pid"] == pid
        engine.docker("exec", container, "rm", "/etc/nginx/conf.d/broken.conf")
        servers.wait_until(lambda: started_at(stack, "web") != before, 40, "restarted once the test passes")
        daemon.wait_state("web", "healthy", 30)


def test_what_never_comes_back_ends_in_quarantine_and_goes_on_when_resumed(build, engine, tmp_path):
    web = nginx(healthcheck={"test": "curl -fs http://localhost/not-there", **QUICK})
    file = tmp_path / "compose.yaml"
    file.write_text(json.dumps({"services": {"web": web}}), encoding="utf-8")
    with engine.project("keepwell-quarantine", [file]) as stack:
        stack.compose("up", "-d")
        config = {"defaults": {"restart": {"backoff": "100ms", "backoff_max": "200ms", "max": 2, "within": "1h"}}}
        with watching(build, engine, stack, **config) as daemon:
            daemon.wait_hold("web", "quarantined", 60)
            assert len(daemon.history("action_finished")) == 2
            assert "quarantine" in daemon.command("status", check=False).stdout
            daemon.command("resume", "web")
            servers.wait_until(lambda: len(daemon.history("action_finished")) > 2, 30, "it is tried again")


def test_when_everything_goes_down_at_once_roots_come_first_and_the_limit_holds(build, engine, tmp_path):
    services = {"cache": redis(), "db": redis()}
    services |= {f"web-{n}": nginx(depends_on={"cache": {"condition": "service_healthy"}, "db": {"condition": "service_healthy"}})
                 for n in range(3)}
    with project(engine, "storm", services, tmp_path) as stack, \
            watching(build, engine, stack, max_restarts_at_once=1) as daemon:
        for service in services:
            daemon.wait_state(service, "healthy", 40)
        for service in services:
            stack.freeze(service)
        servers.wait_until(lambda: len(daemon.history("action_finished")) >= len(services), 120, "all have been restarted")
        for service in services:
            daemon.wait_state(service, "healthy", 60)
        started = [each["service"] for each in daemon.history("action_started")]
        assert set(started[:2]) == {"cache", "db"} and sorted(started) == sorted(services), started


def test_what_listens_on_its_own_loopback_only_is_left_to_docker_and_not_restarted(build, engine, tmp_path):
    with project(engine, "inside", {"cache": redis(command="redis-server --bind 127.0.0.1")}, tmp_path) as stack, \
            watching(build, engine, stack) as daemon:
        before = started_at(stack, "cache")
        daemon.wait_state("cache", "healthy", 30)
        assert daemon.instance("cache")["probes"][0]["kind"] == "docker"
        assert started_at(stack, "cache") == before
        stack.freeze("cache")
        servers.wait_until(lambda: started_at(stack, "cache") != before, 60, "Docker's verdict restarts it, too")


def test_labels_that_make_no_sense_are_told_of_and_passed_over(build, engine, tmp_path):
    web = nginx(labels={"keepwell.intervall": "1s", "keepwell.retries": "many"})
    with project(engine, "labels", {"web": web}, tmp_path) as stack, watching(build, engine, stack) as daemon:
        daemon.wait_state("web", "healthy", 30)
        words = ['did you mean \\"interval\\"', "labels of keepwell-labels-web-1"]
        servers.wait_until(lambda: all(each in daemon.log() for each in words), 10, "the log says so", 0.1)
        assert daemon.metric("keepwell_config_warnings") == 1


def test_an_engine_that_is_not_there_is_a_sentence_and_no_end(build, tmp_path):
    config = {"docker": {"host": f"unix://{tmp_path}/nothing", "projects": ["x"]}}
    with keepwell.running(build, config) as daemon:
        servers.wait_until(lambda: "the Docker Engine does not answer" in daemon.log(), 10, "it says so")
        assert daemon.get("/-/healthy")[0] == 200
        done = daemon.command("check", "--docker", daemon.config_file, check=False)
        assert done.returncode == 111 and "nothing" in done.stderr
