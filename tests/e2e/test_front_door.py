"""The front door: TLS, users, client certificates, roles and limits of --web.config.file, asked with curl and by Prometheus."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import socket
import ssl
import subprocess
import threading
import time

import browser
import certificates
import keepwell
import pytest
import servers

# bcrypt; the first two are cheap, the third costs what passwords of people should.
USERS = {"alice": "$2b$04$hupZYd7fdSokiIRLxbaMpOYySy/bP.AMBiJYGrhEfJcSn9sI4wPU2",
         "grafana": "$2b$04$K3z5zW7KwZBsVx.VoupJeOZR7MYph4rf.LZyMeJGq1ZurURJXKkiW"}
ALICE, GRAFANA = "alice:correct horse", "grafana:look only"
SLOW = {"slow": "$2b$11$JeLd1KALGBRYOOqsq61.Req.H0OGSke6T601GyOy/ygsI8IVM34iW"}
SLOW_LOGIN = "slow:slow coach"
ROLES = {"alice": "act", "grafana": "read"}
STACK = {"services": {"fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}


class Guarded(keepwell.Daemon):
    """A keepwell with a web configuration. Its own `get` and `post` go over the unix socket, where nobody is asked who he is."""

    def __init__(self, build, directory, web, *options):
        self.web_file = f"{directory}/web.yml"
        self.write_web(web)
        super().__init__(build, STACK, f"--web.config.file={self.web_file}", *options)

    def write_web(self, web):
        """All at once, as an editor or a secret store does it."""
        with open(self.web_file + ".new", "w", encoding="utf-8") as file:
            file.write(web if isinstance(web, str) else json.dumps(web, indent=1))
        os.replace(self.web_file + ".new", self.web_file)

    def request(self, method, path, body=None, headers=None, timeout=10):
        return self.curl(path, "-X", method, "--unix-socket", self.socket, "--max-time", str(timeout), scheme="http")

    def curl(self, path, *options, scheme="https"):
        """(status, body); the status is curl's own, negative, when there was no answer."""
        done = subprocess.run(["curl", "-s", "-w", "\n%{http_code}", *options, f"{scheme}://localhost:{self.port}{path}"],
                              capture_output=True, text=True, timeout=30, check=False)
        body, status = done.stdout.rsplit("\n", 1)
        return (int(status), body) if done.returncode == 0 else (-done.returncode, body)


@contextlib.contextmanager
def guarded(build, directory, web, *options):
    with servers.started(Guarded(build, directory, web, *options)) as daemon:
        daemon.wait_state("fine", "healthy")
        yield daemon


@pytest.fixture
def authority(tmp_path):
    return certificates.Authority(tmp_path)


def tls(leaf, **more):
    return {"cert_file": leaf.certificate, "key_file": leaf.key, **more}


def test_users_show_who_they_are_over_tls(build, tmp_path, authority):
    web = {"tls_server_config": tls(authority.issue("localhost")), "basic_auth_users": USERS, "roles": ROLES}
    with guarded(build, tmp_path, web) as daemon:
        trust = ("--cacert", authority.certificate)
        for path in ("/", "/metrics", "/-/healthy", "/health/fine", "/api/v1/status", "/page/page.css", "/nothing"):
            assert daemon.curl(path, *trust)[0] == 401, path
        for login in ("alice:wrong", "nobody:correct horse", ":", "alice:", "grafana:correct horse"):
            assert daemon.curl("/metrics", *trust, "-u", login)[0] == 401, login
        assert "www-authenticate: basic" in daemon.curl("/metrics", *trust, "-i")[1].lower()
        for login in (ALICE, GRAFANA, ALICE):
            status, text = daemon.curl("/metrics", *trust, "-u", login)
            assert status == 200 and "keepwell_build_info" in text
        # Those who do not trust the certificate, or do not speak TLS, get no further.
        assert daemon.curl("/metrics", "-u", ALICE)[0] == -60
        assert daemon.curl("/metrics", "-u", ALICE, scheme="http") == (400, "this port speaks TLS: use https\n")
        # Whoever may open the socket is trusted by its file's permissions.
        assert daemon.get("/metrics")[0] == 200 and daemon.post("/-/reload")[0] == 200
        assert oct(os.stat(daemon.socket).st_mode)[-3:] == "660"
        assert "correct horse" not in daemon.log() and USERS["alice"] not in daemon.log()


