"""The app tier against real servers: what it serves, what it says when a dependency is down, hangs or comes
back, how it ends, and the faults that it can be told to have."""

import base64
import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest
import servers
from servers import wait_until

HOST = servers.HOST
POSTGRES = {"POSTGRES_HOST": HOST, "POSTGRES_DB": "app", "POSTGRES_USERNAME": "app",
            "POSTGRES_PASSWORD": "secret"}
MYSQL = {"DB_NAME": "app", "DB_USERNAME": "app", "DB_PASSWORD": "secret", "DB_HOST": HOST}


@pytest.fixture(name="program", scope="session")
def fixture_program(build):
    path = build / "deploy" / "app" / "keepwell-app"
    assert path.exists(), f"{path} is not built"
    return path


@contextlib.contextmanager
def app(program, role, **settings):
    """The app in a role, with these environment variables and no others of its own."""
    port = None if role == "worker" else servers.free_port()
    env = {"LOG_LEVEL": "debug", **{name: str(value) for name, value in settings.items()}}
    if port:
        env["PORT"] = str(port)
    with servers.program([program, role], env=env, port=port or 0) as server:
        yield server


def ask(server, path, **options):
    status, body, _ = servers.get(server.url + path, **options)
    return status, json.loads(body) if body.startswith("{") else body


def run(*argv, env=None):
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=10, check=False)


def health(server, path="/health"):
    start = time.monotonic()
    status, body = ask(server, path)
    assert time.monotonic() - start < 2.5, "a health answer takes at most about two seconds"
    return status, {name: check["status"] for name, check in body["checks"].items()}, body


@contextlib.contextmanager
def database_of_its_own(kind):
    """A database to be broken, and the environment variables that lead to it."""
    with (servers.postgres if kind == "postgres" else servers.mariadb)() as database:
        if kind == "postgres":
            yield database, {**POSTGRES, "POSTGRES_PORT": database.port}
        else:
            yield database, {**MYSQL, "DB_PORT": database.port}


def with_redis(redis):
    return {"REDIS_URL": f"redis://{redis.address}/0"}


