"""What deploy/compose.observability.yaml wires together fits together: mounts, addresses, data sources, dashboards. How its
Prometheus and its Alertmanager run is shown in test_observability.py."""

import json
import os
import re
import subprocess
import urllib.parse

import pytest
import servers
import yaml
from observability import COMPOSE, ROOT, compose, mounts

GRAFANA = ROOT / "deploy" / "observability" / "grafana"


@pytest.fixture(name="services", scope="module")
def fixture_services():
    return compose(KEEPWELL_NETWORK="shop_default")["services"]


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def port_of(services, name):
    """The port that a service listens on, as it is published."""
    (published,) = services[name]["ports"]
    return int(published.rsplit(":", 1)[1])


def test_what_is_mounted_is_there(services):
    for name, service in services.items():
        for target, source in mounts(service).items():
            assert source is None or source.exists(), f"{name}: {target}"
        for word in service.get("command", []):
            if path := re.search(r"=(/[\w./-]+)", word):
                assert any(path[1].startswith(target) for target in mounts(service)), f"{name}: {word}"


def test_prometheus_and_alertmanager_take_their_files(services):
    prometheus, alertmanager = (mounts(services[name]) for name in ("prometheus", "alertmanager"))
    servers.run([servers.need("amtool", "prometheus-alertmanager"), "check-config",
                 alertmanager["/etc/alertmanager/alertmanager.yml"]])
    config = load(prometheus["/etc/prometheus/prometheus.yml"])
    rules = prometheus["/etc/prometheus/rules"]
    assert config["rule_files"] == [f"/etc/prometheus/rules/{name}" for name in ("recording.yml", "alerts.yml")]
    assert all((rules / path.rsplit("/", 1)[1]).is_file() for path in config["rule_files"])
    (told,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert told == f"alertmanager:{port_of(services, 'alertmanager')}"
    assert {job["job_name"] for job in config["scrape_configs"]} == {"keepwell"}, "what the alerts call it"


def test_grafana_finds_its_data_sources_and_dashboards(services):
    mounted = mounts(services["grafana"])
    for source in load(GRAFANA / "datasources.yaml")["datasources"]:
        url = urllib.parse.urlsplit(source["url"])
        assert url.hostname == source["type"] and url.port == port_of(services, url.hostname)
    (provider,) = load(GRAFANA / "dashboards.yaml")["providers"]
    folder = mounted[provider["options"]["path"]]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / home.removeprefix(provider["options"]["path"] + "/")).is_file()
    assert len(list(folder.rglob("*.json"))) == 3, "whatever is JSON there is a dashboard to Grafana"
    assert {mounted[f"/etc/grafana/provisioning/{name}/keepwell.yaml"] for name in ("datasources", "dashboards")} == {
        GRAFANA / "datasources.yaml", GRAFANA / "dashboards.yaml"}


def test_all_of_it_listens_on_loopback_only(services):
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_takes_the_file_from_anywhere(engine, tmp_path):
    def config(**variables):
        return subprocess.run([*engine.compose, "-f", str(COMPOSE), "config", "--format", "json"], cwd=tmp_path, text=True,
                              capture_output=True, timeout=60, check=False, env={**os.environ, **variables})

    done = config(KEEPWELL_NETWORK="shop_default", GRAFANA_PORT="3001")
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["name"] == "keepwell-observability" and read["networks"]["watched"]["name"] == "shop_default"
    assert read["services"]["grafana"]["ports"][0]["published"] == "3001"
    for name, service in compose(KEEPWELL_NETWORK="shop_default")["services"].items():
        sources = {volume["target"]: volume["source"] for volume in read["services"][name]["volumes"] if volume["type"] == "bind"}
        assert sources == {target: str(path) for target, path in mounts(service).items() if path}
    assert "the network that keepwell is in" in config().stderr
