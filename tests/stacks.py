"""The stacks of deploy/stacks for the tests: their files and what has to be made first, brought up beside each other.

    with stacks.running(engine, "story", copy="a", override={...}) as stack: ...

Each copy has free ports, a subnet of its own and health checks that ask more often; all else is as people get it.
"""

import contextlib
import dataclasses
import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile
import zlib

import servers

ROOT = pathlib.Path(__file__).resolve().parents[1] / "deploy" / "stacks"
PORTS = ["HTTP_PORT", "HTTPS_PORT", "NODE_PORT", "API_PORT", "FRONTEND_PORT", "BACKEND_PORT", "DB_PORT", "REDIS_PORT", "KEEPWELL_PORT",
         "API_PUBLISHED", "APP_PUBLISHED", "POSTGRES_PUBLISHED", "REDIS_PUBLISHED"]
TIMES = {"interval": "2s", "timeout": "2s", "retries": 2}
BOUND = 2 * (2 + 2)  # seconds until such a check has failed often enough, at the latest


@dataclasses.dataclass(frozen=True)
class Stack:
    files: tuple
    env_file: str = ""
    profiles: tuple = ()
    env: tuple = ()  # (name, value)
    seconds: int = 150  # to come up in, several at once on a slow machine


ALL = {
    "practice": Stack(("practice/compose.yaml",)),
    "practice-prod": Stack(("practice/compose.yaml",), env=(("ENV", "prod"),)),
    "examples": Stack(("examples/compose.yaml",)),
    "cluster": Stack(("examples/compose.cluster.yaml",)),
    "ichrisbirch-dev": Stack(("ichrisbirch/docker-compose.yml", "ichrisbirch/docker-compose.dev.yml"), "ichrisbirch/.dev.env"),
    "ichrisbirch-test": Stack(("ichrisbirch/docker-compose.yml", "ichrisbirch/docker-compose.test.yml"), "ichrisbirch/.test.env"),
    "ichrisbirch-prod": Stack(("ichrisbirch/docker-compose.yml", "ichrisbirch/docker-compose.prod.yml"), "ichrisbirch/.prod.env"),
    "training-club": Stack(("training-club/compose.yaml",)),
    "story": Stack(("story/compose.yaml",), profiles=("with-celery",)),
    "story-prod": Stack(("story/compose.yaml", "story/compose.prod.yaml"), profiles=("with-celery",)),
}


def moment(text):
    """A time of RFC 3339 as time.time() has it."""
    return datetime.datetime.fromisoformat(text[:23].rstrip("Z") + "+00:00").timestamp()


def environment(name, project, directory):
    """The variables of a copy: ports that nobody else has, and what the stacks' scripts make, in a directory of its own."""
    env = {port: str(servers.free_port()) for port in PORTS}
    env |= {"SUBNET": f"10.223.{zlib.crc32(project.encode()) % 256}.0/24", "PUBLIC_ADDRESS": "127.0.0.1",
            "POSTGRES_PASSWORD": "a \"password\" of 'many' kinds", "SECRETS": str(directory), "LETSENCRYPT": f"{directory}/letsencrypt",
            "GITHUB_API": "http://localhost:5337/-/healthy"}  # the tests ask nobody outside
    if name in ("examples", "cluster", "swarm"):
        subprocess.run([ROOT / "examples" / "make-secrets"], env={**os.environ, **env}, check=True)
    if name == "training-club":
        servers.run([ROOT / "training-club" / "prepare", directory])
        lines = pathlib.Path(directory, ".env").read_text(encoding="utf-8").splitlines()
        env |= dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return env | dict(ALL[name].env if name in ALL else ())


def quick(config):
    """An override that makes the health checks of these services ask often, and the end of a hung one short."""
    services = {}
    for name, service in config["services"].items():
        # One blow after the other: none waits for what the one before has cost.
        services[name] = {"stop_grace_period": "2s", "labels": {"keepwell.restart.stable_after": "1s"}}
        if "healthcheck" in service:
            start = service["healthcheck"].get("start_period")
            services[name]["healthcheck"] = {**TIMES, **({"start_period": "30s"} if start else {})}
        if "keepwell.probes" in service.get("labels", {}):
            services[name]["labels"] |= {f"keepwell.{key}": str(value) for key, value in TIMES.items()}
    return services


@contextlib.contextmanager
def running(engine, name, *, copy="", without=(), faults=True, up=True):
    """A copy of a stack; `without` these services. With faults, the app tier obeys POST /faults/..."""
    stack, project = ALL[name], f"keepwell-{name}{copy and '-' + copy}"
    directory = tempfile.mkdtemp(prefix="keepwell-stack-")
    try:
        env = {**environment(name, project, directory), "APP_IMAGE": engine.app(),
               "KEEPWELL_IMAGE": "none" if "keepwell" in without else engine.keepwell(),
               "DOCKER_SOCKET": engine.socket, "DOCKER_GROUP": engine.socket_group}
        more = {"env": env, "env_file": stack.env_file and ROOT / stack.env_file, "profiles": stack.profiles}
        files = [ROOT / file for file in stack.files]
        config = engine.project(project, files, **more).config()
        override = quick(config)
        for service in override:
            if faults and config["services"][service].get("image") == engine.app():
                override[service]["environment"] = {"APP_FAULTS": "1"}
            if service in without:
                override[service]["profiles"] = ["left-out"]
        with engine.project(project, files, override={"services": override}, **more) as compose:
            if up:
                compose.up(seconds=stack.seconds)
            yield compose
    finally:
        shutil.rmtree(directory, ignore_errors=True)
