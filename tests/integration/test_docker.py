"""What a real Docker Engine says and does: the docker probe, exec inside containers, the docker action, event streams."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.parse
import uuid

import certificates
import dockerd
import engine as engines
import engine_proxy
import pytest
import servers
from command import probe

pytestmark = [pytest.mark.xdist_group("engine"), pytest.mark.timeout(600)]

COMPOSE = "com.docker.compose"
LOOP = "while :; do sleep 0.1; done"


@pytest.fixture(name="docker", scope="module")
def fixture_docker():
    found = engines.find()
    found.base()
    return found


@pytest.fixture(name="run")
def fixture_run(docker):
    """Starts containers from the base image, which go with the test."""
    names = []

    def run(*options, command=("sh", "-c", LOOP), name=None, network="none"):
        name = name or f"keepwell-it-{uuid.uuid4().hex[:8]}"
        names.append(name)
        docker.docker("run", "-d", "--name", name, "--network", network, *options, docker.base(), *command)
        return name

    yield run
    if names:
        docker.run("rm", "-fv", *names)


def state(docker, name):
    return docker.ask(f"/containers/{name}/json")["State"]


def env_of(docker, host=None):
    return {**os.environ, "DOCKER_HOST": host or docker.host}


def ask(build, docker, name, host=None, **options):
    return probe(build, "docker", name, env=env_of(docker, host), **options)


def inside(build, docker, name, *argv, **options):
    return probe(build, "exec", list(argv), env=env_of(docker), container=name, **options)


def act(build, docker, name, action="restart", host=None, **keys):
    """The outcome of a docker action, as the driver prints it."""
    given = json.dumps({"container": name, "action": action, **keys})
    done = subprocess.run([build / "tests" / "integration" / "engine_driver", "act", given], env=env_of(docker, host),
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def ended(docker, name, seconds=20):
    return servers.wait_until(lambda: state(docker, name)["Status"] == "exited" and state(docker, name), seconds,
                              f"{name} has ended", 0.1)


# ---- the probe ----


def test_a_container_is_as_it_runs_and_as_its_own_check_says(build, docker, run):
    name = run("--health-cmd", "test -e /ill && echo 'error: it is ill' && exit 1; exit 0", "--health-interval", "1s",
               "--health-retries", "1")
    servers.wait_until(lambda: ask(build, docker, name)["outcome"] == "ok", 20, "it is healthy", 0.3)
    docker.docker("exec", name, "touch", "/ill")
    result = servers.wait_until(lambda: (found := ask(build, docker, name))["outcome"] != "ok" and found, 20, "it is ill", 0.3)
    assert (result["outcome"], result["reason"]) == ("rejected", "unhealthy")
    assert "error: it is ill" in result["detail"]
    assert ask(build, docker, name, health="false")["outcome"] == "ok"


def test_docker_calls_a_paused_container_unhealthy_but_it_is_paused(build, docker, run):
    name = run("--health-cmd", "true", "--health-interval", "1s")
    docker.docker("pause", name)
    assert state(docker, name)["Health"]["Status"] == "unhealthy"
    result = ask(build, docker, name)
    assert (result["outcome"], result["reason"], result["detail"]) == ("no_response", "not_running", "paused")
    result = inside(build, docker, name, "true")
    assert (result["outcome"], result["reason"]) == ("no_response", "not_running")
    assert "paused" in result["detail"]
    outcome = act(build, docker, name)
    assert outcome["result"] == "not_started" and "docker unpause" in outcome["detail"]
    assert state(docker, name)["Status"] == "paused"
    docker.docker("unpause", name)


def test_what_ended_says_how(build, docker, run):
    failed = run(command=("sh", "-c", "exit 3"))
    ended(docker, failed)
    assert ask(build, docker, failed)["detail"] == "exited with code 3"
    greedy = run("--memory", "16m", command=("sh", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' x)"))
    if ended(docker, greedy)["OOMKilled"]:  # not every machine lets containers have limits
        result = ask(build, docker, greedy)
        assert result["detail"] == "exited with code 137, killed for want of memory"
        assert result["facts"]["oom_killed"] == 1
    result = ask(build, docker, "keepwell-it-nobody")
    assert (result["outcome"], result["reason"]) == ("no_response", "not_running")


def test_without_an_engine_nothing_is_said_of_the_container(build, docker, tmp_path):
    result = ask(build, docker, "any", host=f"unix://{tmp_path}/none")
    assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")
    assert "there is no socket" in result["detail"]
    result = ask(build, docker, "any", host=f"tcp://127.0.0.1:{servers.free_port()}")
    assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")
    assert "connection refused" in result["detail"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root may use any socket, and only root can become somebody else")
def test_a_socket_of_others_is_said_to_be_that(build):
    directory = servers.new_directory("socket")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{directory}/docker.sock")
            listener.listen()
            os.chmod(f"{directory}/docker.sock", 0o660)
            program = shutil.copy(build / "daemon" / "keepwelld", f"{directory}/keepwelld")
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", program, "probe", "--json",
                                   "docker", "any", "-o", f"engine.host=unix://{directory}/docker.sock"], capture_output=True,
                                  text=True, timeout=60, check=False, cwd="/")
        result = json.loads(done.stdout)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "permission_denied")
        assert 'group_add: ["0"]' in result["detail"]
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize("after", [0, 40, 300])
def test_an_engine_that_hangs_in_the_middle_of_a_reply_is_not_waited_for(build, docker, run, after):
    name = run()
    with engine_proxy.before(docker) as proxy:
        assert ask(build, docker, name, host=proxy.host)["outcome"] == "ok"
        proxy.stall("GET /containers/", after=after)
        start = time.monotonic()
        result = ask(build, docker, name, host=proxy.host, timeout="1s")
        assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")
        assert time.monotonic() - start < 4
        proxy.heal()
        proxy.close("GET /containers/", after=after)
        result = ask(build, docker, name, host=proxy.host)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")


# ---- exec inside ----


def test_a_program_inside_answers_by_exit_code_and_output(build, docker, run):
    name = run("--env", "FROM=image")
    result = inside(build, docker, name, "sh", "-c", "echo fine; echo really >&2; exit 4", exit_codes="[4]")
    assert (result["outcome"], sorted(result["output"].split())) == ("ok", ["fine", "really"])  # there are two pipes
    result = inside(build, docker, name, "sh", "-c", "echo 'error: no route'; exit 1")
    assert (result["outcome"], result["detail"]) == ("rejected", "exit code 1: error: no route")
    result = inside(build, docker, name, "sh", "-c", "id -un; pwd; echo $FROM $MORE", user="nobody", directory="/tmp",
                    environment="{MORE: things}")
    assert result["output"] == "nobody\n/tmp\nimage things\n"
    for options in ({}, {"user": "no-such-user"}):
        result = inside(build, docker, name, "true" if options else "no-such-program", **options)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "not_executable"), result
    assert inside(build, docker, "keepwell-it-nobody", "true")["reason"] == "not_running"


def test_much_output_costs_nothing_and_its_end_is_kept(build, docker, run):
    name = run()
    result = inside(build, docker, name, "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end", timeout="30s")
    assert result["outcome"] == "ok"
    assert len(result["output"]) <= 4096 and result["output"].endswith("the end\n")


def test_a_program_that_hangs_inside_is_told_with_what_it_had_printed(build, docker, run):
    name = run()
    result = inside(build, docker, name, "sh", "-c", "echo working; sleep 30", timeout="1s")
    assert (result["outcome"], result["reason"], result["output"]) == ("no_response", "timeout", "working\n")
    assert "no way to end it" in result["detail"]


# ---- the action ----


def test_what_runs_is_restarted_and_what_ended_is_started(build, docker, run):
    name = run("--stop-timeout", "1")
    before = state(docker, name)["StartedAt"]
    assert act(build, docker, name)["detail"] == "restarted"
    assert state(docker, name)["StartedAt"] != before
    docker.docker("kill", name)
    ended(docker, name)
    outcome = act(build, docker, name)
    assert (outcome["result"], outcome["detail"]) == ("ok", "it was exited with code 137; started")
    assert state(docker, name)["Status"] == "running"


def test_the_time_to_stop_is_the_containers_own_unless_configured(build, docker, run):
    deaf = run("--stop-timeout", "2", command=("sh", "-c", f"trap '' TERM; {LOOP}"))
    outcome = act(build, docker, deaf)
    assert outcome["result"] == "ok" and 1.5 < outcome["seconds"] < 8
    outcome = act(build, docker, deaf, stop_timeout="0")
    assert outcome["result"] == "ok" and outcome["seconds"] < 1.8


def test_a_stop_that_hangs_becomes_a_kill_and_a_start(build, docker, run):
    deaf = run("--stop-timeout", "60", command=("sh", "-c", f"trap '' TERM; {LOOP}"))
    before = state(docker, deaf)["StartedAt"]
    with engine_proxy.before(docker) as proxy:
        outcome = act(build, docker, deaf, host=proxy.host, timeout="1s")
    assert (outcome["result"], outcome["seconds"] < 15) == ("ok", True), outcome
    assert "it did not stop in 1s; killed" in outcome["detail"]
    after = servers.wait_until(lambda: (now := state(docker, deaf))["Status"] == "running" and now, 20, "it runs again", 0.1)
    assert after["StartedAt"] != before


def test_an_engine_that_hangs_or_goes_away_in_the_middle_leaves_no_riddle(build, docker, run):
    name = run("--stop-timeout", "1")
    with engine_proxy.before(docker) as proxy:
        proxy.stall("POST /containers/.*/(restart|kill)")
        outcome = act(build, docker, name, host=proxy.host, timeout="1s")
        assert outcome["result"] == "timed_out" and outcome["seconds"] < 20
        proxy.heal()
        proxy.close("POST /containers/.*/restart")
        outcome = act(build, docker, name, host=proxy.host)
        assert outcome["result"] == "failed" and "whether it was done is not known" in outcome["detail"]
        proxy.heal()
        proxy.stall("GET /containers/", after=10)
        outcome = act(build, docker, name, host=proxy.host)
        assert outcome["result"] == "not_started" and "no answer to GET" in outcome["detail"]
    servers.wait_until(lambda: state(docker, name)["Status"] == "running", 20, "it runs", 0.1)


def test_a_container_that_is_removed_while_it_is_restarted_is_gone_in_words(build, docker, run):
    deaf = run("--stop-timeout", "8", command=("sh", "-c", f"trap '' TERM; {LOOP}"))
    argv = [build / "tests" / "integration" / "engine_driver", "act", json.dumps({"container": deaf, "action": "restart"})]
    with engine_proxy.before(docker) as proxy, \
            subprocess.Popen(argv, env=env_of(docker, proxy.host), stdout=subprocess.PIPE, text=True) as action:
        servers.wait_until(lambda: any(call.endswith("/restart") for call in proxy.asked), 20, "it is being stopped")
        docker.run("rm", "-f", deaf)
        outcome = json.loads(action.communicate(timeout=60)[0])
    assert outcome["result"] in ("not_started", "failed"), outcome
    assert "removal" in outcome["detail"] or "No such container" in outcome["detail"] or "any more" in outcome["detail"], outcome
    servers.wait_until(lambda: docker.run("rm", "-f", deaf) and not docker.ask(f"/containers/{deaf}/json"), 30, "it is gone", 0.2)
    assert act(build, docker, deaf)["detail"] == f"there is no container {deaf}"


def test_who_shares_a_network_that_is_gone_needs_to_be_made_anew_and_is_left_running(build, docker, run):
    labels = ["--label", f"{COMPOSE}.project=shop", "--label", f"{COMPOSE}.service=app"]
    parent = run()
    child = run(*labels, "--stop-timeout", "1", network=f"container:{parent}")
    assert act(build, docker, child)["result"] == "ok"
    docker.docker("kill", parent)
    outcome = act(build, docker, child)
    assert outcome["result"] == "not_started" and "that one first" in outcome["detail"]
    docker.docker("rm", "-f", parent)
    run(name=parent)
    before = state(docker, child)
    for action in ("restart", "kill"):
        outcome = act(build, docker, child, action)
        assert outcome["result"] == "needs_recreate"
        assert outcome["detail"].endswith("docker compose -p shop up -d --force-recreate --no-deps app")
    assert state(docker, child)["StartedAt"] == before["StartedAt"] and state(docker, child)["Status"] == "running"
    docker.docker("kill", child)
    assert act(build, docker, child)["result"] == "needs_recreate"


def test_the_engine_itself_says_that_a_network_is_gone_too(build, docker, run):
    """Should the owner vanish after it was looked at."""
    parent = run()
    child = run("--stop-timeout", "1", network=f"container:{parent}")
    docker.docker("kill", child)
    docker.docker("rm", "-f", parent)
    done = docker.run("start", child, text=True)
    assert "No such container" in done.stderr


def test_signals_and_programs_are_gentler(build, docker, run):
    name = run(command=("sh", "-c", f"trap 'echo reloaded' HUP; {LOOP}"))
    before = state(docker, name)["StartedAt"]
    assert act(build, docker, name, "signal", signal="HUP")["result"] == "ok"
    servers.wait_until(lambda: "reloaded" in docker.docker("logs", name), 10, "the signal has come", 0.1)
    outcome = act(build, docker, name, "exec", argv=["sh", "-c", "echo of {container}"])
    assert (outcome["result"], outcome["output"]) == ("ok", f"of {name}\n")
    outcome = act(build, docker, name, "exec", argv=["sh", "-c", "echo 'error: broken'; exit 1"])
    assert (outcome["result"], outcome["detail"]) == ("failed", "exit code 1: error: broken")
    assert state(docker, name)["StartedAt"] == before
    assert act(build, docker, name, "kill")["result"] == "ok"
    assert state(docker, name)["StartedAt"] != before and state(docker, name)["Status"] == "running"


def test_only_what_is_of_the_project_and_service_is_touched(build, docker, run):
    name = run("--label", f"{COMPOSE}.project=shop", "--label", f"{COMPOSE}.service=web", "--stop-timeout", "1")
    once = run("--label", f"{COMPOSE}.project=shop", "--label", f"{COMPOSE}.service=web", "--label", f"{COMPOSE}.oneoff=True")
    before = state(docker, name)["StartedAt"]
    assert act(build, docker, name, project="other", service="web")["result"] == "not_started"
    assert act(build, docker, name, project="shop", service="db")["result"] == "not_started"
    assert act(build, docker, once, project="shop", service="web")["result"] == "not_started"
    assert state(docker, name)["StartedAt"] == before
    assert act(build, docker, name, project="shop", service="web")["result"] == "ok"


# ---- a socket proxy ----


@contextlib.contextmanager
def socket_proxy(engine, *allowed, tls=""):
    """haproxy before the engine's socket, as the usual socket proxies have it: what is not allowed is denied. tls is what
    follows `bind`."""
    port = servers.free_port()
    directory = servers.new_directory("proxy")
    rules = "\n".join(f"    http-request allow if {{ method {method} }} {{ path,url_dec -m reg -i {path} }}"
                      for method, path in (each.split() for each in allowed))
    with open(f"{directory}/haproxy.cfg", "w", encoding="ascii") as file:
        file.write(f"""defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend docker
    bind 127.0.0.1:{port} {tls}
{rules}
    http-request deny
    default_backend engine
