"""The redis probe against real servers. Passwords are "secret", which no result may say (command.probe looks)."""

import contextlib
import socket
import subprocess

import certificates
import pytest
import servers
from command import probe


def cli(server, *words, password=None):
    """What redis-cli prints, over the unix socket, where neither TLS nor the limit of clients is in the way."""
    login = ["--no-auth-warning", "-a", password] if password else []
    return servers.run([servers.need("redis-cli", "redis-tools"), "-s", f"{server.directory}/socket", *login, *words]).strip()


def judge(build, server, expected, **options):
    result = probe(build, "redis", server.address, **{"timeout": "2s", **options})
    assert (result["outcome"], result["reason"]) == expected, result
    return result


OK = ("ok", "none")


def test_a_server_in_every_state(build):
    with servers.redis() as server:
        judge(build, server, OK)
        judge(build, server, OK, database=15)
        judge(build, server, ("rejected", "query_failed"), database=16)
        server.freeze()
        frozen = judge(build, server, ("no_response", "timeout"), timeout="500ms")
        assert frozen["phase"] == "reply"
        server.thaw()
        judge(build, server, OK)
        server.kill()
        judge(build, server, ("no_response", "connection_refused"))
        server.start()
        judge(build, server, OK)


def test_passwords(build):
    with servers.redis("--requirepass", "secret") as server:
        judge(build, server, OK, password="secret")
        judge(build, server, ("rejected", "authentication_required"))
        judge(build, server, ("rejected", "authentication_failed"), password="secret2")
        judge(build, server, ("rejected", "authentication_failed"), username="nobody", password="secret")
    with servers.redis() as server:
        judge(build, server, ("rejected", "authentication_failed"), password="secret")


def test_acl_users(build):
    with servers.redis() as server:
        cli(server, "ACL", "SETUSER", "watcher", "on", ">secret", "-@all", "+ping", "+role")
        cli(server, "ACL", "SETUSER", "deaf", "on", ">secret", "-@all", "+role")
        judge(build, server, OK, username="watcher", password="secret")
        judge(build, server, OK, username="watcher", password="secret", role="master")
        judge(build, server, ("rejected", "authentication_failed"), username="watcher", password="secret", database=1)
        judge(build, server, ("rejected", "authentication_failed"), username="deaf", password="secret")


def test_a_full_server_turns_us_away_with_a_reason(build):
    with servers.redis("--maxclients", "2") as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.create_connection((servers.HOST, server.port)))
            client.sendall(b"PING\r\n")
            servers.wait_until(lambda client=client: client.recv(16) == b"+PONG\r\n")
        judge(build, server, ("rejected", "too_many_connections"))
        judge(build, server, ("rejected", "too_many_connections"), password="secret")


def test_replication(build):
    with servers.redis() as primary:
        options = ["--replicaof", servers.HOST, primary.port, "--replica-serve-stale-data", "no"]
        with servers.redis(*map(str, options)) as replica:
            servers.wait_until(lambda: "master_link_status:up" in cli(replica, "INFO", "replication"), 30)
            judge(build, primary, OK, role="master")
            judge(build, primary, ("rejected", "role_mismatch"), role="replica")
            linked = judge(build, replica, OK, role="replica")
            assert linked["facts"]["redis_primary_link_up"] == 1
            judge(build, replica, ("rejected", "role_mismatch"), role="master")

            primary.kill()
            servers.wait_until(lambda: "master_link_status:down" in cli(replica, "INFO", "replication"))
            judge(build, replica, ("rejected", "primary_down"))


def test_sentinel(build):
    port = servers.free_port()
    directory = servers.new_directory("sentinel")
    with open(f"{directory}/sentinel.conf", "w", encoding="utf-8") as file:
        file.write(f"port {port}\nbind {servers.HOST}\ndir {directory}\n")
    argv = [servers.need("redis-server", "redis-server"), f"{directory}/sentinel.conf", "--sentinel"]
    with servers.program(argv, name="sentinel", port=port) as sentinel:
        judge(build, sentinel, OK)
        judge(build, sentinel, OK, role="sentinel")
        judge(build, sentinel, ("rejected", "role_mismatch"), role="master")


def test_a_script_that_does_not_end_keeps_the_server_busy(build):
    with servers.redis("--busy-reply-threshold", "50") as server:
        script = "local n = 0 while true do n = n + 1 end"
        running = subprocess.Popen(["redis-cli", "-p", str(server.port), "EVAL", script, "0"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def is_busy():
                return probe(build, "redis", server.address, timeout="1s")["reason"] == "busy"
            servers.wait_until(is_busy)
            judge(build, server, ("rejected", "busy"))
            cli(server, "SCRIPT", "KILL")
        finally:
            running.kill()
            running.wait()
        servers.wait_until(lambda: probe(build, "redis", server.address)["outcome"] == "ok")


def test_a_dataset_that_is_being_loaded(build):
    with servers.redis("--enable-debug-command", "yes", "--key-load-delay", "500",
                       "--loading-process-events-interval-bytes", "1024") as server:
        cli(server, "DEBUG", "POPULATE", "20000", "key", "100")
        cli(server, "SAVE")
        server.kill()
        server.start(wait=False)
        reasons = set()

        def has_loaded():
            reasons.add(probe(build, "redis", server.address)["reason"])
            return "starting_up" in reasons
        servers.wait_until(has_loaded, 30)


def test_a_dataset_that_cannot_be_written(build):
    with servers.redis("--save", "1 1", "--enable-protected-configs", "yes") as server:
        cli(server, "CONFIG", "SET", "dir", "/proc")
        cli(server, "SET", "key", "value")
        servers.wait_until(lambda: "rdb_last_bgsave_status:err" in cli(server, "INFO", "persistence"), 30)
        judge(build, server, ("rejected", "not_writable"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def tls_redis(authority, leaf, *options):
    port = servers.free_port()
    with servers.redis("--port", "0", "--tls-port", str(port), "--tls-cert-file", leaf.certificate, "--tls-key-file",
                       leaf.key, "--tls-ca-cert-file", authority.certificate, *options, port=port) as server:
        yield server


def test_tls(build, authority):
    with tls_redis(authority, authority.issue("127.0.0.1"), "--tls-auth-clients", "no", "--requirepass", "secret") as server:
        trusted = judge(build, server, OK, tls__ca_file=authority.certificate, password="secret")
        assert trusted["facts"]["certificate_expiry_timestamp_seconds"] > 0
        judge(build, server, ("rejected", "certificate_untrusted"), tls="true", password="secret")
        judge(build, server, OK, tls__insecure="true", password="secret")
        judge(build, server, ("rejected", "certificate_name_mismatch"), tls__ca_file=authority.certificate,
              tls__server_name="cache.example", password="secret")
        judge(build, server, ("rejected", "authentication_required"), tls__insecure="true")
        plain = probe(build, "redis", server.address, timeout="1s")
        assert plain["outcome"] in ("no_response", "rejected")


def test_client_certificates(build, authority):
    mine = authority.issue("keepwell")
    with tls_redis(authority, authority.issue("127.0.0.1")) as server:
        judge(build, server, OK, tls__ca_file=authority.certificate, tls__certificate_file=mine.certificate,
              tls__key_file=mine.key)
        refused = probe(build, "redis", server.address, tls__ca_file=authority.certificate)
        assert refused["outcome"] in ("rejected", "no_response"), refused
