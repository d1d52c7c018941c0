"""The http probe against nginx: TLS of all sorts, HTTP/2, a unix socket, credentials, redirects, large bodies."""

import os
import subprocess

import certificates
import pytest
import servers
from command import probe

SITE = """
server {
    listen @PORT@;
    listen unix:@DIR@/http.sock;
    root @DIR@;
    location = /health { default_type application/json; return 200 '{"status": "ok", "checks": [{"name": "db", "up": true}]}'; }
    location = /echo { add_header X-Got "$request_method $http_x_tag $http_host" always; return 200 "$http_x_tag"; }
    location = /down { return 503 "database is gone\\n"; }
    location = /upstream { proxy_pass http://127.0.0.1:1; }
    location = /moved { return 301 http://$http_host/health; }
    location = /elsewhere { return 302 http://localhost:@PORT@/echo; }
    location = /loop { return 302 /loop; }
    location = /nothing { return 444; }
    location = /private { auth_basic private; auth_basic_user_file @DIR@/users; try_files /users =404; }
    location = /slow { limit_rate 64; try_files /large =404; }
}
"""


@pytest.fixture(name="site", scope="module")
def plain_site():
    with servers.nginx(SITE) as server:
        with open(f"{server.directory}/users", "w", encoding="utf-8") as file:
            file.write("app:{PLAIN}secret\n")
        with open(f"{server.directory}/large", "wb") as file:
            file.truncate(4 << 30)
        os.chmod(server.directory, 0o755)
        yield server


def ask(build, server, path, **options):
    return probe(build, "http", server.url + path, **options)


@pytest.mark.parametrize("path, options, reason", [
    ("/health", {}, "none"),
    ("/health", {"status": "204"}, "status_mismatch"),
    ("/health", {"method": "HEAD"}, "none"),
    ("/health", {"body_matches": "[ok, up]"}, "none"),
    ("/health", {"body_matches": "['^ok']"}, "body_mismatch"),
    ("/health", {"body_not_matches": "['degraded']"}, "none"),
    ("/health", {"json": "[{pointer: /status, equals: ok}, {pointer: /checks/0/up, equals: true}]"}, "none"),
    ("/health", {"json": "[{pointer: /status, equals: down}]"}, "json_mismatch"),
    ("/health", {"header_checks": "[{name: content-type, matches: json}, {name: X-No, absent: true}]"}, "none"),
    ("/health", {"header_checks": "[{name: content-type, matches: html}]"}, "header_mismatch"),
    ("/echo", {"headers": "{X-Tag: a tag, Host: shop}", "header_checks": "[{name: X-Got, matches: '^GET a tag shop$'}]"}, "none"),
    ("/echo", {"method": "POST", "body": "x", "header_checks": "[{name: X-Got, matches: ^POST}]"}, "none"),
    ("/down", {}, "status_mismatch"),
    ("/down", {"status": "[200, 503]"}, "none"),
    ("/upstream", {}, "status_mismatch"),
    ("/absent", {}, "status_mismatch"),
    ("/moved", {}, "none"),
    ("/moved", {"follow_redirects": "false"}, "too_many_redirects"),
    ("/moved", {"status": "301"}, "none"),
    ("/elsewhere", {"headers": "{X-Tag: tag}", "body_not_matches": "[tag]"}, "none"),
    ("/loop", {}, "too_many_redirects"),
    ("/nothing", {}, "connection_closed"),
    ("/private", {}, "authentication_required"),
    ("/private", {"username": "app", "password": "wrong"}, "authentication_failed"),
    ("/private", {"username": "app", "password": "secret"}, "none"),
    ("/large", {}, "none"),
    ("/slow", {"timeout": "500ms"}, "timeout"),
])
def test_what_a_server_may_answer(build, site, path, options, reason):
    result = ask(build, site, path, **options)
    assert result["reason"] == reason, result


def test_the_facts_and_phases_of_an_answer(build, site):
    result = ask(build, site, "/moved")
    assert result["facts"] == {"http_status_code": 200, "http_version": 1.1, "body_bytes": 56, "redirects": 1}
    assert {"connect", "request"} <= set(result["phases"]) <= {"prepare", "resolve", "connect", "request", "reply"}
    assert sum(result["phases"].values()) == pytest.approx(result["seconds"], rel=0.01)


