"""keepwell tells real Alertmanagers of what is wrong, without a Prometheus between them."""

import contextlib
import datetime
import time

import keepwell
import observability
import pytest
import servers
from servers import wait_until

UNHEALTHY = "KeepwellServiceUnhealthy"
SOON = {UNHEALTHY: "200ms", "KeepwellQuarantined": "0s"}
DEPENDANTS = [f"api-{i}" for i in range(1, 5)]


def asks(redis, **more):
    return {"probes": [{"redis": redis.address, **keepwell.FAST}], **more}


def config(alertmanagers, redis, other, **more):
    """Redis under four dependants, and one more so that not everything fails at once."""
    return {"project": "shop", "alert_after": SOON, "external_url": "http://status.example.org/",
            "alertmanager": {"url": [each.url for each in alertmanagers], "resend": "1s", "timeout": "500ms", **more},
            "services": {"redis": asks(redis), "other": asks(other),
                         **{name: asks(redis, depends_on=["redis"]) for name in DEPENDANTS}}}


@pytest.fixture(name="redis")
def fixture_redis():
    with servers.redis() as redis:
        yield redis


@pytest.fixture(name="other")
def fixture_other():
    with servers.redis() as redis:
        yield redis


@pytest.fixture(name="alertmanager", scope="module")
def fixture_alertmanager():
    with observability.alertmanager() as server:
        yield server


@contextlib.contextmanager
def watching(build, settings):
    with keepwell.running(build, settings) as daemon:
        for name in settings["services"]:
            daemon.wait_state(name, "healthy")
        yield daemon


def wait_firing(alertmanager, name=UNHEALTHY, seconds=20, **labels):
    return wait_until(lambda: alertmanager.alerts(name, **labels), seconds, f"{name} {labels} is at Alertmanager", 0.05)[0]


