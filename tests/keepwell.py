"""A running keepwell for the tests: written configuration, started daemon, parsed answers.

    with keepwell.running(build, {"services": {"redis": {"probes": [{"redis": "127.0.0.1:6379"}]}}}) as daemon:
        daemon.wait_state("redis", "healthy")
        daemon.metric('keepwell_service_state', compose_service="redis", state="healthy") == 1
"""

import contextlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

import servers

FAST = {"interval": "200ms", "timeout": "400ms", "retries": 3}


class Daemon(servers.Server):
    def __init__(self, build, config, *options, env=None, socket=True):
        directory = servers.new_directory("keepwell")
        self.build = build
        self.config_file = f"{directory}/keepwell.yaml"
        self.state_file = f"{directory}/state.json"
        self.socket = f"{directory}/socket" if socket else "none"
        port = servers.free_port()
        argv = [build / "daemon" / "keepwell", f"--config.file={self.config_file}",
                f"--web.listen-address=127.0.0.1:{port}", f"--web.socket={self.socket}",
                f"--state.file={self.state_file}", "--config.auto-reload-interval=0", *options]
        super().__init__("keepwell", argv, port=port, directory=directory, env={**os.environ, **(env or {})},
                         ready=lambda it: self.get("/-/healthy")[0] == 200)
        self.write(config)

    def write(self, config):
        """JSON is YAML; a string is written as it is."""
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(config if isinstance(config, str) else json.dumps(config, indent=1))

    def request(self, method, path, body=None, headers=None, timeout=10):
        """(status, text) of any answer."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body=b""):
        return self.request("POST", path, body)

    def status(self):
        code, text = self.get("/api/v1/status")
        assert code == 200, text
        return json.loads(text)

    def service(self, name):
        code, text = self.get(f"/api/v1/services/{name}")
        assert code == 200, text
        return json.loads(text)

    def instance(self, service, name=None):
        return next(each for each in self.service(service)["instances"] if name in (None, each["name"]))

    def history(self, kind=None, service=None):
        happenings = json.loads(self.get("/api/v1/signals")[1])["history"]
        return [each for each in happenings if kind in (None, each["kind"]) and service in (None, each["service"])]

    def wait_state(self, service, state, seconds=15):
        def reached():
            now = self.service(service)
            assert now["state"] == state, now
            return True
        return servers.wait_until(reached, seconds, f"{service} is {state}", 0.05)

    def wait_hold(self, service, hold, seconds=15):
        return servers.wait_until(lambda: self.instance(service).get("hold", {}).get("name") == hold, seconds,
                                  f"{service} is held by {hold}", 0.05)

    def metrics(self):
        code, text = self.get("/metrics")
        assert code == 200
        return text

    def metric(self, name, **labels):
        """The value of the one series that has these labels, or None."""
        for line in self.metrics().splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if labels.items() <= found.items():
                    return float(match[3])
        return None

    def command(self, *words, check=True):
        """Runs `keepwell WORDS` against this daemon; returns the completed process."""
        done = subprocess.run([str(self.build / "daemon" / "keepwell"), *words], text=True, capture_output=True,
                              timeout=30, check=False, env={**os.environ, "KEEPWELL_URL": f"unix:{self.socket}"})
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@contextlib.contextmanager
def running(build, config, *options, env=None, socket=True):
    with servers.started(Daemon(build, config, *options, env=env, socket=socket)) as daemon:
        yield daemon


def http(url, **more):
    return {"http": url, **FAST, **more}