def test_roles_say_who_may_act(build, tmp_path):
    with guarded(build, tmp_path, {"basic_auth_users": {**USERS, "bob": USERS["alice"]}, "roles": ROLES}) as daemon:
        def post(path, login, *more):
            return daemon.curl(path, "-X", "POST", *(("-u", login) if login else ()), *more, scheme="http")[0]

        for path in ("/api/v1/maintenance/fine", "/api/v1/resume/fine", "/-/reload"):
            assert post(path, None) == 401
            assert post(path, GRAFANA) == 403 and post(path, "bob:correct horse") == 403
        assert daemon.service("fine")["state"] == "healthy"
        assert post("/api/v1/maintenance/fine", ALICE) == 200
        assert daemon.service("fine")["state"] == "maintenance"
        assert post("/api/v1/resume/fine", ALICE, "-H", "Origin: http://evil.example") == 403
        assert post("/api/v1/resume/fine", ALICE, "-H", "Sec-Fetch-Site: cross-site") == 403
        assert post("/api/v1/resume/fine", ALICE) == 200
        assert "by=alice" in daemon.log()
        # What a page of another site could do, had it no password, is no reason any more to refuse its own host's name.
        assert post("/api/v1/maintenance/fine", ALICE, "-H", "Host: status.example", "-H", "Origin: http://status.example") == 200


def test_client_certificates_are_asked_for_and_checked(build, tmp_path, authority):
    for name in ("clients", "others"):
        (tmp_path / name).mkdir()
    ours, others = certificates.Authority(tmp_path / "clients"), certificates.Authority(tmp_path / "others")
    web = {"tls_server_config": tls(authority.issue("localhost"), client_auth_type="RequireAndVerifyClientCert",
                                    client_ca_file=ours.certificate, client_allowed_sans=["ops.example", "10.1.2.3", "prometheus"]),
           "roles": {"ops.example": "act"}}

    def show(leaf):
        return ("--cacert", authority.certificate, "--cert", leaf.certificate, "--key", leaf.key)

    with guarded(build, tmp_path, web) as daemon:
        ops, prometheus = ours.issue("ops.example"), ours.issue("prometheus")
        assert daemon.curl("/metrics", *show(prometheus))[0] == 200
        assert daemon.curl("/metrics", *show(ours.issue("by.address", "10.1.2.3")))[0] == 200
        for leaf in (others.issue("ops.example"), ours.issue("ops.example", days=-1), ours.issue("sub.ops.example")):
            assert daemon.curl("/metrics", *show(leaf))[0] < 0
        assert daemon.curl("/metrics", "--cacert", authority.certificate)[0] < 0
        assert daemon.curl("/api/v1/maintenance/fine", "-X", "POST", *show(prometheus))[0] == 403
        assert daemon.curl("/api/v1/maintenance/fine", "-X", "POST", *show(ops))[0] == 200


def test_certificates_that_nobody_checks_name_nobody(build, tmp_path, authority):
    web = {"tls_server_config": tls(authority.issue("localhost"), client_auth_type="RequireAnyClientCert"),
           "basic_auth_users": USERS, "roles": ROLES}
    with guarded(build, tmp_path, web) as daemon:
        leaf = authority.issue("alice")
        shown = ("--cacert", authority.certificate, "--cert", leaf.certificate, "--key", leaf.key)
        assert daemon.curl("/metrics", "--cacert", authority.certificate, "-u", ALICE)[0] < 0
        assert daemon.curl("/metrics", *shown)[0] == 401
        assert daemon.curl("/-/reload", "-X", "POST", *shown, "-u", ALICE)[0] == 200


