"""The quickstart: one command starts a real stack that keepwell watches; breaking it shows detection, a signal or the
gate's hold, healing and the reason; and stop leaves nothing behind."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
import servers

pytestmark = pytest.mark.xdist_group("quickstart")  # one stack for all of them

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Quickstart:
    def __init__(self, build, directory, root=ROOT):
        self.root = root
        self.directory = pathlib.Path(directory)
        self.env = {**os.environ, "KEEPWELL_BUILD": str(build), "KEEPWELL_QUICKSTART_DIR": str(directory)}

    def run(self, *words, code=0):
        done = subprocess.run([self.root / "deploy" / "quickstart", *words], env=self.env, capture_output=True, text=True,
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

    def metric(self, name, **labels):
        """The sum of the series that have these labels."""
        total = 0.0
        for line in self.get("keepwell", "/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
            if match and match[1] == name and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[2])).items():
                total += float(match[3])
        return total

    def why(self, service):
        """What `keepwell status` says of the service after its state."""
        line = next(line for line in self.run("status").splitlines() if re.match(rf"{service} +{service} ", line))
        return line.split(maxsplit=4)[4]


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


@pytest.mark.parametrize("how, reason", [("kill", "connection_refused"), ("hang", "timeout")])
def test_a_broken_redis_is_noticed_and_restarted_and_its_dependant_left_alone(quickstart, how, reason):
    def counts():
        return [quickstart.metric("keepwell_probe_failures_total", compose_service="redis", reason=reason),
                quickstart.metric("keepwell_signals_total", compose_service="redis"),
                quickstart.metric("keepwell_actions_total", compose_service="redis", result="ok")]

    pid, api, before = quickstart.pid("redis"), quickstart.pid("api"), counts()
    text = quickstart.run("break", "redis", how)
    assert re.search(rf'msg="signal raised" service=redis .* reason={reason} ', text)
    assert re.search(r'msg="restart finished" service=redis .* result=ok ', text)
    assert f"ago (redis {reason}: " in text  # break ends with the status
    assert quickstart.pid("redis") != pid and quickstart.pid("api") == api
    assert quickstart.get("keepwell", "/health")[0] == 200
    assert f"(redis {reason}: " in quickstart.why("redis")
    assert quickstart.metric("keepwell_instance_state", compose_service="redis", state="healthy") == 1
    assert [after > number for after, number in zip(counts(), before)] == [True, True, True]
    assert quickstart.metric("keepwell_actions_total", compose_service="api") == 0


@pytest.mark.parametrize("service", ["nginx", "redis"])
def test_a_broken_configuration_forbids_the_restart_until_it_is_mended(quickstart, service):
    def actions():
        return quickstart.metric("keepwell_actions_total", compose_service=service)

    pid, before = quickstart.pid(service), actions()
    text = quickstart.run("break", service, "config")
    assert re.search(rf'msg="restart held" service={service} .* hold=gate_failed ', text)
    wrong = {"nginx": "unknown directive", "redis": "maxmemory plenty"}[service]
    assert re.search(rf"timeout: .*; not restarted \(gate_failed\): .*{wrong}", quickstart.why(service))
    assert quickstart.metric("keepwell_restart_held", compose_service=service, hold="gate_failed") == 1
    assert quickstart.metric("keepwell_probe_failures_total", compose_service=service, reason="exit_code") > 0
    assert quickstart.metric("keepwell_instance_state", compose_service=service, state="unhealthy") == 1
    assert quickstart.pid(service) == pid and actions() == before
    assert quickstart.get("keepwell", f"/health/{service}")[0] == 503
    text = quickstart.run("mend", service)
    assert re.search(rf'msg="restart finished" service={service} .* result=ok ', text)
    assert quickstart.pid(service) != pid and actions() == before + 1
    assert quickstart.metric("keepwell_restart_held", compose_service=service) == 0
    assert "timeout: " in quickstart.why(service)  # why it was restarted


def test_a_worker_that_reports_in_no_more_is_restarted(quickstart):
    before = quickstart.pid("worker")
    text = quickstart.run("break", "worker", "stuck")
    assert "reason=late" in text
    assert quickstart.pid("worker") != before


def test_it_starts_what_it_has_built_itself(build, tmp_path):
    """As a newcomer does it, but for the compiler: cmake "builds" by pointing at what has been built."""
    root, tools, parent = tmp_path / "checkout", tmp_path / "bin", tempfile.mkdtemp(prefix="keepwell-quickstart-")
    os.chmod(parent, 0o711)
    shutil.copytree(ROOT / "deploy", root / "deploy", ignore=shutil.ignore_patterns("app"))
    tools.mkdir()
    cmake = tools / "cmake"
    cmake.write_text(f'#!/bin/sh\n[ "$1" != --build ] || ln -sfn {build} "$2"\n', encoding="utf-8")
    cmake.chmod(0o755)
    quickstart = Quickstart(build, f"{parent}/stack", root)
    del quickstart.env["KEEPWELL_BUILD"]
    quickstart.env |= {"KEEPWELL_PACKAGES": "skip", "PATH": f"{tools}:{os.environ['PATH']}"}
    try:
        assert "The stack is healthy" in quickstart.run("start")
        assert (root / "build" / "quickstart").exists()
    finally:
        quickstart.run("stop")
        os.rmdir(parent)  # fails when something is left


def test_wrong_words_are_answered_with_the_right_ones(quickstart):
    assert "no service is called" in quickstart.run("break", "mongo", code=1)
    assert "no way to break" in quickstart.run("break", "redis", "gently", code=1)
    assert "usage: deploy/quickstart" in quickstart.run("dance", code=100)
    assert "usage: deploy/quickstart" in quickstart.run("break", code=100)