def test_the_detail_says_what_is_wrong(build, site):
    assert ask(build, site, "/down")["detail"] == "status 503, expected 200-299: database is gone"
    assert ask(build, site, "/down?token=t0ken")["detail"] == "status 503, expected 200-299"


def test_a_body_of_gigabytes_is_read_to_the_limit(build, site):
    result = ask(build, site, "/large")
    assert result["facts"]["body_bytes"] == 1 << 20 and result["seconds"] < 2
    assert ask(build, site, "/large", max_body="3MiB")["facts"]["body_bytes"] == 3 << 20


def test_a_unix_socket(build, site):
    path = f"{site.directory}/http.sock"
    assert probe(build, "http", "http://any/health", unix_socket=path)["outcome"] == "ok"
    missing = probe(build, "http", "http://any/health", unix_socket=path + "-not")
    assert missing["reason"] == "connection_refused" and path in missing["detail"]


def test_another_address_under_the_same_name(build, site):
    url = f"http://shop.example:{site.port}/echo"
    checks = f"[{{name: X-Got, matches: 'shop.example:{site.port}$'}}]"
    for address in ("127.0.0.1", "localhost", site.address):
        result = probe(build, "http", url, connect_to=address, header_checks=checks)
        assert result["outcome"] == "ok", result


def test_the_environment_names_no_proxy(build, site):
    env = {**os.environ, "http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1", "HOME": site.directory}
    with open(f"{site.directory}/.netrc", "w", encoding="utf-8") as file:
        file.write("machine 127.0.0.1 login app password secret\n")
    assert ask(build, site, "/health", env=env)["outcome"] == "ok"
    assert ask(build, site, "/private", env=env)["reason"] == "authentication_required"


