"""The tcp probe against real servers: nginx, Redis, a mail-like greeting, TLS by stunnel, and ports that must be closed."""

import signal
import socket

import certificates
import pytest
import servers
from command import probe

OK = ("ok", "none")


def judge(build, address, expected, **options):
    result = probe(build, "tcp", address, **{"timeout": "1s", **options})
    assert (result["outcome"], result["reason"]) == expected, result
    return result


@pytest.fixture(name="web", scope="module")
def fixture_web():
    with servers.nginx("server { listen @PORT@; location / { return 204; } }") as server:
        yield server


def test_connect_send_and_expect(build, redis_server, web):
    judge(build, redis_server.address, OK)
    judge(build, redis_server.address, OK, send="PING\r\n", expect="^\\+PONG")
    judge(build, redis_server.address, OK, send_hex="50494e470d0a", expect_bytes="2b504f4e47")
    judge(build, redis_server.address, ("rejected", "body_mismatch"), send="PING\r\n", expect="^-LOADING")
    judge(build, web.address, OK, send="HEAD / HTTP/1.0\r\n\r\n", expect="^HTTP/1.1 204 ")
    silent = judge(build, web.address, ("no_response", "timeout"), expect="220 ")  # HTTP waits to be spoken to
    assert silent["phase"] == "reply"


def test_a_server_in_every_state(build):
    with servers.redis() as server:
        judge(build, server.address, OK, send="PING\r\n", expect="PONG")
        server.freeze()
        judge(build, server.address, OK)  # the kernel accepts for it: what a bare connect cannot tell
        judge(build, server.address, ("no_response", "timeout"), send="PING\r\n", expect="PONG")
        server.thaw()
        server.kill()
        refused = judge(build, server.address, ("no_response", "connection_refused"))
        assert refused["phase"] == "connect"
        server.start()
        judge(build, server.address, OK, send="PING\r\n", expect="PONG")


def test_a_port_that_must_not_answer(build):
    with servers.redis() as server:
        reachable = judge(build, server.address, ("rejected", "reachable"), unreachable="true")
        assert server.address in reachable["detail"]
        server.freeze()  # it accepts all the same
        judge(build, server.address, ("rejected", "reachable"), unreachable="true")
        server.thaw()
        server.kill()
        judge(build, server.address, OK, unreachable="true")


def test_a_full_backlog_is_silence(build):
    with socket.create_server((servers.HOST, 0), backlog=0) as listener:
        address = f"{servers.HOST}:{listener.getsockname()[1]}"
        waiting = []
        for _ in range(4):  # more than the kernel keeps for it
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        judge(build, address, ("no_response", "timeout"), timeout="500ms")
        judge(build, address, OK, unreachable="true", timeout="500ms")
        for client in waiting:
            client.close()


@pytest.fixture(name="stunnel", scope="module")
def fixture_stunnel(redis_server, tmp_path_factory):
    """TLS in front of Redis; `.ca` is what to trust."""
    authority = certificates.Authority(tmp_path_factory.mktemp("authority"))
    leaf = authority.issue("localhost", "127.0.0.1", days=20)
    port = servers.free_port()
    directory = servers.new_directory("stunnel")
    with open(f"{directory}/stunnel.conf", "w", encoding="ascii") as file:
        file.write(f"foreground = yes\npid =\nsyslog = no\n[redis]\naccept = {servers.HOST}:{port}\n"
                   f"connect = {redis_server.address}\ncert = {leaf.certificate}\nkey = {leaf.key}\n")
    argv = [servers.need("stunnel4", "stunnel4"), f"{directory}/stunnel.conf"]
    server = servers.Server("stunnel", argv, port=port, directory=directory, ready=lambda it: servers.accepts(it.port))
    server.ca = authority.certificate
    with servers.started(server):
        yield server


def test_tls(build, stunnel, web):
    ask = {"send": "PING\r\n", "expect": "^\\+PONG"}
    judge(build, stunnel.address, OK, tls__ca_file=stunnel.ca, **ask)
    judge(build, stunnel.address, OK, tls="true", tls__insecure="true", **ask)
    judge(build, stunnel.address, ("rejected", "certificate_untrusted"), tls="true")
    judge(build, stunnel.address, ("rejected", "certificate_name_mismatch"), tls__ca_file=stunnel.ca, tls__server_name="other.example")
    judge(build, stunnel.address, OK, tls__ca_file=stunnel.ca, certificate_min_days=19)
    judge(build, stunnel.address, ("rejected", "certificate_expiring"), tls__ca_file=stunnel.ca, certificate_min_days=21)
    plain = judge(build, web.address, ("rejected", "tls_failure"), tls__ca_file=stunnel.ca)
    assert plain["phase"] == "tls"
    stunnel.send(signal.SIGSTOP)
    hung = judge(build, stunnel.address, ("no_response", "timeout"), tls__ca_file=stunnel.ca)
    assert hung["phase"] == "tls"
    stunnel.send(signal.SIGCONT)
    judge(build, stunnel.address, OK, tls__ca_file=stunnel.ca, **ask)
