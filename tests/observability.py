"""Prometheus and Alertmanager as keepwell ships them, quicker.

They run the very files of deploy/observability and dashboards/rules. Only what must differ here is changed, mechanically:
addresses, paths, and durations (`for: 10m`, `[1h]`, `offset 3m`, `group_wait: 30s`). Up to an hour a duration becomes a 240th;
beyond, it grows slowly, so that three days are 23 s, and no `for` is longer than 4 s. Their order is kept. What is scraped and
worked out every 15 s is so every 200 ms."""

import contextlib
import json
import pathlib
import re
import urllib.parse

import servers

ROOT = pathlib.Path(__file__).resolve().parents[1]
RULES = ROOT / "dashboards" / "rules"
SHIPPED = ROOT / "deploy" / "observability"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(for: |\[|offset |group_\w+: )(\d+)([smhd])\b")


def shortened(text):
    """A file of rules or of Alertmanager's with its durations shortened."""

    def shorter(found):
        seconds = int(found[2]) * UNITS[found[3]]
        short = seconds / 240 if seconds <= 3600 else 15 * (seconds / 3600) ** 0.1
        if found[1] == "for: ":
            short = min(short, 4)
        return f"{found[1]}{round(short * 1000)}ms"

    return DURATION.sub(shorter, text)


class Prometheus(servers.Server):
    def api(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        status, body, _ = servers.get(f"{self.url}/api/v1/{path}?{query}", timeout=30)
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", f"{path} {parameters}: {body}"
        return answer["data"]

    def ask(self, query, **parameters):
        """The series that an instant query finds: [(labels, value)]."""
        found = self.api("query", query=query, **parameters)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]


class Alertmanager(servers.Server):
    def alerts(self, name=None, **labels):
        """What it holds now, also what is inhibited."""
        status, body, _ = servers.get(f"{self.url}/api/v2/alerts")
        assert status == 200, body
        wanted = {**labels, **({"alertname": name} if name else {})}
        return [alert for alert in json.loads(body) if wanted.items() <= alert["labels"].items()]


@contextlib.contextmanager
def alertmanager():
    directory = servers.new_directory("alertmanager")
    config = pathlib.Path(directory, "alertmanager.yml")
    config.write_text(shortened((SHIPPED / "alertmanager.yml").read_text(encoding="utf-8")), encoding="utf-8")
    port = servers.free_port()
    argv = [servers.need("prometheus-alertmanager", "prometheus-alertmanager"), f"--config.file={config}",
            f"--storage.path={directory}/data", f"--web.listen-address={servers.HOST}:{port}", "--cluster.listen-address="]
    with servers.started(Alertmanager("alertmanager", argv, port=port, directory=directory,
                                      ready=lambda it: servers.get(it.url + "/-/ready")[0] == 200)) as server:
        yield server


@contextlib.contextmanager
def prometheus(targets, alertmanager_address):
    """Scrapes these addresses as the job keepwell."""
    directory = servers.new_directory("prometheus")
    for name in ("recording.yml", "alerts.yml"):
        text = shortened((RULES / name).read_text(encoding="utf-8"))
        pathlib.Path(directory, name).write_text(text, encoding="utf-8")
    text = (SHIPPED / "prometheus.yml").read_text(encoding="utf-8")
    for shipped, here in {"/etc/prometheus/rules": directory, "alertmanager:9093": alertmanager_address,
                          "[keepwell:5337]": json.dumps(targets), "_interval: 15s": "_interval: 200ms"}.items():
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    config = pathlib.Path(directory, "prometheus.yml")
    config.write_text(text, encoding="utf-8")
    servers.run([servers.need("promtool", "prometheus"), "check", "config", config])
    port = servers.free_port()
    argv = [servers.need("prometheus", "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={servers.HOST}:{port}", "--log.level=warn"]
    with servers.started(Prometheus("prometheus", argv, port=port, directory=directory,
                                    ready=lambda it: servers.get(it.url + "/-/ready")[0] == 200)) as server:
        yield server
