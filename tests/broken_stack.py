"""A live stack that can be broken in every way that an alert knows: several keepwells over real servers and one that does
as it is told, a Prometheus and an Alertmanager.

    with broken_stack.running(build) as stack:
        stack.break_everything(); stack.heal_everything()
"""

import contextlib
import http.server
import pathlib
import shutil
import signal
import threading
import time

import certificates
import keepwell
import observability
import servers

QUICK = {"interval": "200ms", "timeout": "2s", "retries": 2}
NEVER = {**QUICK, "retries": 1000}  # whatever fails, it stays healthy


class Obedient(http.server.BaseHTTPRequestHandler):
    """/NAME is well while there is no file of that name; /flaky answers every second request. The Docker Engine that it also
    plays has no containers, and is out of order while there is a file `engine`."""

    calls = 0

    def do_GET(self):
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        if self.path.startswith("/v1") or name == "version":
            return self.engine(name)
        Obedient.calls += 1
        broken = self.is_broken(name) and (name != "flaky" or Obedient.calls % 2)
        return self.answer(500 if broken else 200, b"sorry" if broken else b"fine")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(500 if self.is_broken(self.path[1:]) else 200, b"")

    def engine(self, name):
        if self.is_broken("engine"):
            return self.answer(500, b'{"message": "out of order"}')
        if name == "events":
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            while not self.is_broken("engine") and not self.server.ends.wait(0.05):
                pass
            return None
        return self.answer(200, b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}' if name == "version" else b"[]")

    def is_broken(self, name):
        return (self.server.directory / name).exists()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Whoever asks may hang up at any time."""


@contextlib.contextmanager
def obedient():
    server = Server((servers.HOST, servers.free_port()), Obedient)
    server.directory = pathlib.Path(servers.new_directory("obedient"))
    server.ends = threading.Event()
    server.url = f"http://{servers.HOST}:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.ends.set()
        server.shutdown()
        server.server_close()
        shutil.rmtree(server.directory, ignore_errors=True)


class Stack:
    """`alerts`: Alertmanager; `prometheus`; `daemons`: the keepwells by what each is there for."""

    def __init__(self, build, cleanup):
        self.build, self.cleanup = build, cleanup
        self.enter = cleanup.enter_context
        self.began = time.time()
        self.redis = self.enter(servers.redis())
        self.obedient = self.enter(obedient())
        self.directory = self.obedient.directory
        self.script = self.directory / "check.sh"
        self.script.write_text("#!/bin/sh\n", encoding="utf-8")
        self.script.chmod(0o755)
        self.start_nginx()
        self.daemons = {name: self.enter(keepwell.running(build, {"project": name, **config}))
                        for name, config in self.configurations().items()}
        self.daemons["lab"].command("pause", "disk")  # the alert about it takes longest
        self.alerts = self.enter(observability.alertmanager())
        self.prometheus = self.enter(observability.prometheus([each.address for each in self.daemons.values()],
                                                              self.alerts.address))
        self.restless = None

    def start_nginx(self):
        authority = certificates.Authority(self.directory)
        self.authority = authority
        self.edge_port = servers.free_port()
        self.certify(60, 60)
        serve = "server {{ listen {} ssl; ssl_certificate {}.pem; ssl_certificate_key {}.key; }}"
        proxy, edge = self.directory / "proxy", self.directory / "edge"
        body = serve.format("127.0.0.1:@PORT@", proxy, proxy) + serve.format(f"127.0.0.1:{self.edge_port}", edge, edge)
        self.nginx = self.enter(servers.nginx(body))

    def certify(self, proxy_days, edge_days):
        for name, days in (("proxy", proxy_days), ("edge", edge_days)):
            leaf = self.authority.issue("127.0.0.1", days=days)
            shutil.copy(leaf.certificate, self.directory / f"{name}.pem")
            shutil.copy(leaf.key, self.directory / f"{name}.key")

    def configurations(self):
        return {"shop": self.shop(), "lab": self.lab(),
                "clumsy": self.clumsy(),
                "late": {"services": {"steady": {"probes": [{**self.asks("steady"), "interval": "50ms"}]}}},
                "doubtful": {"services": {name: {"probes": [self.asks("sight")]} for name in ("one", "two")},
                             "self_check": {"http": f"{self.obedient.url}/sight", "timeout": "1s"}},
                "fallen": {"services": {"fine": {"probes": [self.asks("fine")]}}}}

    def clumsy(self):
        return {"docker": {"host": self.obedient.url.replace("http", "tcp"), "projects": "all"}}

    def asks(self, name, **more):
        return {"http": f"{self.obedient.url}/{name}", **QUICK, **more}

    def shop(self):
        """Redis, four that need it, and a proxy with certificates. Nothing restarts Redis."""
        quick = {"interval": "50ms", "timeout": "2s", "retries": 3}
        services = {"redis": {"probes": [{"redis": self.redis.address, **quick}]}}
        for name in ("api-1", "api-2", "api-3", "api-4"):
            port = servers.free_port()
            self.enter(servers.program([self.build / "deploy" / "app" / "keepwell-app", "api"], name=name, port=port,
                                       env={"PORT": str(port), "REDIS_URL": f"redis://{self.redis.address}/0"}))
            services[name] = {"depends_on": ["redis"], "probes": [{"http": f"http://127.0.0.1:{port}/health", **quick}]}
        for name, port in (("proxy", self.nginx.port), ("edge", self.edge_port)):
            tls = {"ca_file": self.authority.certificate}
            services[name] = {"probes": [{"http": {"url": f"https://127.0.0.1:{port}/", "tls": tls, "status": "200-499"},
                                          **NEVER}]}
        return {"services": services}

    def lab(self):
        """One service for each way to fail."""
        broken, act = self.directory, {"mode": "act", "backoff": "100ms", "backoff_max": "100ms"}
        heal = {"argv": ["rm", "-f", "{service}"], "directory": str(broken)}
        gate = {"exec": ["test", "!", "-e", f"{broken}/invalid"], "name": "configuration", "role": "gate", **QUICK}
        services = {
            "gated": {"probes": [self.asks("gated"), gate], "restart": {**act, "command": heal}},
            "doomed": {"probes": [self.asks("doomed")], "restart": {**act, "max": 3, "command": {"argv": ["true"]}}},
            "tired": {"probes": [self.asks("tired")], "restart": {**act, "max": 6, "command": heal}},
            "stubborn": {"probes": [self.asks("stubborn")], "restart": {**act, "max": 1000, "command": {"argv": ["false"]}}},
            "restless": {"probes": [{**self.asks("restless"), "retries": 1, "interval": "100ms"}], "restart": {"mode": "observe"}},
            "flaky": {"probes": [self.asks("flaky", **NEVER)]},
            "unseen": {"probes": [{"exec": [str(self.script)], **QUICK, "interval": "400ms"}]},
            "disk": {"probes": [self.asks("disk")]},
            **{f"fine-{i}": {"probes": [self.asks("fine")]} for i in range(4)},
        }
        hook = {"url": f"{self.obedient.url}/hook", "retries": 0, "timeout": "1s"}
        return {"services": services, "webhooks": [hook], "max_restarts_at_once": 4}

    def age(self):
        return time.time() - self.began

    def spoil(self, name):
        (self.directory / name).touch()

    def mend(self, name):
        (self.directory / name).unlink(missing_ok=True)

    def break_everything(self):
        lab, clumsy = self.daemons["lab"], self.daemons["clumsy"]
        self.redis.kill()
        self.certify(10, 1)
        self.nginx.send(signal.SIGHUP)
        for name in ("hook", "invalid", "gated", "doomed", "stubborn", "flaky", "engine", "sight"):
            self.spoil(name)
        self.script.rename(self.directory / "gone")
        clumsy.write("services: {redis: {probs: 1}}")
        assert clumsy.post("/-/reload")[0] == 500
        self.daemons["fallen"].stop()
        for i in range(1, 6):  # five of its six restarts
            self.spoil("tired")
            servers.wait_until(lambda i=i: lab.metric("keepwell_actions_total", compose_service="tired", result="ok") == i, 20)
            lab.wait_state("tired", "healthy")
        self.restless = threading.Event()
        self.cleanup.callback(self.restless.set)
        for each in (self.flap, self.stutter):
            threading.Thread(target=each, args=(self.restless,), daemon=True).start()

    def flap(self, over):
        """A service that comes and goes."""
        while not over.wait(0.15):
            self.spoil("restless")
            over.wait(0.15)
            self.mend("restless")

    def stutter(self, over):
        """A keepwell that is often stopped for a moment."""
        while not over.wait(0.1):
            self.daemons["late"].send(signal.SIGSTOP)
            over.wait(0.15)
            self.daemons["late"].send(signal.SIGCONT)

    def heal_everything(self):
        lab, clumsy = self.daemons["lab"], self.daemons["clumsy"]
        self.restless.set()
        self.redis.start()
        self.certify(60, 60)
        self.nginx.send(signal.SIGHUP)
        for name in ("hook", "invalid", "doomed", "stubborn", "flaky", "engine", "sight"):
            self.mend(name)  # but not `gated`: its restart does that, now that it may
        (self.directory / "gone").rename(self.script)
        clumsy.write({"project": "clumsy", **self.clumsy()})
        assert clumsy.post("/-/reload")[0] == 200
        self.daemons["fallen"].start()
        lab.command("resume", "tired")
        lab.command("resume", "disk")


@contextlib.contextmanager
def running(build):
    with contextlib.ExitStack() as cleanup:
        yield Stack(build, cleanup)