backend engine
    server engine unix@{engine.socket}
""")
    argv = [servers.need("haproxy", "haproxy"), "-f", f"{directory}/haproxy.cfg", "-db"]
    try:
        with servers.program(argv, port=port):
            yield f"tcp://127.0.0.1:{port}"
    finally:
        shutil.rmtree(directory)


VERSION = r"^(/v[\d\.]+)?"
LOOK = [rf"GET {VERSION}/_ping", rf"GET {VERSION}/containers/", rf"GET {VERSION}/events"]
ACT = [rf"POST {VERSION}/containers/[a-zA-Z0-9_.-]+/(restart|start|stop|kill)"]
EXEC = [rf"POST {VERSION}/containers/[a-zA-Z0-9_.-]+/exec", rf"POST {VERSION}/exec/", rf"GET {VERSION}/exec/"]


def test_through_a_socket_proxy_each_right_is_enough_for_what_it_is_for(build, docker, run):
    name = run("--stop-timeout", "1")
    with socket_proxy(docker, *LOOK) as host:
        assert ask(build, docker, name, host=host)["outcome"] == "ok"
        outcome = act(build, docker, name, host=host)
        assert outcome["result"] == "not_started" and "does the socket proxy allow it?" in outcome["detail"]
        result = probe(build, "exec", ["true"], container=name, engine__host=host)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "permission_denied")
    with socket_proxy(docker, *LOOK, *ACT) as host:
        assert act(build, docker, name, host=host)["result"] == "ok"
    with socket_proxy(docker, *LOOK, *EXEC) as host:
        result = probe(build, "exec", ["echo", "through"], container=name, engine__host=host)
        assert (result["outcome"], result["output"]) == ("ok", "through\n")


def test_tls_is_spoken_as_dockers_own_client_is_told_to(build, docker, run, tmp_path):
    name = run()
    authority = certificates.Authority(tmp_path)
    server, client = authority.issue("127.0.0.1"), authority.issue("client")
    pem = tmp_path / "server.pem"
    pem.write_bytes(b"".join(pathlib.Path(path).read_bytes() for path in (server.certificate, server.key)))
    for path, usual in ((authority.certificate, "ca"), (client.certificate, "cert"), (client.key, "key")):
        shutil.copy(path, tmp_path / f"{usual}.pem")
    with socket_proxy(docker, *LOOK, *EXEC, tls=f"ssl crt {pem} ca-file {authority.certificate} verify required") as host:
        environment = {**env_of(docker, host), "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
        result = probe(build, "docker", name, env=environment)
        assert result["outcome"] == "ok", result
        result = probe(build, "exec", ["echo", "under TLS"], env=environment, container=name)
        assert (result["outcome"], result["output"]) == ("ok", "under TLS\n")
        result = probe(build, "docker", name, engine__host=host.replace("tcp", "https"), engine__tls__ca_file=authority.certificate)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable"), result  # who are we?
        del environment["DOCKER_TLS_VERIFY"], environment["DOCKER_CERT_PATH"]
        result = probe(build, "docker", name, env=environment)
        assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")


# ---- events ----


@contextlib.contextmanager
def events(build, host, path="/events"):
    """The stream of events as the driver prints it; `lines` grows."""
    with subprocess.Popen([build / "tests" / "integration" / "engine_driver", "events", path],
                          env={**os.environ, "DOCKER_HOST": host}, stdout=subprocess.PIPE) as stream:
        os.set_blocking(stream.stdout.fileno(), False)
        collected = bytearray()

        def lines():
            collected.extend(stream.stdout.read() or b"")
            return bytes(collected).decode().splitlines()

        try:
            yield stream, lines
        finally:
            stream.kill()


def wait_line(lines, *words, seconds=20):
    return servers.wait_until(lambda: next((line for line in lines() if all(word in line for word in words)), None), seconds,
                              f"a line with {words}; there is {lines()[-5:]}", 0.1)


def wait_begun(lines, happen):
    """Until the stream flows, which an Engine does not show: something happens until it is told of."""
    servers.wait_until(lambda: happen() and lines(), 20, "the stream flows", 0.1)


def test_events_come_through_a_socket_proxy(build, docker, run):
    only_containers = "/events?filters=" + urllib.parse.quote(json.dumps({"type": ["container"]}))
    only_containers = "/events?filters=" + urllib.parse.quote(json.dumps({"type": ["container"]}))
    with socket_proxy(docker, *LOOK) as host, events(build, host, only_containers) as (_, lines):
        name = run()
        wait_begun(lines, lambda: docker.docker("kill", "--signal", "CONT", name))
        name = run()
        event = json.loads(wait_line(lines, '"start"', name))
        assert event["Actor"]["Attributes"]["name"] == name


def test_a_stream_ends_with_its_engine_and_begins_again_with_the_next(build):
    with dockerd.own() as (host, start, stop):
        start()
        for how in ("terminate", "kill"):
            with events(build, host) as (stream, lines):
                wait_begun(lines, lambda: engines.run(["docker", "-H", host, "volume", "create"]))
                stop(how)
                stream.wait(20)
                lines()
            result = probe(build, "docker", "any", engine__host=host)
            assert (result["outcome"], result["reason"]) == ("not_attempted", "engine_unavailable")
            start()


# ---- Swarm ----


@pytest.fixture(name="swarm")
def fixture_swarm(docker):
    """A service with replicas, on a swarm of one node."""
    docker.join_swarm()
    name = f"keepwell-it-{uuid.uuid4().hex[:8]}"

    def create(replicas, *options):
        docker.docker("service", "create", "-d", "--name", name, "--replicas", str(replicas), "--no-resolve-image",
                      "--stop-grace-period", "1s", "--restart-delay", "100ms", *options, docker.base(), "sh", "-c", LOOP)
        return wait_tasks(replicas)

    def tasks():
        return sorted(docker.docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.swarm.service.name={name}").split())

    def wait_tasks(count, but=()):
        return servers.wait_until(lambda: len(found := tasks()) == count and not set(found) & set(but) and found, 60,
                                  f"{count} tasks of {name}", 0.2)

    yield create, wait_tasks
    docker.run("service", "rm", name)
    servers.wait_until(lambda: not tasks(), 60, "the tasks are gone", 0.2)


@pytest.mark.xdist_group("swarm")
def test_one_hung_task_of_several_is_replaced_and_the_others_stay(build, docker, swarm):
    create, wait_tasks = swarm
    before = create(3)
    outcome = act(build, docker, before[0])
    assert outcome["result"] == "ok" and "Swarm replaces it" in outcome["detail"], outcome
    after = wait_tasks(3, but=before[:1])
    assert len(set(before) & set(after)) == 2


@pytest.mark.xdist_group("swarm")
@pytest.mark.parametrize("replicas, action", [(1, "restart"), (2, "update")])
def test_a_forced_update_replaces_all_tasks(build, docker, swarm, replicas, action):
    create, wait_tasks = swarm
    before = create(replicas)
    outcome = act(build, docker, before[0], action)
    assert outcome["result"] == "ok" and "forced an update" in outcome["detail"], outcome
    wait_tasks(replicas, but=before)


def test_an_update_needs_a_service(build, docker, run):
    outcome = act(build, docker, run(), "update")
    assert outcome["result"] == "not_started" and "no Swarm service" in outcome["detail"]