def certificate_shown(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain) as secure:
            return ssl.DER_cert_to_PEM_cert(secure.getpeercert(True)).strip()


def test_what_has_changed_is_taken_over_without_a_restart(build, tmp_path, authority):
    first, second = authority.issue("localhost"), authority.issue("localhost")
    web = {"tls_server_config": tls(first), "basic_auth_users": {"alice": USERS["alice"]}}
    with guarded(build, tmp_path, web) as daemon:
        pid, trust = daemon.pid, ("--cacert", authority.certificate)
        text = open(second.certificate, encoding="utf-8").read().strip()
        assert certificate_shown(daemon.port) != text
        # The same names, other contents; between the two writes they do not go together, and the old ones stay.
        for source, target in ((second.certificate, first.certificate), (second.key, first.key)):
            with open(source, encoding="utf-8") as new, open(target, "w", encoding="utf-8") as old:
                old.write(new.read())
        servers.wait_until(lambda: daemon.curl("/-/healthy", *trust)[0] == 401 and certificate_shown(daemon.port) == text, 10)

        daemon.write_web({**web, "basic_auth_users": USERS})
        servers.wait_until(lambda: daemon.curl("/metrics", *trust, "-u", GRAFANA)[0] == 200, 10)
        daemon.write_web('basic_auth_users:\n  alice: correct horse\n  grafana: {}\n')
        servers.wait_until(lambda: daemon.metric("keepwell_config_last_reload_successful") == 0, 10)
        assert daemon.curl("/metrics", *trust, "-u", GRAFANA)[0] == 200
        status, words = daemon.post("/-/reload")
        assert status == 500 and "web.yml:2:10: basic_auth_users.alice: not a bcrypt hash" in words
        assert "the web configuration stays as it was" in daemon.log() and "correct horse" not in daemon.log() + words
        daemon.write_web("# half-written\n")
        servers.wait_until(lambda: "the file is empty" in daemon.post("/-/reload")[1], 10)
        assert daemon.curl("/metrics", *trust)[0] == 401 and daemon.metric("keepwell_config_last_reload_successful") == 0
        daemon.write_web({})
        servers.wait_until(lambda: daemon.curl("/metrics", scheme="http")[0] == 200, 10)
        assert daemon.metric("keepwell_config_last_reload_successful") == 1 and daemon.pid == pid


def test_a_connection_that_is_kept_does_not_keep_what_has_changed(build, tmp_path):
    with guarded(build, tmp_path, {}) as daemon, contextlib.closing(http.client.HTTPConnection("127.0.0.1", daemon.port)) as kept:
        def ask():
            kept.request("GET", "/-/healthy")
            reply = kept.getresponse()
            reply.read()
            return reply.status, reply.getheader("Connection")

        assert ask() == (200, None)
        daemon.write_web({"basic_auth_users": USERS})
        servers.wait_until(lambda: ask()[0] == 401, 10)
        # A certificate now would be for others only: this connection ends.
        leaf = certificates.Authority(tmp_path).issue("localhost")
        daemon.write_web({"tls_server_config": tls(leaf), "basic_auth_users": USERS})
        servers.wait_until(lambda: ask() == (401, "close"), 10)
        assert daemon.curl("/-/healthy", "-k", "-u", ALICE)[0] == 200


