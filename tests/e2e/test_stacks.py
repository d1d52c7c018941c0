"""The five stacks of deploy/stacks on a real Docker Engine: each form of each comes up as its document says, every service
that has a health check is healthy, what must be closed is closed, and nothing is left behind."""

import re
import signal
import socket

import faults
import pytest
import servers
import stacks
import swarm as swarms

pytestmark = pytest.mark.timeout(1800)  # images may have to be made first

BY_VERDICT = {"scheduler", "celery"}  # only their inside can be asked
IN_NO_CONTAINER = {"examples": {"github"}, "story-prod": {"closed-to-the-world"}}  # what keepwell's own file adds


def published(stack, service, port):
    return int(stack.compose("port", service, str(port)).strip().rpartition(":")[2])


def get(stack, service, port, path):
    return servers.get(f"http://127.0.0.1:{published(stack, service, port)}{path}")[:2]


# Where a stack is entered, and a dependency that its answer needs: (service, port, path, what the answer must hold)
DOORS = {
    "practice": [("nginx", 80, "/", "visits"), ("nginx", 80, "/static/style.css", "body"), ("nginx", 80, "/health", '"redis"')],
    "practice-prod": [("nginx", 80, "/", "visits")],
    "examples": [("node", 3000, "/", "<html"), ("node", 3000, "/api/v1/users", "users"), ("api", 8000, "/health", '"postgres"')],
    "cluster": [("nginx", 80, "/", "<html"), ("nginx", 80, "/api/v1/users", "users")],
    "ichrisbirch-dev": [("app", 5000, "/api/v1/users", "users"), ("api", 8000, "/health", '"postgres"')],
    "ichrisbirch-test": [("app", 5000, "/api/v1/users", "users"), ("api", 8000, "/health", '"postgres"')],
    "ichrisbirch-prod": [("nginx", 80, "/api/v1/users", "users"), ("nginx", 8000, "/health", '"postgres"')],
    "training-club": [("proxy", 80, "/health", "ok")],
    "story": [("proxy", 80, "/", "<html"), ("proxy", 80, "/api/v1/health/", '"postgres"'), ("frontend", 5173, "/", "<html")],
    "story-prod": [("proxy", 80, "/", "<html"), ("proxy", 80, "/api/v1/health/", '"postgres"')],
}
assert DOORS.keys() == stacks.ALL.keys()


def check_every_service_is_healthy_and_answers_at_the_door(up, name):
    config = up.config()["services"]
    found = up.wait_healthy(seconds=30)
    names = {container["Config"]["Labels"]["com.docker.compose.service"] for container in found}
    assert names == set(config) - {"test-runner"}
    unchecked = {name for name in names if "healthcheck" not in config[name]} - {"keepwell"}
    assert not unchecked, f"nobody checks {unchecked}"
    for service, port, path, text in DOORS[name]:
        status, body = get(up, service, port, path)
        assert (status, text in body) == (200, True), (service, path, status, body)


def check_keepwell_finds_all_of_it_healthy(up, name):
    keepwell = faults.Keepwell(up)
    keepwell.wait_well()
    services = keepwell.get("/api/v1/status")["services"]
    more = IN_NO_CONTAINER.get(name, set())
    assert {each["name"] for each in services} == set(up.config()["services"]) - {"keepwell", "test-runner"} | more
    for service in services:
        # Nobody is left to a guess, and only what nobody outside can know is Docker's to say.
        kinds = {probe["kind"] for probe in service["instances"][0]["probes"] if probe["role"] == "liveness"}
        assert kinds <= ({"docker"} if service["name"] in BY_VERDICT else {"http", "redis", "postgres", "mysql", "tcp"}), service
        assert kinds or service["name"] in more, service


def check_a_stack_publishes_on_loopback_only_and_its_programs_are_not_root(up):
    for container in up.containers():
        bindings = container["NetworkSettings"]["Ports"] or {}
        hosts = {binding["HostIp"] for published_at in bindings.values() for binding in published_at or []}
        assert hosts <= {"127.0.0.1"}, container["Name"]
        user = container["Config"]["User"]
        ours = container["Config"]["Image"].startswith("keepwell")
        assert not ours or user not in ("", "0", "root"), container["Name"]


def check_requests_go_round_the_copies_of_the_cluster(up):
    copies = [each["Config"]["Hostname"] for each in up.containers()
              if each["Config"]["Labels"]["com.docker.compose.service"] == "api"]
    assert len(copies) == 3
    for _ in range(60):
        get(up, "nginx", 80, "/api/v1/visits")
    for number in range(1, 4):
        metrics = up.compose("exec", "-T", "--index", str(number), "api", "curl", "-fs", "http://localhost:8000/metrics")
        visits = re.search(r'requests_total\{[^}]*route="/api/v1/visits"[^}]*\} (\d+)', metrics)
        assert visits and int(visits[1]) > 5, metrics


def check_the_test_runner_passes_and_fails_with_the_stack(up):
    assert "all tests passed" in up.compose("run", "--rm", "test-runner")
    up.compose("stop", "redis")
    done = up.run("run", "--rm", "--no-deps", "test-runner")
    assert done.returncode != 0 and "failed: the API's health" in done.stdout + done.stderr
    up.compose("start", "redis")
    up.wait_healthy()


def check_the_api_of_production_can_be_scaled(up):
    up.up("--scale", "api=3", "--no-recreate")
    assert len([each for each in up.wait_healthy() if "-api-" in each["Name"]]) == 3
    up.up("--scale", "api=1", "--no-recreate")