@pytest.mark.parametrize("key, value, words", [
    ("target", "http://app:secret@web/", "username and password"),
    ("target", "ftp://web/", "http://"),
    ("method", "GET /", "method"),
    ("headers", "{X: \"a\\nb\"}", "control characters"),
    ("json", "[{pointer: status, equals: ok}]", "pointer"),
    ("status", "20", "status"),
    ("body_matches", "['(']", "regular expression"),
    ("max_redirects", "1000", "100"),
    ("connect_to", "a b", "connect_to"),
])
def test_what_cannot_work_is_told_before_it_is_tried(build, key, value, words):
    target = value if key == "target" else "http://web/"
    options = [] if key == "target" else ["-o", f"{key}={value}"]
    done = subprocess.run([build / "daemon" / "keepwelld", "probe", *options, "http", target], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 100 and words in done.stderr and "secret" not in done.stderr, done.stderr


def test_a_frozen_server_accepts_but_does_not_answer(build):
    with servers.nginx(SITE) as server:
        server.freeze()
        result = ask(build, server, "/health", timeout="300ms")
        assert (result["outcome"], result["reason"], result["phase"]) == ("no_response", "timeout", "request")
        server.thaw()
        assert ask(build, server, "/health")["outcome"] == "ok"
        server.kill()
        assert ask(build, server, "/health")["reason"] == "connection_refused"


# TLS: one nginx with a server, on a port of its own, for each sort of certificate.

@pytest.fixture(name="secure", scope="module")
def secure_site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    authority = certificates.Authority(directory)
    stranger = certificates.Authority(tmp_path_factory.mktemp("stranger"), "Stranger")
    names = ("localhost", "127.0.0.1")
    leaves = {
        "good": authority.issue(*names, days=30),
        "expired": authority.issue(*names, days=-1),
        "early": authority.issue(*names, days=30, not_before_days=1),
        "misnamed": authority.issue("other.example", days=30),
        "strange": stranger.issue(*names, days=30),
        "mutual": authority.issue(*names, days=30),
        "old": authority.issue(*names, days=30),
    }
    more = {"mutual": f"ssl_client_certificate {authority.certificate}; ssl_verify_client on;", "old": ""}
    ports = {name: servers.free_port() for name in [*leaves, "clear"]}
    body = SITE + f'server {{ listen {ports["clear"]} http2; location / {{ return 200 "$server_protocol"; }} }}\n'
    for name, leaf in leaves.items():
        http2 = "" if name == "old" else "http2"
        body += (f"server {{ listen {ports[name]} ssl {http2}; ssl_certificate {leaf.certificate}; ssl_certificate_key {leaf.key};"
                 f'{more.get(name, "")} location / {{ return 200 "$server_protocol $ssl_server_name"; }} '
                 f"location = /plain {{ return 302 http://127.0.0.1:@PORT@/echo; }} }}\n")
    with servers.nginx(body) as server:
        server.authority, server.client, server.ports = authority, authority.issue("client"), ports
        yield server


def ask_securely(build, secure, name, path="/", host="127.0.0.1", **options):
    return probe(build, "http", f"https://{host}:{secure.ports[name]}{path}",
                 **{"tls__ca_file": secure.authority.certificate, **options})


@pytest.mark.parametrize("name, reason", [
    ("good", "none"), ("expired", "certificate_expired"), ("early", "certificate_expired"),
    ("misnamed", "certificate_name_mismatch"), ("strange", "certificate_untrusted"), ("old", "none"),
])
def test_certificates(build, secure, name, reason):
    result = ask_securely(build, secure, name)
    assert result["reason"] == reason and result["facts"]["certificate_expiry_timestamp_seconds"] > 1e9, result
    assert ask_securely(build, secure, name, tls__insecure="true")["outcome"] == "ok"


def test_days_left_of_a_certificate(build, secure):
    assert ask_securely(build, secure, "good", certificate_min_days=29)["outcome"] == "ok"
    assert ask_securely(build, secure, "good", certificate_min_days=31)["reason"] == "certificate_expiring"


def test_a_name_for_tls_that_is_not_the_host(build, secure):
    result = ask_securely(build, secure, "misnamed", tls__server_name="other.example", body_matches="[other.example]")
    assert result["outcome"] == "ok", result
    result = ask_securely(build, secure, "misnamed", host="other.example", connect_to="127.0.0.1")
    assert result["outcome"] == "ok", result


def test_client_certificates(build, secure):
    ours = {"tls__certificate_file": secure.client.certificate, "tls__key_file": secure.client.key}
    assert ask_securely(build, secure, "mutual")["reason"] == "status_mismatch"  # nginx answers 400
    assert ask_securely(build, secure, "mutual", **ours)["outcome"] == "ok"


@pytest.mark.parametrize("name, version, answered, reason", [
    ("good", "auto", 2, "none"), ("good", "1.1", 1.1, "none"), ("good", "2", 2, "none"),
    ("old", "auto", 1.1, "none"), ("old", "2", 1.1, "protocol_error"),
])
def test_http_versions_under_tls(build, secure, name, version, answered, reason):
    result = ask_securely(build, secure, name, http_version=version)
    assert (result["facts"]["http_version"], result["reason"]) == (answered, reason), result


def test_http_2_without_tls(build, secure):
    url = f"http://127.0.0.1:{secure.ports['clear']}/"
    result = probe(build, "http", url, http_version="2", body_matches="[HTTP/2]")
    assert result["outcome"] == "ok" and result["facts"]["http_version"] == 2, result
    assert probe(build, "http", url, http_version="1.1")["outcome"] != "ok"


def test_plain_at_a_port_with_tls_and_the_other_way_round(build, secure):
    assert probe(build, "http", f"http://127.0.0.1:{secure.ports['good']}/")["reason"] == "status_mismatch"  # nginx: 400
    assert probe(build, "http", f"https://{secure.address}/")["reason"] == "tls_failure"


def test_a_redirect_out_of_tls_leaves_the_credentials_behind(build, secure):
    result = ask_securely(build, secure, "good", "/plain", headers="{X-Tag: tag}", bearer_token="secret",
                          body_not_matches="[tag]")
    assert result["outcome"] == "ok" and result["facts"]["redirects"] == 1, result
    assert ask_securely(build, secure, "good", "/plain", certificate_min_days=1)["reason"] == "tls_failure"