@pytest.mark.parametrize("web, words", [
    ("basic_auth_user: {}", 'web.yml:1:1: basic_auth_user: unknown key "basic_auth_user"; did you mean "basic_auth_users"?'),
    ("tls_server_config:\n  cert_file: none.pem", "web.yml:2:14: tls_server_config.cert_file: cannot read the secret"),
    ("http_server_config:\n  headers:\n    X-Powered-By: magic", 'unknown key "X-Powered-By"'),
    (None, "cannot read the web configuration: No such file"),
])
def test_a_bad_file_at_the_start_is_refused_in_words(build, tmp_path, web, words):
    if web is not None:
        (tmp_path / "web.yml").write_text(web)
    (tmp_path / "keepwell.yaml").write_text(json.dumps(STACK))
    argv = [build / "daemon" / "keepwell", "--config.file=keepwell.yaml", "--web.config.file=web.yml", "--web.socket=none",
            f"--web.listen-address=127.0.0.1:{servers.free_port()}", "--state.file=none"]
    for more in ([], ["--config.check"]):
        done = subprocess.run([*argv, *more], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 100, done.stderr
        assert words in done.stderr.replace('\\"', '"')


def test_a_good_file_can_be_checked(build, tmp_path):
    (tmp_path / "keepwell.yaml").write_text(json.dumps(STACK))
    (tmp_path / "web.yml").write_text(json.dumps({"basic_auth_users": USERS, "roles": ROLES}))
    done = subprocess.run([build / "daemon" / "keepwell", "--config.check", "--config.file=keepwell.yaml", "--web.config.file=web.yml"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and "web.yml: fine" in done.stdout


def test_the_documented_file_is_a_good_one(build, tmp_path, authority):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "web-config.md").read_text(encoding="utf-8")
    leaf = authority.issue("localhost")
    os.rename(leaf.certificate, tmp_path / "server.pem")
    os.rename(leaf.key, tmp_path / "server.key")
    (tmp_path / "web.yml").write_text(re.search(r"^```yaml\n(.*?)^```", page, re.M | re.S)[1])
    (tmp_path / "keepwell.yaml").write_text(json.dumps(STACK))
    done = subprocess.run([build / "daemon" / "keepwell", "--config.check", f"--config.file={tmp_path}/keepwell.yaml",
                           f"--web.config.file={tmp_path}/web.yml"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_requests_beyond_the_rate_are_asked_to_come_again(build, tmp_path):
    web = {"rate_limit": {"interval": "1m", "burst": 3}, "http_server_config": {"headers": {"X-Frame-Options": "deny"}}}
    with guarded(build, tmp_path, web) as daemon:
        answers = [daemon.curl("/-/healthy", "-i", scheme="http") for _ in range(5)]
        assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
        assert "Retry-After: " in answers[3][1]
        assert all("X-Frame-Options: deny" in text for _, text in answers)
        assert daemon.get("/-/healthy")[0] == 200


def test_who_guesses_passwords_is_stopped_and_others_are_not(build, tmp_path):
    with guarded(build, tmp_path, {"basic_auth_users": USERS}) as daemon:
        assert daemon.curl("/metrics", "-u", GRAFANA, scheme="http")[0] == 200
        for user in ("alice", "nobody"):
            answers = [daemon.curl("/metrics", "-u", f"{user}:guess {i}", scheme="http")[0] for i in range(14)]
            assert answers[:10] == [401] * 10 and set(answers[11:]) == {429}, (user, answers)
        # From there, the right one is no longer told from the wrong ones; who has another name is not concerned.
        assert daemon.curl("/metrics", "-u", ALICE, scheme="http")[0] == 429
        assert daemon.curl("/metrics", "-u", GRAFANA, scheme="http")[0] == 200
        assert "guess" not in daemon.log()


def test_passwords_are_hashed_beside_the_loop(build, tmp_path):
    with guarded(build, tmp_path, {"basic_auth_users": SLOW}) as daemon:
        began = time.monotonic()
        guessers = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-u", f"user{i}:wrong", f"{daemon.url}/metrics"]) for i in range(8)]
        longest = 0
        while any(guesser.poll() is None for guesser in guessers):
            asked = time.monotonic()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(daemon.socket)
                client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                assert b"200 OK" in client.recv(4096)
            longest = max(longest, time.monotonic() - asked)
        took = time.monotonic() - began
        tasks = [(task / "stat").read_text() for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir()]
        niceness = [int(task.rsplit(")", 1)[1].split()[16]) for task in tasks]
        assert max(niceness) == min(19, min(niceness) + 10)  # of that thread, which gives way to the loop
        assert longest < took / 8, (longest, took)  # less than one of the eight took
        # Many at once with the same password that is right: hashed once, all are let in.
        began = time.monotonic()
        logins = [subprocess.Popen(["curl", "-s", "-w", "%{http_code}", "-o", "/dev/null", "-u", SLOW_LOGIN, f"{daemon.url}/metrics"],
                                   stdout=subprocess.PIPE, text=True) for _ in range(40)]
        assert [login.communicate()[0] for login in logins] == ["200"] * 40


def test_prometheus_scrapes_with_tls_and_a_password(build, tmp_path, authority):
    web = {"tls_server_config": tls(authority.issue("localhost", "127.0.0.1")), "basic_auth_users": USERS}
    with guarded(build, tmp_path, web) as daemon:
        config = {"global": {"scrape_interval": "300ms", "scrape_timeout": "300ms"}, "scrape_configs": [
            {"job_name": "keepwell", "scheme": "https", "tls_config": {"ca_file": authority.certificate},
             "basic_auth": {"username": "grafana", "password": "look only"},
             "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}]}]}
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        port = servers.free_port()
        argv = [servers.need("prometheus", "prometheus"), f"--config.file={tmp_path}/prometheus.yml", "--log.level=warn",
                f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"]
        server = servers.Server("prometheus", argv, port=port, ready=lambda it: servers.get(it.url + "/-/ready")[0] == 200)
        with servers.started(server):
            def scraped():
                answer = json.loads(servers.get(server.url + "/api/v1/query?query=keepwell_service_state%7Bstate=%22healthy%22%7D")[1])
                return [each["value"][1] for each in answer["data"]["result"]] == ["1"]
            servers.wait_until(scraped, 20, "keepwell is scraped")


def test_the_command_line_shows_who_it_is(build, tmp_path, authority):
    web = {"tls_server_config": tls(authority.issue("localhost")), "basic_auth_users": USERS, "roles": ROLES}
    (tmp_path / "password").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("wrong")
    with guarded(build, tmp_path, web) as daemon:
        def run(*words, **environment):
            env = {**os.environ, "KEEPWELL_URL": f"https://localhost:{daemon.port}", "KEEPWELL_CA_FILE": authority.certificate, **environment}
            return subprocess.run([build / "daemon" / "keepwell", *words], capture_output=True, text=True, timeout=30, check=False, env=env)

        known = {"KEEPWELL_USER": "alice", "KEEPWELL_PASSWORD_FILE": str(tmp_path / "password")}
        assert "fine" in run("status", **known).stdout
        assert run("pause", "fine", **known).returncode == 0 and daemon.service("fine")["state"] == "maintenance"
        refused = run("status", **{**known, "KEEPWELL_PASSWORD_FILE": str(tmp_path / "wrong")})
        assert refused.returncode != 0 and "KEEPWELL_USER" in refused.stderr
        assert "unable to get local issuer" in run("status", **known, KEEPWELL_CA_FILE="").stderr
        assert "cannot read" in run("status", **{**known, "KEEPWELL_PASSWORD_FILE": "/nonexistent"}).stderr


def state_on_page(chrome):
    return chrome.execute_script("return document.querySelector('#rows tr')?.dataset.state")


def complaints(chrome):
    """But for the browser's line on the first answer, which asked who it is."""
    messages = [entry["message"] for entry in chrome.complaints()]
    return [message for message in messages if "401 (Unauthorized)" not in message and "favicon" not in message]


@pytest.mark.xdist_group("browser")
def test_the_page_has_buttons_for_those_who_may_press_them(build, tmp_path, authority):
    web = {"tls_server_config": tls(authority.issue("localhost", "127.0.0.1")), "basic_auth_users": USERS, "roles": ROLES}
    with guarded(build, tmp_path, web) as daemon, browser.chromium() as chrome:
        chrome.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})  # the authority is not the system's

        def open_page(login, host):
            chrome.get(f"https://{login.replace(' ', '%20')}@{host}:{daemon.port}/-/healthy")  # remembered for this host
            chrome.get(f"https://{host}:{daemon.port}/")
            chrome.wait(lambda: chrome.text("#live-text") == "Live")

        open_page(GRAFANA, "127.0.0.1")
        assert not chrome.shown("#rows button")
        assert "those who have the role to act" in chrome.one(".read-only").text
        refused = "fetch('/api/v1/maintenance/fine', {method: 'POST'}).then((reply) => arguments[0](reply.status))"
        assert chrome.execute_async_script(refused) == 403 and daemon.service("fine")["state"] == "healthy"
        assert ["403" in entry for entry in complaints(chrome)] == [True]

        open_page(ALICE, "localhost")
        chrome.wait(lambda: chrome.shown("#rows .maintain"))
        chrome.execute_script("document.querySelector('#rows .maintain').click()")  # at once: rows are replaced at any moment
        chrome.wait(lambda: chrome.shown("dialog[open]"))
        chrome.one("dialog .primary").click()
        chrome.wait(lambda: state_on_page(chrome) == "maintenance")
        chrome.wait(lambda: chrome.shown("#rows .resume"))
        chrome.execute_script("document.querySelector('#rows .resume').click()")
        chrome.wait(lambda: state_on_page(chrome) == "healthy")
        assert daemon.log().count("by=alice") == 2
        assert complaints(chrome) == []


def connect(port, count):
    sockets = []
    for _ in range(count):
        client = socket.socket()
        client.connect(("127.0.0.1", port))
        sockets.append(client)
    return sockets


def test_thousands_of_idle_and_slow_connections_keep_nobody_out(build, tmp_path, authority):
    idle, slow = 10_000, 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * idle:
        pytest.fail(f"needs {2 * idle} descriptors, has {hard}: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        web = {"tls_server_config": tls(authority.issue("localhost"))}
        with guarded(build, tmp_path, web) as shy, keepwell.running(build, STACK) as daemon:
            silent = connect(shy.port, 20)
            silent[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the beginning of a ClientHello
            before = daemon.metric("process_resident_memory_bytes")
            crowd = connect(daemon.port, idle)
            drips = connect(daemon.port, slow)
            for client in drips:
                client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            began = time.monotonic()
            assert daemon.get("/-/ready")[0] == 200
            assert time.monotonic() - began < 2
            grown = (daemon.metric("process_resident_memory_bytes") - before) / (idle + slow)
            assert daemon.metric("process_open_fds") <= idle + 200  # those that were idle for the longest have made room
            daemon.wait_state("fine", "healthy")
            # The one that came last was not sent away, and is served when it says something at last.
            drips[-1].sendall(b"1\r\n\r\n")
            drips[-1].settimeout(10)
            assert drips[-1].recv(4096).startswith(b"HTTP/1.1 200 OK")
            # A byte now and then is not enough: the whole request has to come in time.
            def ended():
                with contextlib.suppress(BlockingIOError):
                    drips[0].send(b"y")
                    return drips[0].recv(1, socket.MSG_DONTWAIT) == b""
            servers.wait_until(lambda: _gone(ended), 20, "a slow client is closed", 0.2)
            assert shy.curl("/-/healthy", "--cacert", authority.certificate)[0] == 200
            for client in silent:
                client.settimeout(15)
                assert client.recv(1) == b""
            print(f"{grown:.0f} bytes of memory for each connection, sanitizers included")
            for client in [*crowd, *drips]:
                client.close()
            servers.wait_until(lambda: daemon.metric("process_open_fds") < 100, 15, "all are closed", 0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _gone(ended):
    try:
        return ended()
    except (BrokenPipeError, ConnectionResetError):
        return True


def test_requests_that_come_together_are_answered_in_order(build, tmp_path):
    with guarded(build, tmp_path, {}) as daemon:
        count = 2000
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as client:
            asked = b"".join(b"GET /badge/%d.svg HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(count - 1))
            sender = threading.Thread(target=client.sendall, args=(asked + b"GET /-/healthy HTTP/1.0\r\n\r\n",))
            sender.start()
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
            sender.join()
        assert answer.count(b"HTTP/1.1 404 Not Found\r\n") == count - 1 and answer.endswith(b"keepwell is healthy.\n")
