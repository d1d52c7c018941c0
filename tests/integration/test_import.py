"""`keepwell import`: from a Compose file to a configuration that `keepwell check` takes."""

import subprocess

import yaml

COMPOSE = """
name: shop
services:
  db:
    image: postgres:15
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: hunter2}
    healthcheck: {test: "pg_isready -U $$POSTGRES_USER -d $${POSTGRES_USER}", interval: 5s}
  cache:
    image: redis:7
    healthcheck: {test: ["CMD", "redis-cli", "-a", "hunter2", "ping"]}
  web:
    build: .
    ports: ["8080:80"]
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost/health"]}
  job:
    build: .
"""


def keepwell(build, *arguments, given="", env=None):
    return subprocess.run([build / "daemon/keepwell", *arguments], input=given, env=env, capture_output=True, text=True,
                          timeout=30, check=False)


def test_a_compose_file_becomes_a_configuration_that_is_fine(build, tmp_path):
    imported = keepwell(build, "import", "-", given=COMPOSE)
    assert imported.returncode == 0
    assert imported.stderr == "standard input: 4 services: 3 translated, 0 guessed, 1 left to you\n"
    assert "hunter2" not in imported.stdout
    services = yaml.safe_load(imported.stdout)["services"]
    assert services["db"]["probes"] == [{"postgres": {"address": "db:5432", "user": "app", "database": "app"}}]
    assert services["cache"]["probes"] == [{"redis": {"address": "cache:6379", "password": "${CACHE_PASSWORD}"}}]
    assert services["web"]["probes"][0]["http"]["url"] == "http://web/health"
    assert services["web"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert services["job"]["probes"] == []

    file = tmp_path / "keepwell.yaml"
    file.write_text(imported.stdout)
    missing = keepwell(build, "check", file)
    assert missing.returncode == 100 and "CACHE_PASSWORD" in missing.stderr
    checked = keepwell(build, "check", file, env={"CACHE_PASSWORD": "hunter2"})
    assert checked.returncode == 0, checked.stderr


def test_the_same_from_a_file_and_what_is_not_there_is_said(build, tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    assert keepwell(build, "import", file).stdout == keepwell(build, "import", given=COMPOSE).stdout
    gone = keepwell(build, "import", tmp_path / "gone.yaml")
    assert gone.returncode == 111 and "gone.yaml" in gone.stderr and "No such file" in gone.stderr
    wrong = keepwell(build, "import", "-", given="services: 1")
    assert wrong.returncode == 100 and "standard input:1:1" in wrong.stderr and wrong.stdout == ""