def wait_quiet(alertmanager, seconds=20):
    wait_until(lambda: not alertmanager.alerts(), seconds, "nothing fires any more", 0.05)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def until(text):
    """Seconds from now."""
    return (moment(text) - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_a_broken_redis_under_four_dependants_is_one_alert_until_it_is_healed(build, redis, other, alertmanager):
    settings = config([alertmanager], redis, other, labels={"site": "north"})
    with watching(build, settings) as daemon:
        redis.kill()
        alert = wait_firing(alertmanager)
        assert alert["labels"] == {"alertname": UNHEALTHY, "severity": "critical", "compose_project": "shop",
                                   "compose_service": "redis", "site": "north"}
        assert alert["annotations"]["summary"] == "A service is unhealthy, and it is the root cause."
        assert alert["annotations"]["runbook_url"].endswith(f"/{UNHEALTHY}.md")
        assert "redis of shop is unhealthy" in alert["annotations"]["description"]
        assert "connection_refused" in alert["annotations"]["description"]
        assert alert["generatorURL"] == "http://status.example.org/#service-0"
        assert -20 < until(alert["startsAt"]) < 0 < until(alert["endsAt"]) <= 4
        for name in DEPENDANTS:
            daemon.wait_state(name, "unhealthy")

        # It is told again and again, and a reload changes nothing about that.
        wait_until(lambda: moment(wait_firing(alertmanager)["updatedAt"]) > moment(alert["updatedAt"]), 10)
        daemon.write({**settings, "alertmanager": {**settings["alertmanager"], "resend": "1m"}})
        assert daemon.post("/-/reload")[0] == 200
        wait_until(lambda: until(wait_firing(alertmanager)["endsAt"]) > 200, 10, "the new interval holds")
        again = wait_firing(alertmanager)
        assert again["startsAt"] == alert["startsAt"]
        assert [each["labels"]["compose_service"] for each in alertmanager.alerts()] == ["redis"]
        assert daemon.metric("keepwell_alerts_firing") == 1

        redis.start()
        wait_quiet(alertmanager, 30)  # long before it would have ended by itself
        assert until(again["endsAt"]) > 60
        assert daemon.metric("keepwell_alerts_firing") == 0
        assert daemon.metric("keepwell_alertmanager_deliveries_total", result="delivered") >= 3
        assert daemon.metric("keepwell_alertmanager_deliveries_total", result="failed") == 0


def test_an_alertmanager_that_was_away_is_told_what_is_so_now(build, redis, other):
    with observability.alertmanager() as alertmanager, watching(build, config([alertmanager], redis, other)) as daemon:
        alertmanager.kill()
        redis.kill()
        wait_until(lambda: daemon.metric("keepwell_alertmanager_deliveries_total", result="failed"), 20)
        alertmanager.start()
        wait_firing(alertmanager)
        assert daemon.metric("keepwell_alertmanager_deliveries_total", result="dropped") == 0
        assert daemon.log().count("Alertmanager cannot be told") == 1
        wait_until(lambda: "told of alerts again" in daemon.log())


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_one_alertmanager_of_two_that_is_dead_or_hangs_keeps_nobody_waiting(build, redis, other, alertmanager, fault):
    with observability.alertmanager() as bad, watching(build, config([bad, alertmanager], redis, other)) as daemon:
        getattr(bad, fault)()
        redis.kill()
        daemon.wait_state("redis", "unhealthy")
        wait_firing(alertmanager, seconds=10)
        wait_until(lambda: daemon.metric("keepwell_alertmanager_deliveries_total", result="failed"), 10)
        assert daemon.metric("keepwell_loop_late_ticks_total") < 20  # this machine may be busy
        bad.thaw() if fault == "freeze" else bad.start()
        wait_firing(bad)
        redis.start()
        wait_quiet(alertmanager)
        wait_quiet(bad)


def test_a_restart_of_keepwell_ends_no_alert_that_still_holds(build, redis, other, alertmanager):
    with watching(build, config([alertmanager], redis, other, resend="10s")) as daemon:
        redis.kill()
        before = wait_firing(alertmanager)
        daemon.stop()
        daemon.start()
        daemon.wait_state("redis", "unhealthy")
        after = wait_until(lambda: (now := wait_firing(alertmanager))["updatedAt"] != before["updatedAt"] and now, 20)
        assert after["startsAt"] == before["startsAt"]

        # Healed while nobody looked: it is told as soon as that is known.
        daemon.stop()
        redis.start()
        assert wait_firing(alertmanager)
        daemon.start()
        daemon.wait_state("redis", "healthy")
        assert until(after["endsAt"]) > 20
        wait_quiet(alertmanager, 10)


def test_maintenance_silences_and_a_service_that_is_gone_has_ended(build, redis, other, alertmanager):
    settings = config([alertmanager], redis, other, resend="1m")
    with watching(build, settings) as daemon:
        redis.kill()
        wait_firing(alertmanager)
        daemon.command("pause", "redis")
        wait_quiet(alertmanager)
        daemon.command("resume", "redis")
        wait_firing(alertmanager)
        daemon.write({**settings, "services": {"other": settings["services"]["other"]}})
        assert daemon.post("/-/reload")[0] == 200
        wait_quiet(alertmanager)


def test_quarantine_is_told_of_the_instance(build, redis, other, alertmanager):
    settings = config([alertmanager], redis, other)
    settings["services"]["redis"]["restart"] = {"mode": "act", "backoff": "100ms", "backoff_max": "100ms", "max": 1,
                                                "command": {"argv": ["true"]}}
    with watching(build, settings) as daemon:
        redis.kill()
        alert = wait_firing(alertmanager, "KeepwellQuarantined", container="redis")
        assert "1 restarts within 1h did not help" in alert["annotations"]["description"]
        redis.start()
        wait_quiet(alertmanager)
        daemon.wait_state("redis", "healthy")


def test_credentials_are_sent_and_shown_nowhere(build, redis, other):
    password = f"guessed-by-nobody-{time.time_ns()}"
    with observability.alertmanager() as alertmanager:
        front = ("server { listen @PORT@; location / { auth_basic x; auth_basic_user_file @DIR@/users; "
                 f"proxy_pass {alertmanager.url}; }} }}")
        with servers.nginx(front) as nginx:
            with open(f"{nginx.directory}/users", "w", encoding="ascii") as file:
                file.write(f"me:{{PLAIN}}{password}\n")
            settings = config([nginx], redis, other, username="me", password="wrong")
            with watching(build, settings) as daemon:
                redis.kill()
                wait_until(lambda: "status 401" in daemon.log(), 20)
                assert not alertmanager.alerts()
                secret = f"{daemon.directory}/secret"
                with open(secret, "w", encoding="ascii") as file:
                    file.write(password)
                settings["alertmanager"].pop("password")
                settings["alertmanager"]["password_file"] = secret
                daemon.write(settings)
                assert daemon.post("/-/reload")[0] == 200
                wait_firing(alertmanager)
                assert password not in daemon.log() + daemon.metrics() + daemon.get("/api/v1/status")[1]