def check_the_proxy_speaks_tls_and_sends_everybody_there(up):
    done = up.run("exec", "-T", "proxy", "curl", "-fsSk", "https://localhost/api/health")
    assert '"mysql"' in done.stdout, done.stderr
    done = up.run("exec", "-T", "proxy", "curl", "-sSI", "http://localhost/")
    assert "301" in done.stdout and "Location: https://localhost/" in done.stdout


def check_in_production_the_stores_answer_nobody_from_outside(up):
    env = up.env
    for name in ("DB_PORT", "REDIS_PORT", "FRONTEND_PORT", "BACKEND_PORT"):
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(env[name])), timeout=2):
            pass
    for service, port in (("db", 5432), ("redis", 6379)):
        ports = up.container(service)["NetworkSettings"]["Ports"]
        assert not ports.get(f"{port}/tcp"), ports
    # Not from the network of the proxy either.
    for service, port in (("db", 5432), ("redis", 6379)):
        assert up.run("exec", "-T", "proxy", "nc", "-z", "-w", "2", service, str(port)).returncode != 0
    assert up.run("exec", "-T", "backend", "curl", "-fs", "http://localhost:8000/health").returncode == 0


def check_keepwell_tells_when_a_port_of_the_stores_is_open_to_the_world(up):
    keepwell, before = faults.Keepwell(up), [each["Id"] for each in up.containers()]
    up.engine.docker("run", "-d", "--rm", "--name", "keepwell-open-port", "-p", f"0.0.0.0:{up.env['DB_PORT']}:6379", "redis:7-alpine")
    try:
        servers.wait_until(lambda: keepwell.states()["closed-to-the-world"] == "unhealthy", 60, "the open port is seen", 0.5)
    finally:
        up.engine.docker("rm", "-f", "keepwell-open-port")
    keepwell.wait_well()
    assert [each["Id"] for each in up.containers()] == before


def check_limits_hold_and_the_worker_is_there_only_when_asked_for(up):
    limits = {each["Config"]["Labels"]["com.docker.compose.service"]:
              (each["HostConfig"]["NanoCpus"] / 1e9, each["HostConfig"]["Memory"] >> 20) for each in up.containers()}
    assert {name: limits[name] for name in ("proxy", "backend", "db", "redis", "celery")} == {
        "proxy": (0.5, 256), "backend": (2.0, 1024), "db": (1.0, 512), "redis": (0.5, 256), "celery": (1.0, 512)}
    assert "celery" not in up.engine.project("keepwell-story-plain", [stacks.ROOT / "story" / "compose.yaml"]).config()["services"]


def check_nothing_is_left_of_it(up):
    label = f"label=com.docker.compose.project={up.name}"
    for words in (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"]):
        assert up.engine.docker(*words, "--filter", label) == "", words


# What is particular about a stack.
CHECKS = {
    "cluster": [check_requests_go_round_the_copies_of_the_cluster],
    "ichrisbirch-test": [check_the_test_runner_passes_and_fails_with_the_stack],
    "ichrisbirch-prod": [check_the_api_of_production_can_be_scaled],
    "training-club": [check_the_proxy_speaks_tls_and_sends_everybody_there],
    "story": [check_limits_hold_and_the_worker_is_there_only_when_asked_for],
    "story-prod": [check_in_production_the_stores_answer_nobody_from_outside,
                   check_keepwell_tells_when_a_port_of_the_stores_is_open_to_the_world],
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(f"stack-{name}")) for name in stacks.ALL])
def test_a_stack_comes_up_as_its_document_says_and_leaves_nothing(engine, name):
    with stacks.running(engine, name) as up:
        check_every_service_is_healthy_and_answers_at_the_door(up, name)
        check_keepwell_finds_all_of_it_healthy(up, name)
        check_a_stack_publishes_on_loopback_only_and_its_programs_are_not_root(up)
        for check in CHECKS.get(name, []):
            check(up)
        up.down()
        check_nothing_is_left_of_it(up)


@pytest.mark.xdist_group("swarm")
def test_the_swarm_stack_comes_up_has_a_hung_copy_replaced_and_leaves_nothing(engine):
    with swarms.Swarm(engine) as swarm:
        assert swarm.replicas == {"nginx": 1, "node": 2, "api": 3, "postgres": 1, "redis": 1, "keepwell": 1}
        door = f"http://127.0.0.1:{swarm.env['HTTP_PORT']}"
        servers.wait_until(lambda: servers.get(f"{door}/api/v1/users")[0] == 200, 30, "the API has its database", 0.5)
        assert "<html" in servers.get(door)[1]
        keepwell = faults.Keepwell(swarm)
        keepwell.wait_well()
        assert len(next(each for each in keepwell.get("/api/v1/status")["services"] if each["name"] == "api")["instances"]) == 3

        before, hung = ids(swarm), swarm.containers("api")[0]
        engine.send(signal.SIGSTOP, hung["State"]["Pid"], descendants=True)  # Docker calls it healthy for ever
        servers.wait_until(lambda: hung["Id"] not in ids(swarm), 60, "the hung copy is gone", 0.3)
        swarm.wait_healthy()
        assert before - {hung["Id"]} <= ids(swarm), keepwell.get("/api/v1/signals")
        keepwell.wait_well()
    assert engine.docker("ps", "-aq", "--filter", f"label=com.docker.stack.namespace={swarm.name}") == ""


def ids(swarm):
    return {each["Id"] for each in swarm.containers()}
