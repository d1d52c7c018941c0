"""A real Prometheus scrapes keepwell and the app tier, and answers what people and dashboards ask it."""

import contextlib
import json
import pathlib
import re
import subprocess
import time
import urllib.parse

import prometheus_client.openmetrics.parser as openmetrics
import prometheus_client.parser as prometheus_text
import pytest
import yaml

import keepwell
import servers
from servers import wait_until


@contextlib.contextmanager
def prometheus(targets, jobs=()):
    """Scrapes {job: host:port} every half second, and what other jobs say. `ask(query)` returns {frozenset of labels: value}."""
    directory = servers.new_directory("prometheus")
    jobs = [*jobs, *({"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items())]
    with open(f"{directory}/prometheus.yml", "w", encoding="utf-8") as file:
        json.dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": jobs}, file)
    servers.run([servers.need("promtool", "prometheus"), "check", "config", f"{directory}/prometheus.yml"])
    port = servers.free_port()
    argv = [servers.need("prometheus", "prometheus"), f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data", f"--web.listen-address={servers.HOST}:{port}", "--log.level=warn",
            "--enable-feature=exemplar-storage"]
    server = servers.Server("prometheus", argv, port=port, directory=directory,
                            ready=lambda it: servers.get(it.url + "/-/ready")[0] == 200)

    def get(path, **query):
        status, body, _ = servers.get(f"{server.url}/api/v1/{path}?" + urllib.parse.urlencode(query))
        assert status == 200, body
        return json.loads(body)["data"]

    server.get = get
    server.ask = lambda query: {frozenset(each["metric"].items()): float(each["value"][1])
                                for each in get("query", query=query)["result"]}
    with servers.started(server):
        yield server


def value(answer):
    """Of the one series that was asked for."""
    assert len(answer) == 1, answer
    return next(iter(answer.values()))


def check_metrics(text):
    """What promtool has to complain about; nothing, when all is well."""
    done = subprocess.run([servers.need("promtool", "prometheus"), "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=60, check=False)
    return done.stderr.strip() or (f"exit status {done.returncode}" if done.returncode else "")


@contextlib.contextmanager
def watched_app(build):
    """Redis, the app's api that uses it, and keepwell, which watches both."""
    with servers.redis() as redis:
        port = servers.free_port()
        env = {"PORT": str(port), "REDIS_URL": f"redis://{redis.address}/0"}
        with servers.program([build / "deploy" / "app" / "keepwell-app", "api"], port=port, env=env) as app:
            services = {"redis": {"probes": [{"redis": redis.address, **keepwell.FAST}], "restart": {"backoff": "1h", "backoff_max": "1h"}},
                        "api": {"probes": [keepwell.http(app.url + "/health")], "depends_on": {"redis": {"condition": "service_healthy"}}}}
            with keepwell.running(build, {"project": "shop", "services": services}) as daemon:
                yield redis, app, daemon


@pytest.mark.xdist_group("prometheus")
def test_prometheus_scrapes_keepwell_and_the_app_and_answers_queries(build):
    with watched_app(build) as (redis, app, daemon):
        daemon.wait_state("api", "healthy")
        with prometheus({"keepwell": daemon.address, "app": app.address}) as server:
            wait_until(lambda: sorted(server.ask("up").values()) == [1, 1], 30, "both targets are up")
            assert value(server.ask("count(count by (job) (scrape_samples_scraped > 0))")) == 2
            for service in ("redis", "api"):
                states = f'keepwell_service_state{{compose_project="shop",compose_service="{service}"}} == 1'
                assert [dict(labels)["state"] for labels in server.ask(states)] == ["healthy"]
            wait_until(lambda: value(server.ask('sum(rate(keepwell_probe_attempts_total{outcome="ok"}[5s]))')) > 1, 20)
            assert value(server.ask('sum(keepwell_signals_total{compose_service="redis"})')) == 0

            redis.kill()
            state = 'keepwell_service_state{compose_service="redis",state="unhealthy"} == 1'
            wait_until(lambda: server.ask(state), 20, "the query says that Redis is unhealthy")
            failures = 'sum by (reason) (keepwell_probe_failures_total{compose_service="redis",reason="connection_refused"}) >= 3'
            wait_until(lambda: server.ask(failures), 20, "its attempts were refused")
            wait_until(lambda: value(server.ask('sum(keepwell_signals_total{compose_service="redis"})')) == 1, 20, "one signal")
            wait_until(lambda: server.ask('keepwell_signal_raised{compose_service="redis"} == 1'), 20, "the signal stands")
            wait_until(lambda: server.ask('keepwell_service_state{compose_service="api",state="unhealthy"} == 1'), 20)
            hold = 'keepwell_restart_held{compose_service="api",hold="need_unhealthy"} == 1'
            wait_until(lambda: server.ask(hold), 20, "the api waits for its root")
            roots = server.ask("keepwell_service_root_cause == 1")
            assert [dict(labels)["compose_service"] for labels in roots] == ["redis"]

            series = 'keepwell_probe_duration_seconds_bucket{compose_service="redis"}'
            exemplars = [one["labels"] for each in server.get("query_exemplars", query=series, start=time.time() - 60, end=time.time())
                         for one in each["exemplars"]]
            assert {"outcome": "no_response", "reason": "connection_refused", "phase": "connect"} in exemplars, exemplars

            redis.start()
            wait_until(lambda: server.ask('keepwell_service_state{compose_service="redis",state="healthy"} == 1'), 20)
            wait_until(lambda: not server.ask("keepwell_signal_raised == 1"), 20, "the signal is cleared")
            wait_until(lambda: sorted(server.ask("up").values()) == [1, 1], 20)


def test_prometheus_finds_what_keepwell_watches(build):
    with watched_app(build) as (redis, app, daemon):
        daemon.wait_state("api", "healthy")
        rules = [{"source_labels": [f"__meta_keepwell_{name}"], "target_label": name}
                 for name in ("project", "service", "kind", "role", "address")]
        rules += [{"source_labels": ["__address__"], "target_label": "instance"},
                  {"target_label": "__address__", "replacement": app.address}]
        discovery = {"url": f"{daemon.url}/sd", "refresh_interval": "1s"}
        found = {"job_name": "found", "http_sd_configs": [discovery], "relabel_configs": rules}
        with prometheus({}, jobs=[found]) as server:
            wait_until(lambda: len(server.ask('up{job="found"} == 1')) == 2, 30, "a target for each probe")
            labels = {each["service"]: each for each in map(dict, server.ask("up"))}
        common = {"__name__": "up", "job": "found", "project": "shop", "role": "liveness"}
        assert labels == {
            "redis": {**common, "service": "redis", "kind": "redis", "address": redis.address, "instance": redis.address},
            "api": {**common, "service": "api", "kind": "http", "address": app.address, "instance": app.url + "/health"}}
        assert [each["labels"]["__meta_keepwell_service"] for each in json.loads(servers.get(daemon.url + "/sd?kind=http")[1])] == ["api"]


def test_openmetrics_holds_before_a_strict_reader_and_has_the_same_families(build):
    with watched_app(build) as (redis, _, daemon):
        daemon.wait_state("api", "healthy")
        redis.kill()
        daemon.wait_state("redis", "unhealthy")
        status, text, headers = servers.get(daemon.url + "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert status == 200 and headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8", headers
        families = {each.name: each for each in openmetrics.text_string_to_metric_families(text)}
        plain = {each.name: each for each in prometheus_text.text_string_to_metric_families(servers.get(daemon.url + "/metrics")[1])}
        assert {(each.name, each.type) for each in families.values()} == {(each.name, each.type) for each in plain.values()}
        reasons = {each.exemplar.labels.get("reason") for each in families["keepwell_probe_duration_seconds"].samples if each.exemplar}
        assert reasons >= {"connection_refused"}, reasons
        with pytest.raises(ValueError):
            list(openmetrics.text_string_to_metric_families(text.replace("# EOF", "")))


def test_what_is_served_is_clean_to_promtool(build):
    with watched_app(build) as (redis, app, daemon):
        daemon.wait_state("api", "healthy")
        redis.kill()
        daemon.wait_state("redis", "unhealthy")
        wait_until(lambda: daemon.metric("keepwell_signals_total", compose_service="redis") == 1)
        for server in (daemon, app):
            status, text, headers = servers.get(server.url + "/metrics")
            assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
            assert len(text.splitlines()) > 20 and check_metrics(text) == ""


def test_the_golden_text_is_clean_to_promtool_and_promtool_can_complain(request):
    golden = (request.config.rootpath / "golden" / "metrics.txt").read_text(encoding="utf-8")
    assert check_metrics(golden) == ""
    assert "counter" in check_metrics(golden.replace("keepwell_signals_total", "keepwell_signals"))


def test_prometheus_asks_by_the_scrape_configuration_of_the_documentation(build, tmp_path):
    """As it stands in docs/blackbox.md, but for the addresses."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "blackbox.md").read_text(encoding="utf-8")
    job = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["scrape_configs"][0]
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {http_2xx: {prober: http, timeout: 2s}}")
    with keepwell.running(build, {"project": "shop"}, f"--blackbox.config.file={modules}") as daemon:
        targets = [daemon.url + "/-/healthy", "http://127.0.0.1:1/"]
        job["static_configs"] = [{"targets": targets}]
        job["relabel_configs"][-1]["replacement"] = daemon.address
        with prometheus({}, [{**job, "scrape_timeout": "1s", "scrape_interval": "1s"}]) as server:
            wait_until(lambda: len(server.ask("probe_success")) == 2)
            assert {dict(labels)["instance"]: success for labels, success in server.ask("probe_success").items()} == {
                targets[0]: 1, targets[1]: 0}
            assert value(server.ask(f'probe_http_status_code{{instance="{targets[0]}"}}')) == 200
            assert value(server.ask(f'probe_timeout_seconds{{instance="{targets[0]}"}}')) == pytest.approx(0.5, abs=0.01)
        page = daemon.get("/probe?target=" + urllib.parse.quote(targets[0]))[1]
        assert check_metrics(page) == ""