def check_with_promtool(text):
    done = subprocess.run([servers.need("promtool", "prometheus"), "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


class WebSocket:
    """The client's half of RFC 6455, by hand: the server's is not tested with its own library."""

    def __init__(self, port, path="/ws"):
        self.socket = socket.create_connection((HOST, port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n")
        self.socket.sendall(head.encode())
        self.stream = self.socket.makefile("rb")
        self.head = b"".join(iter(self.stream.readline, b"\r\n")).decode()

    def send(self, opcode, data=b""):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.socket.sendall(struct.pack("!BB", 0x80 | opcode, 0x80 | len(data)) + mask + masked)

    def receive(self):
        first, length = self.stream.read(2)
        if length == 126:
            length, = struct.unpack("!H", self.stream.read(2))
        return first & 0x0F, self.stream.read(length)

    def receive_until(self, opcode, start=b""):
        while True:
            got, data = self.receive()
            if got == opcode and data.startswith(start):
                return data


def test_visits_are_counted_in_redis_and_survive_a_restart_of_the_api(program):
    with servers.redis() as redis, app(program, "api", **with_redis(redis)) as api:
        assert ask(api, "/api/v1/visits") == (200, {"visits": 0})
        assert ask(api, "/") == (200, {"visits": 1})
        assert ask(api, "/api/v1/visits", method="POST") == (200, {"visits": 2})
        api.restart()
        assert ask(api, "/api/v1/visits/") == (200, {"visits": 2})


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_users_are_kept_in_the_database_whose_table_is_made_by_the_api(program, kind):
    with database_of_its_own(kind) as (database, env):
        with app(program, "api", **env) as api, app(program, "api", **env) as replica:
            assert ask(api, "/api/v1/users/") == (200, {"users": []})
            body = json.dumps({"name": "Ada O'Neil \\ ☕", "email": "ada@example.org"})
            status, user = ask(api, "/api/v1/users/", method="POST", body=body)
            assert (status, user["name"], user["email"]) == (201, "Ada O'Neil \\ ☕", "ada@example.org")
            assert ask(api, "/api/v1/users/", method="POST", body=body)[0] == 409
            assert ask(replica, "/api/v1/users")[1]["users"] == [user]
            assert health(api)[:2] == (200, {kind: "ok"})
            for bad in ("", "{", "[]", '{"name": 1, "email": "a@b"}', '{"name": "a"}',
                        '{"name": "a", "email": "b"}', '{"name": "a\\u0000", "email": "a@b"}',
                        json.dumps({"name": "x" * 300, "email": "a@b"})):
                assert ask(api, "/api/v1/users/", method="POST", body=bad)[0] == 400, bad
            database.kill()
            status, checks, body = health(api)
            assert (status, checks) == (503, {kind: "failed"})
            assert "secret" not in json.dumps(body)
            assert ask(api, "/api/v1/users/")[0] == 503
            database.start()
            wait_until(lambda: health(api)[0] == 200, 10, "the api finds its database again")
            assert ask(api, "/api/v1/users/")[1]["users"] == [user]


@pytest.mark.parametrize("path", ["/health", "/api/health", "/api/v1/health/"])
def test_health_names_the_dependency_that_hangs_within_two_seconds(program, postgres_server, path):
    with servers.redis() as redis:
        with app(program, "api", **with_redis(redis), **POSTGRES, POSTGRES_PORT=postgres_server.port) as api:
            assert health(api, path)[:2] == (200, {"redis": "ok", "postgres": "ok"})
            redis.freeze()
            status, checks, body = health(api, path)
            assert (status, checks) == (503, {"redis": "failed", "postgres": "ok"})
            assert "no answer in time" in body["checks"]["redis"]["error"]
            redis.thaw()
            wait_until(lambda: health(api, path)[0] == 200, 10, "the api finds Redis again")


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_database_that_hangs_hangs_nobody_else(program, redis_server, kind):
    with database_of_its_own(kind) as (database, env):
        with app(program, "api", **with_redis(redis_server), **env) as api:
            assert health(api)[0] == 200
            database.freeze()
            assert health(api)[:2] == (503, {"redis": "ok", kind: "failed"})
            many = [threading.Thread(target=ask, args=(api, "/api/v1/users/")) for _ in range(8)]
            for thread in many:
                thread.start()
            start = time.monotonic()
            assert ask(api, "/api/v1/visits")[0] == 200
            assert time.monotonic() - start < 1.8, "it did not wait for the database, which takes two seconds"
            for thread in many:
                thread.join(5)
                assert not thread.is_alive()
            database.thaw()
            wait_until(lambda: health(api)[0] == 200, 15, "the api finds its database again")


def test_the_api_starts_before_its_dependencies_and_finds_them(program):
    redis_port = servers.free_port()
    env = {"REDIS_HOST": HOST, "REDIS_PORT": redis_port, "DB_HOST": "no-such-host.invalid"}
    with app(program, "api", **env) as api:
        status, checks, body = health(api)
        assert (status, checks) == (503, {"redis": "failed", "mysql": "failed"})
        assert "refused" in body["checks"]["redis"]["error"]
        with servers.redis(port=redis_port):
            wait_until(lambda: health(api)[1]["redis"] == "ok", 10, "the api finds Redis")
            wait_until(lambda: 'msg="dependency is back"' in api.log(), 10, "the log says so")


def test_a_password_comes_from_the_environment_a_file_or_the_url_and_is_never_told(program, tmp_path):
    (tmp_path / "password").write_text("hidden word\n", encoding="utf-8")
    ways = [{"REDIS_HOST": HOST, "REDIS_PASSWORD": "hidden word"},
            {"REDIS_HOST": HOST, "REDIS_PASSWORD_FILE": tmp_path / "password"},
            {"REDIS_URL": "redis://:hidden%20word@127.0.0.1:@PORT@/3"}]
    with servers.redis("--requirepass", "hidden word") as redis:
        for env in ways:
            env = {name: str(value).replace("@PORT@", str(redis.port)) for name, value in env.items()}
            with app(program, "api", REDIS_PORT=redis.port, **env) as api:
                assert health(api)[0] == 200
                assert "hidden" not in api.log()
        env = {"REDIS_HOST": HOST, "REDIS_PORT": redis.port, "REDIS_PASSWORD": "hidden mistake"}
        with app(program, "api", **env) as api:
            status, _, body = health(api)
            assert status == 503 and "hidden" not in json.dumps(body) + api.log()


@pytest.mark.parametrize("arguments, env, says", [
    ([], {}, "expected one role"),
    (["queen"], {}, "is no role"),
    (["api", "web"], {}, "expected one role"),
    (["api"], {"PORT": "70000"}, "PORT=70000: not a port"),
    (["api"], {"REDIS_URL": "rediss://x"}, "REDIS_URL: expected redis://"),
    (["api"], {"REDIS_HOST": "x", "REDIS_PASSWORD_FILE": "/no"}, "REDIS_PASSWORD_FILE=/no: cannot be read"),
    (["api"], {"POSTGRES_HOST": "x", "DB_HOST": "y"}, "are both set"),
    (["api"], {"DATABASE_URL": "oracle://x/y"}, "DATABASE_URL: expected"),
    (["web"], {"API_URL": "ftp://x"}, "API_URL=ftp://x: expected"),
    (["worker"], {}, "a worker needs the Redis"),
    (["worker"], {"REDIS_HOST": "x", "HEARTBEAT_INTERVAL": "0"}, "HEARTBEAT_INTERVAL=0"),
    (["api"], {"LOG_LEVEL": "loud", "PORT": "x"}, "2 problem(s)"),
])
def test_wrong_usage_ends_with_100_and_says_what_is_wrong(program, arguments, env, says):
    done = run(program, *arguments, env=env)
    assert done.returncode == 100
    assert says in done.stderr


def test_help_and_version_are_told(program):
    for option, start in (("--help", "usage: keepwell-app"), ("--version", "keepwell-app ")):
        done = run(program, option)
        assert done.returncode == 0 and done.stdout.startswith(start)


def test_a_port_that_is_taken_is_an_error(program):
    with app(program, "api") as api:
        for role in ("api", "web"):
            done = run(program, role, env={"PORT": str(api.port)})
            assert done.returncode == 1 and "cannot listen" in done.stdout


def test_metrics_are_clean_and_count_requests_and_dependencies(program, redis_server):
    with app(program, "api", **with_redis(redis_server), POSTGRES_HOST=HOST, POSTGRES_PORT="1") as api:
        ask(api, "/api/v1/visits")
        ask(api, "/no/such/path")
        health(api)
        text = servers.get(api.url + "/metrics")[1]
        check_with_promtool(text)
        for line in ('app_http_requests_total{code="200",method="GET",route="/api/v1/visits"} 1',
                     'app_http_requests_total{code="404",method="GET",route="other"} 1',
                     'app_dependency_up{dependency="redis"} 1', 'app_dependency_up{dependency="postgres"} 0',
                     'app_http_request_duration_seconds_count{route="/api/v1/visits"} 1'):
            assert line in text, text
        assert 'app_build_info{role="api",version="' in text


def test_unknown_paths_methods_and_broken_requests_get_their_status(program):
    with app(program, "api") as api:
        assert ask(api, "/nothing")[0] == 404
        status, _, headers = servers.get(api.url + "/health", method="DELETE")
        assert (status, headers["Allow"]) == (405, "GET")
        assert ask(api, "/api/v1/visits")[0] == 503
        assert servers.get(f"{api.url}/{'x' * 7000}")[0] == 414
        assert servers.get(api.url + "/api/v1/jobs", method="POST", body="x" * 100_000)[0] == 413
        with socket.create_connection((HOST, api.port), timeout=5) as client:
            client.sendall(b"\x00\xff garbage\r\n\r\n")
            assert client.recv(100)[:12] in (b"", b"HTTP/1.1 400")
        assert ask(api, "/health")[0] == 200


@pytest.mark.parametrize("role", ["api", "web", "worker"])
def test_sigterm_ends_every_role_with_0_and_finishes_what_is_in_flight(program, redis_server, role):
    settings = {"APP_FAULTS": "1"} if role == "web" else {"APP_FAULTS": "1", **with_redis(redis_server)}
    with app(program, role, **settings) as server:
        answers = []
        if role != "worker":
            assert ask(server, "/faults/slow?ms=700", method="POST")[0] == 200
            request = threading.Thread(target=lambda: answers.append(ask(server, "/health")[0]))
            request.start()
            with socket.create_connection((HOST, server.port)):  # an idle connection does not hold it up
                wait_until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) > 5, 5)
                time_of_request = time.monotonic()
                wait_until(lambda: time.monotonic() - time_of_request > 0.2, 5, "the request has arrived")
                start = time.monotonic()
                assert server.stop() == 0
                request.join(5)
                assert answers == [200]
        else:
            wait_until(lambda: "working" in server.log(), 5)
            start = time.monotonic()
            assert server.stop() == 0
        assert time.monotonic() - start < 5
        assert "msg=stopped" in server.log()


def test_faults_are_obeyed_only_when_allowed(program):
    with app(program, "api") as api, app(program, "web") as web:
        for server in (api, web):
            assert ask(server, "/faults/crash", method="POST")[0] == 404
            assert ask(server, "/health")[0] == 200


@pytest.mark.parametrize("role", ["api", "web"])
def test_a_server_can_be_told_to_hang_fail_slow_down_leak_and_crash(program, role):
    with app(program, role, APP_FAULTS="1") as server:
        def fault(command, status=200):
            assert ask(server, f"/faults/{command}", method="POST")[0] == status

        fault("hang")
        for _ in range(40):  # more than it has threads: it must still hear the command that ends it
            with socket.create_connection((HOST, server.port), timeout=5) as client:
                client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(OSError):
            servers.get(server.url + "/health", timeout=0.5)
        fault("clear")
        assert ask(server, "/health")[0] == 200
        fault("error")
        assert ask(server, "/health")[0] == 500
        fault("clear")
        fault("slow?ms=300")
        start = time.monotonic()
        assert ask(server, "/health")[0] == 200
        assert 0.3 <= time.monotonic() - start < 2
        fault("clear")
        before = resident(server.pid)
        fault("leak?mb=50")
        assert resident(server.pid) - before > 45 << 20
        for bad in ("sleep", "slow?ms=x", "slow?ms=-1", "leak?mb=1e9", "slow?s=3"):
            fault(bad, 400)
        with pytest.raises(OSError):
            servers.get(server.url + "/faults/crash", method="POST")
        wait_until(lambda: not server.running(), 10, "it crashes")


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_web_front_serves_a_page_that_needs_nothing_from_outside(program):
    with app(program, "web") as web:
        status, page, headers = servers.get(web.url + "/")
        assert status == 200 and headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        for forbidden in ("http://", "https://", "<script>", "<style", "style="):
            assert forbidden not in page
        files = {"/app.js": "text/javascript", "/app.css": "text/css", "/icon.svg": "image/svg+xml"}
        for path, kind in files.items():
            status, _, headers = servers.get(web.url + path)
            assert status == 200 and headers["Content-Type"].startswith(kind)
        assert ask(web, "/health")[0] == 200
        status, body, headers = servers.get(web.url + "/", method="HEAD")
        assert (status, body) == (200, "") and int(headers["Content-Length"]) == len(page.encode())


def test_the_web_front_passes_the_api_on_and_says_so_when_it_is_away(program, redis_server):
    with app(program, "api", **with_redis(redis_server), APP_FAULTS="1") as api:
        with app(program, "web", API_URL=api.url) as web:
            wait_until(lambda: ask(web, "/api/v1/config/frontend/")[0] == 200, 5, "web finds the api")
            before = ask(web, "/api/v1/visits")[1]["visits"]
            assert ask(web, "/api/v1/visits", method="POST") == (200, {"visits": before + 1})
            assert ask(web, "/api/v1/users/")[0] == 503
            assert ask(web, "/api/v1/users/", method="POST", body="{}")[0] == 503
            api.freeze()
            start = time.monotonic()
            assert ask(web, "/api/v1/visits")[0] == 502
            assert time.monotonic() - start < 6
            assert ask(web, "/health")[0] == 200
            api.thaw()
            api.kill()
            status, body = ask(web, "/api/health")
            assert status == 502 and "refused" in body["error"]
            api.start()
            assert ask(web, "/api/health")[0] == 200
            check_with_promtool(servers.get(web.url + "/metrics")[1])


def test_the_websocket_speaks_rfc_6455_and_tells_of_visits(program, redis_server):
    with app(program, "api", **with_redis(redis_server)) as api, app(program, "web", API_URL=api.url) as web:
        client = WebSocket(web.port)
        assert client.head.startswith("HTTP/1.1 101")
        client.send(1, b"hello")
        assert client.receive_until(1, b"hello") == b"hello"
        client.send(9, b"are you there")
        assert client.receive_until(10) == b"are you there"
        visits = servers.wait_until(lambda: ask(web, "/api/v1/visits", method="POST")[1].get("visits"), 10, "a visit is counted", 0.1)
        assert json.loads(client.receive_until(1, f'{{"visits":{visits}'.encode())) == {"visits": visits}
        client.send(8, struct.pack("!H", 1000))
        assert client.receive_until(8)[:2] == struct.pack("!H", 1000)
        assert client.stream.read() == b""
        assert servers.get(web.url + "/ws")[0] == 404  # without an upgrade

        kept = WebSocket(web.port)
        kept.send(1, b"still here")
        kept.receive_until(1, b"still here")
        assert web.stop() == 0
        assert kept.receive_until(8)[:2] == struct.pack("!H", 1001)  # going away


def test_a_websocket_peer_that_breaks_the_rules_is_closed_and_harms_nobody(program):
    with app(program, "web") as web:
        clients = []
        for frame in (b"\x81\x05hello",             # not masked
                      b"\xf1\x80\0\0\0\0",          # reserved bits
                      b"\x81\xff" + b"\xff" * 12,   # longer than anything
                      b"\x83\x80\0\0\0\0"):         # reserved opcode
            client = WebSocket(web.port)
            client.socket.sendall(frame)
            while client.socket.recv(100):
                pass
            clients.append(client)  # its end stays open: the server must not wait for it
        WebSocket(web.port).socket.close()
        assert ask(web, "/health")[0] == 200
        metrics = web.url + "/metrics"
        wait_until(lambda: "app_open_websockets 0" in servers.get(metrics)[1], 25, "none is left open")


def redis_command(redis, *words):
    with socket.create_connection((HOST, redis.port), timeout=5) as client:
        bulks = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        client.sendall(f"*{len(words)}\r\n{bulks}".encode())
        return client.recv(4096).decode()


def jobs_done(redis):
    answer = redis_command(redis, "GET", "jobs:done")
    return 0 if answer == "$-1\r\n" else int(answer.split()[1])


def test_the_worker_does_jobs_and_beats_in_every_way_also_while_redis_is_away(program, tmp_path):
    beat_file = tmp_path / "beat"
    metrics_port = servers.free_port()
    with servers.redis() as redis, app(program, "api") as receiver:
        settings = {**with_redis(redis), "HEARTBEAT_INTERVAL": 1, "HEARTBEAT_FILE": beat_file,
                    "HEARTBEAT_KEY": "beat", "HEARTBEAT_URL": receiver.url + "/api/v1/jobs?x",
                    "METRICS_PORT": metrics_port}
        with app(program, "worker", **settings) as worker:
            redis_command(redis, "RPUSH", "jobs", "one", "two", "three")
            wait_until(lambda: jobs_done(redis) == 3, 10, "the jobs are done")
            wait_until(beat_file.exists, 5)
            assert abs(int(redis_command(redis, "GET", "beat").split()[1]) - time.time()) < 4
            assert redis_command(redis, "TTL", "beat") in (":3\r\n", ":2\r\n")
            wait_until(lambda: "method=POST path=/api/v1/jobs" in receiver.log(), 5, "the beat is POSTed")
            redis.kill()
            seen = beat_file.stat().st_mtime_ns
            wait_until(lambda: beat_file.stat().st_mtime_ns > seen, 8, "it beats without Redis")
            redis.start()
            redis_command(redis, "RPUSH", "jobs", "four")
            wait_until(lambda: jobs_done(redis) == 1, 10, "it works again")
            text = servers.get(f"http://{HOST}:{metrics_port}/metrics")[1]
            check_with_promtool(text)
            assert 'app_jobs_total{result="done"} 4' in text
            assert 'app_heartbeats_total{result="failed",way="key"}' in text


def test_a_worker_told_to_hang_stops_beating_and_still_ends_on_sigterm(program, tmp_path):
    beat_file = tmp_path / "beat"
    with servers.redis() as redis:
        settings = {**with_redis(redis), "HEARTBEAT_INTERVAL": 1, "HEARTBEAT_FILE": beat_file,
                    "APP_FAULTS": "1"}
        with app(program, "worker", **settings) as worker:
            wait_until(beat_file.exists, 5)
            redis_command(redis, "RPUSH", "jobs", "faults/hang", "after")
            wait_until(lambda: "told to be at fault" in worker.log(), 5)
            seen = beat_file.stat().st_mtime_ns
            with pytest.raises(AssertionError):
                wait_until(lambda: beat_file.stat().st_mtime_ns > seen, 2.5)
            assert redis_command(redis, "LLEN", "jobs") == ":1\r\n"
            assert worker.stop() == 0


def test_a_fault_job_is_an_ordinary_job_when_faults_are_not_allowed(program):
    with servers.redis() as redis, app(program, "worker", **with_redis(redis)) as worker:
        redis_command(redis, "RPUSH", "jobs", "faults/crash")
        wait_until(lambda: jobs_done(redis) == 1, 10)
        assert worker.running()


def test_jobs_can_be_handed_in_through_the_api(program):
    with servers.redis() as redis, app(program, "api", **with_redis(redis)) as api:
        assert ask(api, "/api/v1/jobs", method="POST", body="a job") == (202, {"queued": 1})
        assert ask(api, "/api/v1/jobs") == (200, {"queued": 1})
        assert ask(api, "/api/v1/jobs", method="POST", body="x" * 5000)[0] == 400
        assert redis_command(redis, "LPOP", "jobs") == "$5\r\na job\r\n"
