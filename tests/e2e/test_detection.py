"""What keepwell notices: crashes, hangs, recoveries, and where the reason stands."""

import os

import pytest

import keepwell
import servers


def watching_redis(redis, **more):
    return {"project": "test", "services": {"redis": {"probes": [{"redis": redis.address, **keepwell.FAST}], **more}}}


@pytest.mark.parametrize("how, reason, phase", [("kill", "connection_refused", "connect"), ("freeze", "timeout", "reply")])
def test_a_broken_redis_is_unhealthy_with_the_reason_everywhere_and_healthy_again_when_repaired(build, how, reason, phase):
    with servers.redis() as redis, keepwell.running(build, watching_redis(redis)) as daemon:
        daemon.wait_state("redis", "healthy")
        assert daemon.get("/health/redis")[0] == 200
        assert daemon.command("healthcheck", "redis").stdout.startswith("healthy")

        getattr(redis, how)()
        daemon.wait_state("redis", "unhealthy")
        last = daemon.instance("redis")["probes"][0]["last_attempt"]
        assert (last["reason"], last["phase"], last["outcome"]) == (reason, phase, "no_response")
        code, text = daemon.get("/health/redis")
        assert code == 503 and reason in text
        assert daemon.metric("keepwell_service_state", compose_service="redis", state="unhealthy") == 1
        assert daemon.metric("keepwell_probe_failures_total", compose_service="redis", reason=reason) >= 3
        assert daemon.metric("keepwell_probe_success", compose_service="redis") == 0
        assert daemon.command("healthcheck", "redis", check=False).returncode == 1
        assert reason in daemon.command("status").stdout
        servers.wait_until(lambda: daemon.metric("keepwell_signal_raised", compose_service="redis") == 1, 15)
        assert daemon.history("signal_raised", "redis")

        redis.thaw() if how == "freeze" else redis.start()
        daemon.wait_state("redis", "healthy")
        servers.wait_until(lambda: daemon.metric("keepwell_signal_raised", compose_service="redis") == 0)
        assert daemon.history("signal_cleared", "redis")


def test_one_service_that_hangs_delays_no_other(build):
    with servers.redis() as good, servers.redis() as bad:
        config = {"services": {"good": {"probes": [{"redis": good.address, **keepwell.FAST}]},
                               "bad": {"probes": [{"redis": bad.address, **keepwell.FAST, "timeout": "10s"}]},
                               "nowhere": {"probes": [{"http": "http://no-such-host.invalid/", **keepwell.FAST}]}}}
        bad.freeze()
        with keepwell.running(build, config) as daemon:
            daemon.wait_state("good", "healthy")
            before = daemon.metric("keepwell_probe_attempts_total", compose_service="good", outcome="ok")
            servers.wait_until(lambda: daemon.metric("keepwell_probe_attempts_total", compose_service="good", outcome="ok") >= before + 10)
            assert daemon.metric("keepwell_probe_attempts_total", compose_service="good", outcome="no_response") == 0
            assert daemon.metric("keepwell_attempts_skipped_total") == 0


def test_a_heartbeat_by_post_keeps_a_service_healthy_and_its_absence_is_late(build):
    probe = {"heartbeat": {"max_age": "1s"}, "interval": "200ms", "retries": 1}
    with keepwell.running(build, {"services": {"worker": {"probes": [probe]}}}) as daemon:
        servers.wait_until(lambda: daemon.instance("worker")["probes"][0].get("last_attempt"), 10)
        assert daemon.service("worker")["state"] == "starting"  # it has not reported in, and is not late yet
        daemon.wait_state("worker", "unhealthy")
        assert daemon.instance("worker")["probes"][0]["last_attempt"]["reason"] == "late"
        assert daemon.post("/api/v1/heartbeat/worker")[0] == 204
        daemon.wait_state("worker", "healthy")
        daemon.wait_state("worker", "unhealthy")
        assert daemon.post("/api/v1/heartbeat/nobody")[0] == 404


def test_a_worker_that_was_restarted_has_the_limit_for_its_first_beat(build, tmp_path):
    """It beats a second after its start, and is killed once: that is one restart."""
    beat, pid, starts = tmp_path / "beat", tmp_path / "pid", tmp_path / "starts"
    worker = f"while sleep 1; do touch {beat}; done"
    start = ["sh", "-c", f"echo x >> {starts}; setsid sh -c '{worker}' >/dev/null 2>&1 & echo $! > {pid}"]
    service = {"probes": [{"heartbeat": {"max_age": "2s", "file": str(beat)}, "interval": "200ms", "retries": 1}],
               "restart": {"mode": "act", "backoff": "100ms", "command": {"argv": start}}}
    fine = {"probes": [{"exec": ["true"], **keepwell.FAST}]}
    try:
        with keepwell.running(build, {"services": {"worker": service, "fine": fine}}) as daemon:
            servers.wait_until(lambda: starts.exists(), 20, "started, as it never reported in")
            daemon.wait_state("worker", "healthy")
            os.kill(int(pid.read_text()), 9)
            servers.wait_until(lambda: starts.read_text().count("x") == 2, 20)
            daemon.wait_state("worker", "healthy")
            assert daemon.metric("keepwell_restart_budget_used", compose_service="worker") == 2
    finally:
        os.kill(int(pid.read_text()), 9)


def test_several_instances_are_told_apart(build):
    with servers.redis() as one, servers.redis() as two:
        config = {"services": {"cache": {"instances": {"one": one.address, "two": two.address},
                                         "probes": [{"redis": "{address}", **keepwell.FAST}]}}}
        with keepwell.running(build, config) as daemon:
            daemon.wait_state("cache", "healthy")
            two.kill()
            servers.wait_until(lambda: daemon.instance("cache", "two")["state"] == "unhealthy")
            assert daemon.instance("cache", "one")["state"] == "healthy"
            assert daemon.service("cache")["state"] == "healthy"  # one is enough
            one.kill()
            daemon.wait_state("cache", "unhealthy")


def test_logs_are_logfmt_or_json(build):
    import json
    with servers.redis() as redis:
        with keepwell.running(build, watching_redis(redis), "--log.format=json", "--log.level=debug") as daemon:
            daemon.wait_state("redis", "healthy")
            servers.wait_until(lambda: "state changed" in daemon.log())
            lines = [json.loads(line) for line in daemon.log().splitlines() if line.endswith("}")]
            assert {"keepwell starts", "attempted", "state changed"} <= {line["msg"] for line in lines}
        with keepwell.running(build, watching_redis(redis)) as daemon:
            daemon.wait_state("redis", "healthy")
            servers.wait_until(lambda: 'msg="state changed" service=redis instance=redis from=starting to=healthy' in daemon.log())
