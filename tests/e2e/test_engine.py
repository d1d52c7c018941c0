"""The test rig itself: servers under official names behave as people's compose files expect, and a project leaves nothing."""

import signal

import pytest
import servers

# Their images may have to be made first.
pytestmark = [pytest.mark.xdist_group("engine"), pytest.mark.timeout(1800)]

FAST = {"interval": "1s", "timeout": "2s", "retries": 2, "start_period": "30s"}
COMPOSE = {
    "services": {
        "db": {"image": "postgres:15", "environment": {"POSTGRES_USER": "app", "POSTGRES_DB": "store",
                                                       "POSTGRES_PASSWORD_FILE": "/run/secrets/password"},
               "secrets": ["password"],
               "healthcheck": {"test": ["CMD-SHELL", "pg_isready -U app -d store"], **FAST}},
        "mysql": {"image": "mysql:8.0", "environment": {"MYSQL_ROOT_PASSWORD": "secret", "MYSQL_DATABASE": "store",
                                                        "MYSQL_USER": "app", "MYSQL_PASSWORD": "also secret"},
                  "healthcheck": {"test": ["CMD", "mysqladmin", "ping", "-h", "127.0.0.1", "-uapp", "-palso secret"], **FAST}},
        "redis": {"image": "redis:7-alpine", "command": "redis-server --appendonly yes", "restart": "always",
                  "stop_grace_period": "1s", "healthcheck": {"test": ["CMD", "redis-cli", "ping"], **FAST}},
        "nginx": {"image": "nginx:1.27-alpine", "depends_on": {"redis": {"condition": "service_healthy"}},
                  "healthcheck": {"test": ["CMD", "wget", "-q", "--spider", "http://localhost/"], **FAST}},
    },
    "secrets": {"password": {"environment": "SECRET"}},
}


@pytest.fixture(name="stack", scope="module")
def fixture_stack(engine, tmp_path_factory):
    empty = tmp_path_factory.mktemp("engine") / "compose.yaml"
    empty.write_text("{}")
    with engine.project("keepwell-rig", [empty], override=COMPOSE, env={"SECRET": "a 'quoted\" one"}) as stack:
        stack.up()
        yield stack


@pytest.mark.parametrize("service, words, answer", [
    ("db", ["psql", "-U", "app", "-d", "store", "-tAc", "select current_user || current_database()"], "appstore"),
    ("mysql", ["mysql", "-uapp", "-palso secret", "store", "-Nse", "select current_user()"], "app@%"),
    ("mysql", ["mysql", "-uroot", "-psecret", "-Nse", "select 1"], "1"),
    ("redis", ["redis-cli", "-h", "redis", "config", "get", "appendonly"], "appendonly\nyes"),
    ("nginx", ["nc", "-z", "redis", "6379"], ""),
    ("nginx", ["id", "-u", "nginx"], "101"),
])
def test_a_server_under_an_official_name_is_what_it_says(stack, service, words, answer):
    done = stack.run("exec", "-T", service, *words)
    assert (done.returncode, done.stdout.strip()) == (0, answer), done.stderr


def test_a_killed_process_is_started_again_by_docker_and_a_frozen_one_is_only_called_unhealthy(stack):
    first = stack.container("redis")["State"]["StartedAt"]
    stack.kill("redis")
    servers.wait_until(lambda: stack.container("redis")["State"]["StartedAt"] != first, 20, "Docker starts Redis", 0.2)
    stack.wait_healthy("redis")
    stack.freeze("redis")
    servers.wait_until(lambda: stack.container("redis")["State"]["Health"]["Status"] == "unhealthy", 30, "Redis is unhealthy", 0.2)
    stack.send(signal.SIGCONT, "redis", descendants=True)
    stack.wait_healthy("redis")


def test_the_servers_end_on_their_own_stop_signals(stack):
    stack.compose("stop", "--timeout", "8", "db", "nginx", "mysql")
    codes = {each["Name"]: each["State"]["ExitCode"] for each in stack.containers() if each["State"]["Status"] == "exited"}
    assert sorted(codes) == ["/keepwell-rig-db-1", "/keepwell-rig-mysql-1", "/keepwell-rig-nginx-1"]
    assert set(codes.values()) == {0}, codes
