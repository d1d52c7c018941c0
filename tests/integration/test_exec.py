"""The exec probe with the programs it is there for: config tests and Nagios plugins' manners."""

import os

import pytest
import servers
from command import probe

OK = ("ok", "none")


def judge(build, argv, expected, **options):
    result = probe(build, "exec", argv, **{"timeout": "5s", **options})
    assert (result["outcome"], result["reason"]) == expected, result
    return result


def test_a_good_and_a_broken_nginx_configuration(build):
    with servers.nginx("server { listen @PORT@; }") as server:
        argv = [server.argv[0], "-t", "-q", "-c", server.config, "-p", server.directory]
        judge(build, argv, OK)
        server.configure("server { listen @PORT@; no_such_directive on; }")
        broken = judge(build, argv, ("rejected", "exit_code"))
        assert "no_such_directive" in broken["detail"] + broken.get("output", "")


def test_promtool(build, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: []\n")
    judge(build, [servers.need("promtool", "prometheus"), "check", "config", config], OK)
    config.write_text("scrape_konfigs: []\n")
    judge(build, [servers.need("promtool", "prometheus"), "check", "config", config], ("rejected", "exit_code"))


def test_redis_cli_and_its_output(build, redis_server):
    argv = [servers.need("redis-cli", "redis-tools"), "-p", redis_server.port, "ping"]
    judge(build, argv, OK, output_matches="^PONG")
    judge(build, argv, ("rejected", "output_mismatch"), output_matches="^LOADING")


@pytest.mark.parametrize("script, expected", [
    ("exit 3", ("rejected", "exit_code")),
    ("kill -SEGV $$", ("rejected", "killed_by_signal")),
    ("exec sleep 60", ("no_response", "timeout")),
    ("trap '' TERM; while :; do :; done", ("no_response", "timeout")),
    ("sleep 60 & sleep 60 & wait", ("no_response", "timeout")),
])
def test_ends_of_all_kinds(build, tmp_path, script, expected):
    program = tmp_path / "check"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    judge(build, [program], expected, timeout="500ms")
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and _runs(pid, program)]


def _runs(pid, program):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsencode(program) in file.read()
    except OSError:
        return False


def test_a_missing_program_is_our_own_fault(build):
    result = judge(build, ["/no/such/program"], ("not_attempted", "not_executable"))
    assert "/no/such/program" in result["detail"]
