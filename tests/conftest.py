"""Fixtures: the built programs, and servers that many tests share. A test that breaks a server starts its own
(`with servers.redis() as redis:`) instead of using a shared one."""

import os
import pathlib
import time

import engine as engines
import faults
import pytest
import servers

START = time.time()
ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def build():
    """The build directory under test: KEEPWELL_BUILD, else build/dev."""
    directory = pathlib.Path(os.environ.get("KEEPWELL_BUILD", ROOT / "build" / "dev")).resolve()
    assert directory.is_dir(), f"{directory} is not there: cmake --preset dev && ninja -C build/dev"
    return directory


@pytest.fixture(scope="session")
def redis_server():
    with servers.redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server():
    """Database, user: app; password: secret."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server():
    """Database, user: app; password: secret."""
    with servers.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def engine():
    """A real Docker Engine with the stand-ins of the official images; see tests/engine.py."""
    found = engines.find()
    found.stand_ins()
    return found


def pytest_terminal_summary(terminalreporter):
    """The table of what was broken and healed in this run, and what keepwell's image needs, kept in build/results."""
    if text := faults.table(since=START):
        (faults.RESULTS / "healing.txt").write_text(text + "\n", encoding="utf-8")
        terminalreporter.section("healing")
        terminalreporter.write_line(text)
    if (image := faults.RESULTS / "image.txt").exists() and image.stat().st_mtime >= START:
        terminalreporter.write_line(image.read_text(encoding="utf-8"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """When all workers of a parallel run have ended."""
    if not hasattr(config, "workerinput") and (ROOT / "build" / "engine" / "swarm").exists():
        engines.find().leave_swarm()
