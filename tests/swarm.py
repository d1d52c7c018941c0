"""The Swarm stack of deploy/stacks/examples, deployed on a swarm of one node; for faults.py it looks like a Compose project.

    with swarm.Swarm(engine) as stack:
        stack.wait_healthy(); stack.freeze("api"); stack.container("api", 2)
"""

import json
import os
import shutil
import signal
import tempfile

import servers
import stacks
import yaml
from engine import is_well, run

LABELS = {"keepwell.restart.stable_after": "1s", **{f"keepwell.{key}": str(value) for key, value in stacks.TIMES.items()}}


class Swarm:
    def __init__(self, engine, copy="", without=()):
        self.engine, self.without, self.name = engine, without, f"keepwell-swarm{copy and '-' + copy}"
        self.label = f"com.docker.stack.namespace={self.name}"
        self.directory = tempfile.mkdtemp(prefix="keepwell-stack-")
        self.env = {**engine.env, **stacks.environment("swarm", self.name, self.directory), "APP_IMAGE": engine.app(),
                    "KEEPWELL_IMAGE": "none" if "keepwell" in without else engine.keepwell()}
        self.replicas = {}  # by service

    def __enter__(self):
        self.engine.join_swarm()
        services = self._deploy(stacks.ROOT / "examples" / f".{self.name}.yaml")  # its paths begin where it lies
        self.replicas = {name: service.get("deploy", {}).get("replicas", 1) for name, service in services.items()}
        self.wait_healthy()
        return self

    def _deploy(self, file):
        stack = yaml.safe_load((stacks.ROOT / "examples" / "stack.yaml").read_text(encoding="utf-8"))
        stack["services"] = {name: self._quick(name, service) for name, service in stack["services"].items() if name not in self.without}
        file.write_text(json.dumps(stack), encoding="utf-8")
        try:
            done = run(["docker", "stack", "deploy", "--resolve-image", "never", "--prune", "-c", file, self.name], env=self.env,
                       text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            file.unlink()
        return stack["services"]

    def _quick(self, name, service):
        service["stop_grace_period"] = "2s"
        if name == "keepwell":
            service["user"] = f"10001:{self.engine.socket_group}"
            service["volumes"][0] = f"{self.engine.socket}:/var/run/docker.sock:ro"
            return service
        service["healthcheck"] |= {**stacks.TIMES, "start_period": "30s"}
        service["labels"] = service.get("labels", {}) | LABELS
        if service["image"] == "${APP_IMAGE:-keepwell-app}":
            service.setdefault("environment", {})["APP_FAULTS"] = "1"
        return service

    def __exit__(self, *_):
        self.engine.docker("stack", "rm", self.name)
        servers.wait_until(lambda: not self.containers() and not self.engine.docker("network", "ls", "-q", "--filter",
                                                                                    f"label={self.label}"), 60, "the stack is gone", 0.3)
        servers.wait_until(self._remove_volumes, 20, "its volumes are gone", 0.3)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_volumes(self):
        volumes = self.engine.docker("volume", "ls", "-q", "--filter", f"label={self.label}").split()
        return all(self.engine.run("volume", "rm", volume).returncode == 0 for volume in volumes)

    def containers(self, service=""):
        """Those that run, of a service or all."""
        label = f"com.docker.swarm.service.name={self.name}_{service}" if service else self.label
        return self.engine.containers(label=label)

    def container(self, service, number=1):
        """The one in that slot that runs, else the newest: Swarm makes a new one instead of starting an old one again."""
        slot = f"{self.name}_{service}.{number}."
        found = self.engine.containers(ended=True, name=slot)
        assert found, f"no task of {slot}"
        return max(found, key=lambda each: (each["State"]["Running"], each["Created"]))

    def kill(self, service):
        self.engine.send(signal.SIGKILL, self.container(service)["State"]["Pid"])

    def freeze(self, service, instance=1):
        self.engine.send(signal.SIGSTOP, self.container(service, instance)["State"]["Pid"], descendants=True)

    def wait_healthy(self, seconds=150):
        """Until there are as many healthy containers of each service as there should be. There may be more: who restarts a
        container that Swarm has replaced by then makes one too many."""
        def healthy():
            found = {name: sum(is_well(each) for each in self.containers(name)) for name in self.replicas}
            assert all(found[name] >= wanted for name, wanted in self.replicas.items()), found
            return True
        return servers.wait_until(healthy, seconds, f"{self.name} is healthy", 0.5)

    def logs(self, service):
        done = self.engine.run("service", "logs", "--raw", f"{self.name}_{service}", text=True)
        return done.stdout + done.stderr
