"""`keepwell notify test`, and messages as chats take them, on real receivers."""

import datetime
import http.server
import json
import subprocess
import threading

import keepwell
import observability
import pytest
import servers
from servers import wait_until


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes POSTs, and remembers them."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posts.append((self.path, dict(self.headers), body))
        answer = f"seen {self.path}".encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(name="receiver")
def fixture_receiver():
    server = http.server.ThreadingHTTPServer((servers.HOST, 0), Receiver)
    server.posts, server.status, server.url = [], 200, f"http://{servers.HOST}:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def notify(build, tmp_path, config, *words):
    path = tmp_path / "keepwell.yaml"
    path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return subprocess.run([build / "daemon" / "keepwell", "notify", "test", f"--config.file={path}", *words], text=True,
                          capture_output=True, timeout=60, check=False)


def test_each_receiver_is_told_and_says_what_came_of_it(build, tmp_path, receiver):
    with observability.alertmanager() as alertmanager:
        config = {"project": "shop", "alertmanager": alertmanager.url,
                  "webhooks": [{"name": "chat", "format": "slack", "url": f"{receiver.url}/services/s3cret"}]}
        done = notify(build, tmp_path, config)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].startswith(f"alertmanager ({alertmanager.url}): ok, status 200 in ")
        assert lines[1].startswith(f"chat ({receiver.url}): ok, status 200 in ") and len(lines) == 2
        assert [alert["labels"]["alertname"] for alert in alertmanager.alerts()] == ["KeepwellTest"]
        path, headers, body = receiver.posts[0]
        assert path == "/services/s3cret" and headers["Content-Type"] == "application/json"
        assert json.loads(body)["text"].startswith("*keepwell of shop: a test*\nThis is a test")
        assert "s3cret" not in done.stdout + done.stderr

        done = notify(build, tmp_path, config, "chat")
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 and len(receiver.posts) == 2


def test_what_does_not_arrive_is_told_without_secrets(build, tmp_path, receiver):
    receiver.status = 404
    dead = f"http://127.0.0.1:{servers.free_port()}"
    config = {"alertmanager": {"url": [dead], "timeout": "1s"},
              "webhooks": [{"url": f"{receiver.url}/services/s3cret", "token": "t0ken"}]}
    done = notify(build, tmp_path, config)
    assert done.returncode == 1, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"alertmanager ({dead}): failed, connection_refused: ")
    assert second.startswith(f"webhook-1 ({receiver.url}): failed, it answers with status 404 after ")
    assert second.endswith(": seen /<secret>")


def test_the_test_of_an_alertmanager_lasts_five_minutes(build, tmp_path):
    done = notify(build, tmp_path, {"alertmanager": "http://127.0.0.1:1"}, "--dry-run")
    alert, = json.loads(done.stdout[done.stdout.index("\n["):])
    begin, end = (datetime.datetime.fromisoformat(alert[key].replace("Z", "+00:00")) for key in ("startsAt", "endsAt"))
    assert end - begin == datetime.timedelta(minutes=5) and "after five minutes" in alert["annotations"]["description"]


def test_each_receiver_has_a_name_of_its_own(build, tmp_path):
    def refused(*names):
        hooks = "".join(f"  - {{url: 'http://x/'{', name: ' + name if name else ''}}}\n" for name in names)
        done = notify(build, tmp_path, "webhooks:\n" + hooks, "--dry-run")
        assert done.returncode in (0, 100)
        return [line for line in done.stderr.splitlines() if "warning" not in line]

    assert refused("chat", "", "webhook-1") == []
    place = f"{tmp_path}/keepwell.yaml"
    assert refused("chat", "chat") == [
        f'{place}:3:24: webhooks[1].name: there is another receiver "chat"; give each a name of its own']
    assert "there is another receiver \"alertmanager\"" in refused("alertmanager")[0]
    assert refused("webhook-2", "")[0].startswith(f"{place}:3:5: webhooks[1]: there is another receiver \"webhook-2\"")
    for name in ('"a\\nb"', "'a b'", '"-a"'):
        only, = refused(name)
        assert f"{place}:2:24: webhooks[0].name: " in only and "cannot be a name" in only


def test_a_receiver_that_hangs_is_given_up_on(build, tmp_path):
    with observability.alertmanager() as alertmanager:
        alertmanager.freeze()
        done = notify(build, tmp_path, {"alertmanager": {"url": alertmanager.url, "timeout": "300ms"}})
        assert done.returncode == 1 and "no answer within 300ms" in done.stdout


