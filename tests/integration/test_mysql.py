"""The mysql probe against MariaDB and, where there is one, MySQL (mysql_server.py says how). Passwords are "secret",
which no result may say (command.probe looks)."""

import contextlib
import pathlib
import shutil
import socket
import subprocess

import certificates
import mysql_server
import pytest
import servers
from command import probe

LOGIN = {"user": "app", "password": "secret"}


@pytest.fixture(name="kind", params=["mariadb", "mysql"], scope="module")
def kind_of_server(request):
    """How to start one of the two."""
    if request.param == "mysql":
        mysql_server.find()
        return mysql_server.mysql
    return servers.mariadb


@pytest.fixture(name="server", scope="module")
def shared_server(kind):
    with kind("--max-connect-errors=3") as server:
        yield server


def others_address():
    """An address of this machine that is not the loopback's, which servers trust; None when there is none."""
    listed = subprocess.run(["ip", "-o", "-4", "address", "show", "scope", "global"], capture_output=True, text=True, check=False)
    return next((line.split()[3].split("/")[0] for line in listed.stdout.splitlines()), None)


def test_a_login_and_a_ping(build, server):
    for _ in range(2):  # MySQL: by public key, then from its cache
        result = probe(build, "mysql", server.address, **LOGIN)
        assert (result["outcome"], result["phase"]) == ("ok", "reply"), result["detail"]
    assert probe(build, "mysql", server.address, database="app", **LOGIN)["outcome"] == "ok"


def test_without_a_user_a_refusal_is_an_answer(build, server):
    result = probe(build, "mysql", server.address)
    assert result["outcome"] == "ok" and "1045" in result["detail"]


@pytest.mark.parametrize("options, outcome, reason", [
    ({"password": "wrong"}, "rejected", "authentication_failed"),
    ({"password": ""}, "rejected", "authentication_failed"),
    ({"user": "nobody"}, "rejected", "authentication_failed"),
    ({"database": "mysql"}, "rejected", "authentication_failed"),
    ({"query": "SELECT 1"}, "ok", "none"),
    ({"query": "SELECT 1", "expect": "1"}, "ok", "none"),
    ({"query": "SELECT 1", "expect": "2"}, "rejected", "value_mismatch"),
    ({"query": "SELECT version()", "expect_regex": "^[1-9]"}, "ok", "none"),
    ({"query": "SELECT NULL", "expect": "1"}, "rejected", "value_mismatch"),
    ({"query": "DO 1"}, "ok", "none"),
    ({"query": "SELECT 1; SELECT 2"}, "rejected", "query_failed"),
    ({"query": "SELECT repeat('x', 2000000)"}, "rejected", "reply_too_large"),
    ({"query": "SELECT SLEEP(60)", "timeout": "700ms"}, "no_response", "timeout"),
])
def test_login_and_query(build, server, options, outcome, reason):
    result = probe(build, "mysql", server.address, **(LOGIN | options))
    assert (result["outcome"], result["reason"]) == (outcome, reason), result["detail"]


def test_a_number_is_a_fact(build, server):
    assert probe(build, "mysql", server.address, query="SELECT 41.5 + 1", **LOGIN)["facts"] == {"query_value": 42.5}


def test_a_query_that_is_given_up_does_not_go_on_at_the_server(build, server):
    mark = "SELECT SLEEP(59)"
    assert probe(build, "mysql", server.address, query=mark, timeout="700ms", **LOGIN)["reason"] == "timeout"

    def running():
        query = f"SELECT count(*) FROM information_schema.processlist WHERE info = '{mark}'"
        return probe(build, "mysql", server.address, query=query, **LOGIN)["facts"]["query_value"]

    servers.wait_until(lambda: running() == 0, 10)


def test_broken_and_repaired(build, kind):
    with kind("--max-connections=10") as server:
        attempt = lambda: probe(build, "mysql", server.address, timeout="1s", **LOGIN)["reason"]
        assert attempt() == "none"
        server.freeze()
        assert attempt() == "timeout"
        server.thaw()
        assert attempt() == "none"
        with contextlib.ExitStack() as held:
            for _ in range(12):
                held.enter_context(socket.create_connection((servers.HOST, server.port)))
            servers.wait_until(lambda: attempt() == "too_many_connections")
        servers.wait_until(lambda: attempt() == "none")
        server.kill()
        assert attempt() == "connection_refused"
        server.start()
        assert attempt() == "none"  # MySQL: with an empty cache again


def test_refusals_do_not_block_a_host_but_bare_connections_do(build):
    address = others_address()
    if not address:
        pytest.skip("this machine has the loopback's addresses only, which are never blocked")
    with mysql_server.mysql("--bind-address=0.0.0.0", "--max-connect-errors=3", peer=address) as server:
        target = f"{address}:{server.port}"
        for _ in range(6):
            assert probe(build, "mysql", target)["outcome"] == "ok"
            assert probe(build, "mysql", target, user="app", password="wrong")["reason"] == "authentication_failed"
        assert probe(build, "mysql", target, **LOGIN)["outcome"] == "ok"
        for _ in range(6):
            with socket.create_connection((address, server.port)) as bare:
                bare.recv(100)
        blocked = probe(build, "mysql", target, **LOGIN)
        assert (blocked["outcome"], blocked["reason"]) == ("rejected", "host_blocked")


@pytest.fixture(name="tls", scope="module")
def tls_server(kind, tmp_path_factory):
    """A server with TLS and a certificate for localhost, and the path of its authority."""
    authority = certificates.Authority(tmp_path_factory.mktemp("tls"))
    leaf = authority.issue("localhost")
    names = ("ca.pem", "server-cert.pem", "server-key.pem")  # where MySQL looks for them in its data
    with kind() as server:
        data = pathlib.Path(server.directory, "data")
        for name, path in zip(names, (authority.certificate, leaf.certificate, leaf.key)):
            (data / name).unlink(missing_ok=True)
            shutil.copy(path, data / name)
            shutil.chown(data / name, "mysql")
        if kind is servers.mariadb:
            server.argv += [f"--ssl-{option}={data}/{name}" for option, name in zip(("ca", "cert", "key"), names)]
        server.restart()
        server.ca_file = authority.certificate
        yield server


@pytest.mark.parametrize("host, options, outcome, reason", [
    ("127.0.0.1", {"tls__insecure": "true"}, "ok", "none"),
    ("localhost", {"tls__ca_file": "@"}, "ok", "none"),
    ("127.0.0.1", {"tls__ca_file": "@", "tls__server_name": "localhost"}, "ok", "none"),
    ("127.0.0.1", {"tls__ca_file": "@"}, "rejected", "certificate_name_mismatch"),
    ("localhost", {"tls__insecure": "false"}, "rejected", "certificate_untrusted"),
    ("localhost", {"tls__ca_file": "@", "password": "wrong"}, "rejected", "authentication_failed"),
])
def test_tls(build, tls, host, options, outcome, reason):
    options = {key: tls.ca_file if value == "@" else value for key, value in options.items()}
    result = probe(build, "mysql", f"{host}:{tls.port}", **(LOGIN | options))
    assert (result["outcome"], result["reason"]) == (outcome, reason), result["detail"]
    assert result["phases"]["tls"] > 0 and result["facts"]["certificate_expiry_timestamp_seconds"] > 0
