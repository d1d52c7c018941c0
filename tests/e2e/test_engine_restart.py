"""The Engine goes away in the middle of a restart that keepwell asked for, and comes back with everything else restarted: keepwell
does nothing meanwhile, says why, heals what is still ill afterwards, and leaves alone what the Engine itself has started."""

import json
import subprocess

import dockerd
import engine as engines
import keepwell
import pytest
import servers

pytestmark = pytest.mark.timeout(600)

CHECK = ["--health-cmd", "test -f /run/well", "--health-interval", "1s", "--health-retries", "2", "--health-timeout", "2s"]
DEAF = "trap '' TERM; touch /run/well; while :; do sleep 0.1; done"  # its stop takes as long as it may


class Deaf:
    """Two services of a project on an Engine of its own; each restart of one takes six seconds. With `unless-stopped`, an Engine
    that was killed would end them at its next start and take that for its user's wish."""

    def __init__(self, host, image):
        self.host = host
        for service in ("worker", "other"):
            labels = {"project": "p", "service": service, "container-number": "1", "oneoff": "False"}
            self.docker("run", "-d", "--name", f"p-{service}-1", "--network", "none", "--restart", "always",
                        "--stop-timeout", "6", *CHECK,
                        *[word for key, value in labels.items() for word in ("--label", f"com.docker.compose.{key}={value}")],
                        image, "sh", "-c", DEAF)

    def docker(self, *words):
        done = engines.run(["docker", "-H", self.host, *words], text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_well(self, service):
        state = json.loads(self.docker("inspect", f"p-{service}-1"))[0]["State"]
        assert (state["Status"], state["Health"]["Status"]) == ("running", "healthy"), state
        return True


def carry_base(engine, host):
    """The base image of the tests' Engine, for another one."""
    saving = subprocess.Popen(["docker", "save", engine.base()], env=engine.env, stdout=subprocess.PIPE)
    loaded = engines.run(["docker", "-H", host, "load"], stdin=saving.stdout, seconds=120)
    assert saving.wait(60) == 0 and loaded.returncode == 0, loaded.stderr
    return engine.base()


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_an_engine_that_restarts_in_the_middle_of_an_action_costs_nothing_but_time(build, engine, how):
    with dockerd.own() as (host, start, stop):
        start()
        stack = Deaf(host, carry_base(engine, host))
        config = {"docker": {"host": host, "projects": ["p"]}, "mode": "act", "defaults": {"restart": {"backoff": "1s"}}}
        with keepwell.running(build, config) as daemon:
            for service in ("worker", "other"):
                servers.wait_until(lambda name=service: daemon.get(f"/api/v1/services/{name}")[0] == 200, 20, f"{service} is found")
                daemon.wait_state(service, "healthy", 30)
            stack.docker("exec", "p-worker-1", "rm", "/run/well")
            servers.wait_until(lambda: daemon.history("action_started", "worker"), 20, "keepwell restarts the worker", 0.05)
            stop(how)
            finished = servers.wait_until(lambda: daemon.history("action_finished", "worker"), 30, "the action has an outcome", 0.1)
            assert "restart ok" not in finished[0]["text"] and "engine" in finished[0]["text"].lower(), finished
            servers.wait_until(lambda: daemon.metric("keepwell_engine_up") == 0, 20, "keepwell misses the Engine", 0.1)
            assert "the Docker Engine does not answer" in daemon.command("status", check=False).stdout
            assert "unhealthy" not in {daemon.service("other")["state"]}, daemon.service("other")

            start()
            for service in ("worker", "other"):
                servers.wait_until(lambda name=service: stack.is_well(name), 60, f"{service} is well for Docker", 0.2)
                daemon.wait_state(service, "healthy", 60)
            assert daemon.metric("keepwell_engine_up") == 1
            assert not daemon.history("action_started", "other"), daemon.history()
            assert len(daemon.history("action_started", "worker")) <= 2, daemon.history()
            assert not daemon.instance("worker")["restarts"]["quarantined"]