def test_a_dry_run_shows_what_would_be_sent_and_no_secret(build, tmp_path, receiver):
    secret = tmp_path / "url"
    secret.write_text(f"{receiver.url}/bot-s3cret/send?key=s3cret\n", encoding="ascii")
    config = {"webhooks": [{"url_file": str(secret), "token": "t0ken", "secret": "sign1ng",
                            "content_type": "application/x-www-form-urlencoded", "body": "chat={{ token }}&text={{ title }}",
                            "headers": {"Authorization": "Bearer {{ token }}", "X-Key": "abc", "X-About": "{{ service }}"}}]}
    done = notify(build, tmp_path, config, "--dry-run")
    assert done.returncode == 0 and not receiver.posts
    assert f"webhook-1: POST {receiver.url}/<secret>\n" in done.stdout
    assert "\nchat=<secret>&text=keepwell%20of%20default%3A%20a%20test\n" in done.stdout
    assert "  X-About: keepwell\n" in done.stdout and "  X-Key: <secret>\n" in done.stdout
    for word in ("s3cret", "t0ken", "sign1ng", "abc"):
        assert word not in done.stdout.replace("<secret>", "")


def test_bad_templates_are_refused_at_their_place(build, tmp_path):
    done = notify(build, tmp_path, 'webhooks:\n  - url: http://x/\n    body: "{{ servce }}"\n')
    assert done.returncode == 100
    assert ':3:11: webhooks[0].body: there is no name "servce"; did you mean "service"?' in done.stderr
    done = notify(build, tmp_path, "services: {}\n")
    assert done.returncode == 100 and "has no receivers" in done.stderr
    done = notify(build, tmp_path, "webhooks: [http://127.0.0.1:1/]\n", "slack")
    assert done.returncode == 100 and 'no receiver "slack"' in done.stderr and "there are: webhook-1" in done.stderr
    done = notify(build, tmp_path, {"alertmanager": ["http://127.0.0.1:1", "http://127.0.0.1:2"], "webhooks": ["http://127.0.0.1:1/"]}, "no")
    assert "there are: alertmanager, webhook-1\n" in done.stderr


def test_the_help_has_examples(build):
    done = subprocess.run([build / "daemon" / "keepwell", "notify", "test", "--help"], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "--dry-run" in done.stdout and "Examples:" in done.stdout


def test_chats_are_told_of_the_root_and_of_its_end(build, receiver):
    """Each in its own way; what a server has said cannot break out of any."""
    hostile = 'no "answer" <!channel> @everyone {{ token }} \\ \n\x1b'
    script = f"printf '%s' '{hostile}'; test -e {{service}}"
    with servers.redis() as redis:
        hooks = [{"format": name, "url": f"{receiver.url}/{name}", "token": "t0ken"} for name in ("slack", "discord", "ntfy", "gotify")]
        config = {"project": "shop", "alert_after": {"KeepwellServiceUnhealthy": "0s"}, "webhooks": hooks,
                  "services": {"worker": {"probes": [{"exec": {"shell": script}, **keepwell.FAST}]},
                               "api": {"depends_on": ["worker"], "probes": [{"exec": ["false"], **keepwell.FAST}]},
                               "redis": {"probes": [{"redis": redis.address, **keepwell.FAST}]}}}
        with keepwell.running(build, config) as daemon:
            wait_until(lambda: {path for path, *_ in receiver.posts} == {f"/{hook['format']}" for hook in hooks}, 20)
            posts = {path[1:]: (headers, body) for path, headers, body in receiver.posts}
            slack, discord, gotify = (json.loads(posts[name][1]) for name in ("slack", "discord", "gotify"))
            assert slack["text"].startswith("*worker of shop: unhealthy*\nworker of shop is unhealthy")
            assert "<" not in slack["text"]
            assert discord["allowed_mentions"] == {"parse": []} and "worker of shop" in discord["content"]
            assert gotify["priority"] == 5 and gotify["title"] == "worker of shop: unhealthy"
            assert posts["gotify"][0]["X-Gotify-Key"] == "t0ken"
            headers, body = posts["ntfy"]
            assert headers["Title"] == "worker of shop: unhealthy" and headers["Priority"] == "5" and "Click" not in headers
            assert headers["Authorization"] == "Bearer t0ken" and body.startswith("worker of shop is unhealthy")
            assert not any("t0ken" in body for _, _, body in receiver.posts)
            assert "t0ken" not in daemon.log()
            daemon.command("pause", "worker")
            wait_until(lambda: [body for path, _, body in receiver.posts if path == "/gotify" and "no longer unhealthy" in body], 20)
            assert not any("api of shop" in body for _, _, body in receiver.posts)
