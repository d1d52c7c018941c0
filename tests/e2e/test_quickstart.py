"""The quickstart: one command starts a real stack that keepwell watches; breaking it shows detection, a signal or the
gate's hold, healing and the reason; and stop leaves nothing behind."""

import json
import os
import pathlib
import subprocess
import tempfile

import pytest
import servers

pytestmark = pytest.mark.xdist_group("quickstart")  # one stack for all of them

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Quickstart:
    def __init__(self, build, directory):
        self.directory = pathlib.Path(directory)
        self.env = {**os.environ, "KEEPWELL_BUILD": str(build), "KEEPWELL_QUICKSTART_DIR": str(directory)}

    def run(self, *words, code=0):
        done = subprocess.run([ROOT / "deploy" / "quickstart", *words], env=self.env, capture_output=True, text=True,
                              timeout=110, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def port(self, name):
        ports = dict(line.split() for line in (self.directory / "ports").read_text(encoding="utf-8").splitlines())
        return int(ports[name])

    def pid(self, name):
        return int((self.directory / name / "pid").read_text(encoding="utf-8").split()[0])

    def get(self, name, path):
        return servers.get(f"http://127.0.0.1:{self.port(name)}{path}")

    def metric(self, line):
        return any(each.startswith(line) for each in self.get("keepwell", "/metrics")[1].splitlines())


@pytest.fixture(name="quickstart", scope="module")
def fixture_quickstart(build):
    parent = tempfile.mkdtemp(prefix="keepwell-quickstart-")
    os.chmod(parent, 0o711)
    quickstart = Quickstart(build, f"{parent}/stack")
    try:
        text = quickstart.run("start")
        assert "The stack is healthy" in text
        yield quickstart
    finally:
        quickstart.run("stop")
        assert os.listdir(parent) == []
        os.rmdir(parent)
        left = subprocess.run(["pgrep", "-f", parent], capture_output=True, text=True, check=False).stdout
        assert left == "", subprocess.run(["ps", "-fp", *left.split()], capture_output=True, text=True, check=False).stdout


def test_the_page_shows_the_stack_through_nginx(quickstart):
    assert "Visits and users" in quickstart.get("nginx", "/")[1]
    assert json.loads(quickstart.get("nginx", "/api/v1/health/")[1])["status"] == "ok"
    assert json.loads(quickstart.get("nginx", "/api/v1/users/")[1]) == {"users": []}
    quickstart.run("start")  # again: everything is there already
    assert "does not run" not in quickstart.run("status")


@pytest.mark.parametrize("how", ["kill", "hang"])
def test_a_broken_redis_is_noticed_and_restarted_and_its_dependant_left_alone(quickstart, how):
    before, api = quickstart.pid("redis"), quickstart.pid("api")
    text = quickstart.run("break", "redis", how)
    assert "reason=connection_refused" in text if how == "kill" else "reason=timeout" in text
    assert "service=redis" in text and "restart finished" in text
    assert quickstart.pid("redis") != before and quickstart.pid("api") == api
    assert quickstart.get("keepwell", "/health")[0] == 200
    assert quickstart.metric('keepwell_actions_total{compose_project="quickstart",compose_service="redis"')


@pytest.mark.parametrize("service", ["nginx", "redis"])
def test_a_broken_configuration_forbids_the_restart_until_it_is_mended(quickstart, service):
    before = quickstart.pid(service)
    text = quickstart.run("break", service, "config")
    assert "hold=gate_failed" in text
    assert "gate_failed" in quickstart.run("status")
    assert quickstart.pid(service) == before
    assert quickstart.get("keepwell", f"/health/{service}")[0] == 503
    text = quickstart.run("mend", service)
    assert "restart finished" in text
    assert quickstart.pid(service) != before


def test_a_worker_that_reports_in_no_more_is_restarted(quickstart):
    before = quickstart.pid("worker")
    text = quickstart.run("break", "worker", "stuck")
    assert "reason=late" in text
    assert quickstart.pid("worker") != before


def test_wrong_words_are_answered_with_the_right_ones(quickstart):
    assert "no service is called" in quickstart.run("break", "mongo", code=1)
    assert "no way to break" in quickstart.run("break", "redis", "gently", code=1)
    assert "usage: deploy/quickstart" in quickstart.run("dance", code=100)
    assert "usage: deploy/quickstart" in quickstart.run("break", code=100)
