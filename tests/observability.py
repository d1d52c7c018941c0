"""Prometheus and Alertmanager as keepwell ships them, quicker.

They run by the command lines of deploy/compose.observability.yaml, from the files that it mounts. Only what must differ here is
changed, mechanically: addresses, where paths begin, and durations (`for: 10m`, `[1h]`, `offset 3m`, `group_wait: 30s`). Up to an
hour a duration becomes a 240th; beyond, it grows slowly, so that three days are 23 s, and no `for` is longer than 4 s. Their order
is kept. What is scraped and worked out every 15 s is so every 200 ms."""

import contextlib
import json
import pathlib
import re
import urllib.parse

import servers
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
RULES = ROOT / "dashboards" / "rules"
COMPOSE = ROOT / "deploy" / "compose.observability.yaml"
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


def compose(**variables):
    """The Compose file, with these variables and the defaults of the others."""
    def value(found):
        name, default = found[1], found[2]
        return variables[name] if name in variables else default.removeprefix(":-")

    text = re.sub(r"\$\{(\w+)(:[-?][^}]*)\}", value, COMPOSE.read_text(encoding="utf-8"))
    return yaml.safe_load(text)


def mounts(service):
    """{path in the container: path of the file or folder in the checkout, or None for a volume}"""
    found = {}
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2]
        found[target] = (COMPOSE.parent / source).resolve() if source.startswith(".") else None
    return found


def laid_out(name, directory, addresses):
    """The arguments of a service of the Compose file, after its files were put under the directory as it would find them
    under /, shortened and with these addresses in the place of its own."""
    service = compose(KEEPWELL_NETWORK="shop_default")["services"][name]
    targets = mounts(service)

    def inside(text):
        for target in targets:
            text = re.sub(rf"(?<=[=\s]){target}(?![\w.])", directory + target, text)
        for shipped, here in addresses.items():
            text = text.replace(shipped, here)
        return text

    for target, source in targets.items():
        path = pathlib.Path(directory + target)
        (path.parent if source and source.is_file() else path).mkdir(parents=True, exist_ok=True)
        for file in [] if source is None else [source] if source.is_file() else source.glob("*.yml"):
            here = path if source.is_file() else path / file.name
            here.write_text(inside(shortened(file.read_text(encoding="utf-8"))), encoding="utf-8")
    return [inside("=" + word)[1:] for word in service["command"]]


@contextlib.contextmanager
def started(kind, name, program, addresses):
    directory = servers.new_directory(name)
    port = servers.free_port()
    argv = [servers.need(program, program), *laid_out(name, directory, addresses), f"--web.listen-address={servers.HOST}:{port}"]
    with servers.started(kind(name, argv, port=port, directory=directory,
                              ready=lambda it: servers.get(it.url + "/-/ready")[0] == 200)) as server:
        yield server


def alertmanager():
    return started(Alertmanager, "alertmanager", "prometheus-alertmanager", {})


def prometheus(targets, alertmanager_address):
    """Scrapes these addresses as the job keepwell."""
    return started(Prometheus, "prometheus", "prometheus",
                   {"alertmanager:9093": alertmanager_address, "[keepwell:5337]": json.dumps(targets),
                    "_interval: 15s": "_interval: 200ms"})
