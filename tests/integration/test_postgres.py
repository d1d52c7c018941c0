"""The postgres probe against real servers. Passwords are "secret", which no result may say (command.probe looks)."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import certificates
import pytest
import servers
from command import OUTCOMES, probe

LOGIN = {"user": "app", "password": "secret", "database": "app"}


def pg_isready(server):
    """The exit status, which is the outcome's number."""
    done = subprocess.run([servers.postgres_program("pg_isready"), "-q", "-t2", "-h", servers.HOST, "-p", str(server.port),
                           "-U", "postgres"], check=False)
    return done.returncode


def psql(server, text):
    return servers.run([servers.postgres_program("psql"), "-qAtX", "-h", server.directory, "-p", server.port,
                        "-U", "postgres", "postgres", "-c", text]).strip()


@contextlib.contextmanager
def sessions(server, count):
    """So many sessions of the user `app`, held open."""
    held = []

    def all_there():
        # One that comes while the server still clears up the session before it is turned away: it tries again.
        held[:] = [each for each in held if each.poll() is None]
        held.extend(subprocess.Popen(
            [servers.postgres_program("psql"), "-qX", f"postgres://app:secret@{server.address}/app"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(count - len(held)))
        return psql(server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") == str(count)

    try:
        servers.wait_until(all_there, interval=0.1)
        yield held
    finally:
        for each in held:
            each.kill()
            each.wait()


def log_of(server, action):
    """What the server writes into its log for `action`, which is followed by a line that we know."""
    before = len(server.log())
    action()
    marker = f"marker {time.monotonic_ns()}"
    psql(server, f"DO $$BEGIN RAISE LOG '{marker}'; END$$")
    servers.wait_until(lambda: marker in server.log())
    return [line for line in server.log()[before:].splitlines() if " UTC [" in line and "marker" not in line and "CONTEXT" not in line
            and "STATEMENT" not in line]


def test_ready_is_what_pg_isready_says_in_every_state(build):
    with servers.postgres() as server:
        def compare(outcome, reason):
            result = probe(build, "postgres", server.address, timeout="1s")
            assert (result["outcome"], result["reason"]) == (outcome, reason)
            assert OUTCOMES[pg_isready(server)] == outcome

        compare("ok", "none")
        server.freeze()
        compare("no_response", "timeout")
        server.thaw()
        compare("ok", "none")
        with sessions(server, 1):
            server.send(signal.SIGTERM)  # smart shutdown: waits for the session
            servers.wait_until(lambda: "received smart shutdown" in server.log())
            compare("rejected", "starting_up")
        server.process.wait(10)
        compare("no_response", "connection_refused")


@pytest.mark.parametrize("auth", ["scram-sha-256", "md5", "trust"])
def test_ready_is_asked_without_a_login_and_without_a_word_in_the_log(build, auth):
    with servers.postgres(auth=auth) as server:
        assert log_of(server, lambda: [probe(build, "postgres", server.address) for _ in range(5)]) == []
        assert probe(build, "postgres", server.address, sslmode="prefer")["outcome"] == "ok"


def test_ready_whoever_asks_and_however_full_it_is(build):
    with servers.postgres("max_connections=4", "superuser_reserved_connections=1") as server:
        assert probe(build, "postgres", server.address, user="nobody", database="nothing")["outcome"] == "ok"
        with sessions(server, 3):
            assert probe(build, "postgres", server.address)["outcome"] == "ok"
            full = probe(build, "postgres", server.address, query="SELECT 1", **LOGIN)
            assert (full["outcome"], full["reason"]) == ("rejected", "too_many_connections")
        with open(f"{server.directory}/data/pg_hba.conf", "w", encoding="utf-8") as file:
            file.write("local all all trust\n")
        server.restart()
        refused = probe(build, "postgres", server.address)
        assert refused["outcome"] == "ok" and "28000" in refused["detail"]


@pytest.mark.parametrize("options, outcome, reason", [
    ({"query": "SELECT 1"}, "ok", "none"),
    ({"query": "SELECT 1", "expect": "1"}, "ok", "none"),
    ({"query": "SELECT 1", "expect": "2"}, "rejected", "value_mismatch"),
    ({"query": "SELECT version()", "expect_regex": "^PostgreSQL"}, "ok", "none"),
    ({"query": "SELECT NULL", "expect_regex": "."}, "rejected", "value_mismatch"),
    ({"query": "SELECT 1 WHERE false", "expect": "1"}, "rejected", "value_mismatch"),
    ({"query": "SELECT 1/0"}, "rejected", "query_failed"),
    ({"query": "SELECT nonsense"}, "rejected", "query_failed"),
    ({"query": "SELECT generate_series(1, 1000000)"}, "rejected", "reply_too_large"),
    ({"query": "SELECT repeat('x', 100000000)"}, "rejected", "reply_too_large"),
    ({"query": "COPY (SELECT 1) TO STDOUT"}, "rejected", "query_failed"),
    ({"query": "SELECT pg_sleep(60)", "timeout": "500ms"}, "no_response", "timeout"),
    ({"query": "SELECT 1", "password": "wrong"}, "rejected", "authentication_failed"),
    ({"query": "SELECT 1", "password": ""}, "rejected", "authentication_required"),
    ({"query": "SELECT 1", "user": "nobody"}, "rejected", "authentication_failed"),
    ({"query": "SELECT 1", "database": "nothing"}, "rejected", "query_failed"),
    ({"role": "primary"}, "ok", "none"),
    ({"role": "standby"}, "rejected", "role_mismatch"),
    ({"query": "SELECT 1", "sslmode": "require"}, "rejected", "tls_failure"),
])
def test_login_and_query(build, postgres_server, options, outcome, reason):
    result = probe(build, "postgres", postgres_server.address, **(LOGIN | options))
    assert (result["outcome"], result["reason"]) == (outcome, reason), result["detail"]


def test_a_number_is_a_fact(build, postgres_server):
    result = probe(build, "postgres", postgres_server.address, query="SELECT 41.5 + 1", role="primary", **LOGIN)
    assert result["facts"] == {"query_value": 42.5, "is_primary": 1}


def test_the_environment_and_the_home_directory_change_nothing(build, postgres_server, tmp_path):
    (tmp_path / ".pgpass").write_text("*:*:*:*:secret\n", encoding="utf-8")
    (tmp_path / ".pgpass").chmod(0o600)
    env = {**os.environ, "HOME": str(tmp_path), "PGPASSWORD": "secret", "PGSERVICE": "none", "PGHOST": "203.0.113.1",
           "PGSSLMODE": "require", "PGOPTIONS": "-c nonsense=1"}
    options = {**LOGIN, "password": "", "query": "SELECT 1"}
    assert probe(build, "postgres", postgres_server.address, env=env, **options)["reason"] == "authentication_required"
    options["password"] = "secret"
    assert probe(build, "postgres", postgres_server.address, env=env, **options)["outcome"] == "ok"


def test_a_query_that_is_given_up_does_not_go_on_at_the_server(build, postgres_server):
    mark = "SELECT pg_sleep(59)"
    result = probe(build, "postgres", postgres_server.address, query=mark, timeout="700ms", **LOGIN)
    assert result["reason"] == "timeout" and result["seconds"] < 1
    running = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{mark}' AND state = 'active'"
    servers.wait_until(lambda: psql(postgres_server, running) == "0", 5)


def test_a_killed_session_is_no_success(build):
    with servers.postgres() as server:
        argv = [build / "daemon" / "keepwelld", "probe", "--json", "-o", "user=app", "-o", "password=secret", "-o", "database=app",
                "-o", "query=SELECT pg_sleep(60)", "--timeout=20s", "postgres", server.address]
        with subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True) as attempt:
            servers.wait_until(lambda: psql(server, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
            server.kill()
            assert '"reason":"connection_closed"' in attempt.communicate(timeout=10)[0]
            assert attempt.returncode == OUTCOMES.index("no_response")


def test_a_standby_is_one(build):
    with servers.postgres() as primary:
        port, directory = servers.free_port(), servers.new_directory("standby", "postgres")
        servers.run([servers.postgres_program("pg_basebackup"), "-D", f"{directory}/data", "-R", "-X", "stream", "-c", "fast",
                     "-h", primary.directory, "-p", primary.port, "-U", "postgres"], user="postgres")
        argv = [servers.postgres_program("postgres"), "-D", f"{directory}/data", "-p", port, "-k", directory,
                "-c", f"listen_addresses={servers.HOST}", "-c", "shared_buffers=8MB", "-c", "max_connections=30"]
        standby = servers.Server("standby", argv, port=port, user="postgres", directory=directory,
                                 stop_signal=signal.SIGINT, ready=lambda it: pg_isready(it) == 0)
        with servers.started(standby):
            role = probe(build, "postgres", standby.address, role="standby", **LOGIN)
            assert role["outcome"] == "ok" and role["facts"] == {"is_primary": 0}
            assert probe(build, "postgres", standby.address, role="primary", **LOGIN)["reason"] == "role_mismatch"
            servers.run([servers.postgres_program("pg_ctl"), "promote", "-D", f"{directory}/data"], user="postgres")
            assert probe(build, "postgres", standby.address, role="primary", **LOGIN)["outcome"] == "ok"


@pytest.fixture(name="tls", scope="module")
def tls_server(tmp_path_factory):
    """A server that insists on TLS, with a certificate for localhost, and its authority; `other` is one it is not of."""
    directory = tmp_path_factory.mktemp("tls")
    authority, other = certificates.Authority(directory), certificates.Authority(directory, "Other Authority")
    leaf, client = authority.issue("localhost"), authority.issue("app")
    pathlib.Path(client.key).chmod(0o600)
    with servers.postgres() as server:
        for name, path in {"server.pem": leaf.certificate, "server.key": leaf.key, "ca.pem": authority.certificate}.items():
            servers.run(["install", "-m", "600", "-o", "postgres", path, f"{server.directory}/{name}"])
        with open(f"{server.directory}/data/pg_hba.conf", "w", encoding="utf-8") as file:
            file.write("local all all trust\nhostssl app app 127.0.0.1/32 scram-sha-256\nhostssl postgres app 127.0.0.1/32 cert\n")
        for setting in ("ssl=on", f"ssl_cert_file={server.directory}/server.pem", f"ssl_key_file={server.directory}/server.key",
                        f"ssl_ca_file={server.directory}/ca.pem"):
            server.argv += ["-c", setting]
        server.restart()
        server.authority, server.other, server.client = authority, other, client
        yield server


@pytest.mark.parametrize("host, mode, root, outcome, reason", [
    ("127.0.0.1", "disable", None, "rejected", "authentication_failed"),
    ("127.0.0.1", "prefer", None, "ok", "none"),
    ("127.0.0.1", "require", None, "ok", "none"),
    ("127.0.0.1", "verify-ca", "authority", "ok", "none"),
    ("127.0.0.1", "verify-ca", "other", "rejected", "certificate_untrusted"),
    ("127.0.0.1", "verify-full", "authority", "rejected", "certificate_name_mismatch"),
    ("localhost", "verify-full", "authority", "ok", "none"),
])
def test_tls_modes(build, tls, host, mode, root, outcome, reason):
    options = {"sslmode": mode} | ({"ssl_root_cert": getattr(tls, root).certificate} if root else {})
    result = probe(build, "postgres", f"{host}:{tls.port}", query="SELECT 1", **LOGIN, **options)
    assert (result["outcome"], result["reason"]) == (outcome, reason), result["detail"]
    ready = probe(build, "postgres", f"{host}:{tls.port}", **options)  # who refuses us without TLS is up
    assert (ready["outcome"], ready["reason"]) == (("ok", "none") if mode == "disable" else (outcome, reason))
    if outcome == "ok":
        assert ready["phases"]["tls"] > 0


def test_a_client_certificate(build, tls):
    options = {"user": "app", "database": "postgres", "query": "SELECT 1", "sslmode": "require"}
    assert probe(build, "postgres", tls.address, **options)["reason"] == "authentication_failed"
    options |= {"ssl_cert": tls.client.certificate, "ssl_key": tls.client.key}
    assert probe(build, "postgres", tls.address, **options)["outcome"] == "ok"
    pathlib.Path(tls.client.key).chmod(0o644)
    open_key = probe(build, "postgres", tls.address, **options)
    assert (open_key["outcome"], open_key["reason"]) == ("not_attempted", "bad_configuration")
    pathlib.Path(tls.client.key).chmod(0o600)


def test_tls_for_a_ready_check_keeps_the_log_quiet(build, tls):
    assert log_of(tls, lambda: probe(build, "postgres", tls.address, user="app", database="app", sslmode="require")) == []
    assert re.search("no pg_hba.conf entry", "\n".join(log_of(tls, lambda: probe(build, "postgres", tls.address))))
