"""keepwell's image beside a project that knows nothing of it, as deploy/compose.keepwell.yaml has it, and two of them in
one project."""

import contextlib
import json
import pathlib

import pytest
import servers

pytestmark = pytest.mark.timeout(1800)  # the image may have to be built first

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICK = {"interval": "1s", "timeout": "1s", "retries": 2}
SERVICES = {
    "cache": {"image": "redis:7-alpine", "stop_grace_period": "1s",
              "healthcheck": {"test": ["CMD", "redis-cli", "ping"], **QUICK}},
    "web": {"image": "nginx:1.27-alpine", "stop_grace_period": "1s", "depends_on": {"cache": {"condition": "service_healthy"}},
            "healthcheck": {"test": "curl -fs http://localhost/ || exit 1", **QUICK}},
}


@contextlib.contextmanager
def project(engine, name, tmp_path, **services):
    file = tmp_path / "compose.yaml"
    file.write_text(json.dumps({"services": SERVICES | services}), encoding="utf-8")
    env = {"KEEPWELL_IMAGE": engine.keepwell(), "DOCKER_SOCKET": engine.socket, "DOCKER_GROUP": engine.socket_group,
           "KEEPWELL_PORT": str(servers.free_port())}
    with engine.project(f"keepwell-{name}", [file, ROOT / "deploy" / "compose.keepwell.yaml"], env=env) as stack:
        stack.up()
        yield stack


def inside(stack, *words, check=True):
    done = stack.run("exec", "-T", "keepwell", *words)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def status(stack):
    return json.loads(inside(stack, "keepwell", "status", "--json", check=False).stdout or "{}")


def wait_healthy(stack, seconds=40):
    servers.wait_until(lambda: inside(stack, "keepwell", "healthcheck", "--all", check=False).returncode == 0, seconds,
                       "the whole stack is healthy")


def started_at(stack, service):
    return stack.container(service)["State"]["StartedAt"]


def test_beside_a_project_it_needs_nothing_and_heals_it(engine, tmp_path):
    with project(engine, "beside", tmp_path) as stack:
        wait_healthy(stack)
        assert {each["name"] for each in status(stack)["services"]} == {"cache", "web"}
        text = inside(stack, "keepwell", "explain", "web").stdout
        assert "its own health check (curl), asked natively" in text and "not while cache is not healthy" in text
        assert "asked natively" in inside(stack, "keepwell", "check", "--docker").stdout
        before = started_at(stack, "web"), started_at(stack, "cache")
        stack.freeze("web")
        servers.wait_until(lambda: started_at(stack, "web") != before[0], 40, "the hung one is restarted")
        wait_healthy(stack)
        assert started_at(stack, "cache") == before[1]


def test_of_two_keepwells_in_a_project_one_acts(engine, tmp_path):
    with project(engine, "two", tmp_path) as stack:
        name = f"{stack.name}-watcher-1"
        try:
            engine.docker("run", "-d", "--name", name, "--network", f"{stack.name}_default", "--group-add", engine.socket_group,
                          "-v", f"{engine.socket}:/var/run/docker.sock", "-e", "KEEPWELL_MODE=act",
                          "--label", f"com.docker.compose.project={stack.name}", "--label", "com.docker.compose.service=watcher",
                          "--label", "com.docker.compose.container-number=1",
                          "--label", "com.docker.compose.oneoff=False", engine.keepwell())
            log = lambda: engine.run("logs", name, text=True).stderr
            servers.wait_until(lambda: "another keepwell of this project acts" in log(), 30, "the second stands by")
            wait_healthy(stack)
            before = started_at(stack, "web")
            stack.freeze("web")
            servers.wait_until(lambda: started_at(stack, "web") != before, 40, "it is restarted")
            wait_healthy(stack)
            assert "msg=restarting" not in log()
            assert stack.logs("keepwell").count("msg=restarting") == 1
        finally:
            engine.run("rm", "-f", name)


def test_with_a_proxy_before_the_socket_it_is_a_compose_file_too(engine):
    with engine.project("keepwell-proxied", [ROOT / "deploy" / "compose.keepwell-proxy.yaml"]) as stack:
        services = stack.config()["services"]
        assert not services["keepwell"].get("volumes", [{}])[0].get("source", "").endswith(".sock")
        assert services["keepwell-socket"]["labels"]["keepwell.enable"] == "false"
