"""The dns probe, and the resolver of all probes, against a real DNS server."""

import contextlib
import socket

import pytest
import servers
from command import probe

RECORDS = [
    "--address=/app.example/127.0.0.2", "--address=/app.example/::2",
    "--host-record=cache.example,127.0.0.1", "--cname=alias.example,cache.example",
    "--mx-host=example,mail.example,10", "--txt-record=note.example,hello world",
    "--srv-host=_redis._tcp.example,cache.example,6379,1,5",
]


@contextlib.contextmanager
def dnsmasq(*options):
    port = servers.free_port()
    argv = [servers.need("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--user=root",
            "--pid-file=", "--local=/example/", "--log-facility=-", *RECORDS, *options]
    with servers.program(argv, port=port) as server:
        yield server


@pytest.fixture(scope="module")
def dns_server():
    with dnsmasq() as server:
        yield server


def judge(build, server, name, expected, **options):
    result = probe(build, "dns", name, **{"timeout": "2s", "server": server.address, **options})
    assert (result["outcome"], result["reason"]) == expected, result
    return result


@pytest.mark.parametrize("name, record, answers", [
    ("app.example", "any", 2), ("app.example", "A", 1), ("app.example", "AAAA", 1), ("alias.example", "A", 1),
    ("example", "MX", 1), ("note.example", "TXT", 1), ("_redis._tcp.example", "SRV", 1)])
def test_records(build, dns_server, name, record, answers):
    found = judge(build, dns_server, name, ("ok", "none"), type=record)
    assert found["facts"]["dns_answers"] == answers
    judge(build, dns_server, name, ("rejected", "name_resolved"), type=record, exists="false")


def test_missing_names(build, dns_server):
    judge(build, dns_server, "nothing.example", ("rejected", "dns_failure"))
    judge(build, dns_server, "nothing.example", ("ok", "none"), exists="false")
    judge(build, dns_server, "cache.example", ("rejected", "dns_failure"), type="AAAA")


def test_expected_addresses(build, dns_server):
    judge(build, dns_server, "app.example", ("ok", "none"), addresses="127.0.0.2")
    judge(build, dns_server, "app.example", ("rejected", "address_mismatch"), addresses="127.0.0.2", match="exactly")
    judge(build, dns_server, "app.example", ("rejected", "address_mismatch"), addresses="127.0.0.9")


def test_a_server_that_never_answers(build):
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent:
        silent.bind((servers.HOST, 0))
        address = f"{servers.HOST}:{silent.getsockname()[1]}"
        result = probe(build, "dns", "app.example", server=address, timeout="1s")
        assert (result["outcome"], result["reason"]) == ("no_response", "timeout")
    result = probe(build, "dns", "app.example", server=address, timeout="1s")
    assert (result["outcome"], result["reason"]) == ("no_response", "connection_refused")


def test_a_server_in_every_state(build):
    with dnsmasq() as server:
        judge(build, server, "app.example", ("ok", "none"))
        server.freeze()
        judge(build, server, "app.example", ("no_response", "timeout"), timeout="1s")
        judge(build, server, "nothing.example", ("no_response", "timeout"), timeout="1s", exists="false")
        server.thaw()
        server.kill()
        judge(build, server, "app.example", ("no_response", "connection_refused"), timeout="1s")
        judge(build, server, "nothing.example", ("no_response", "connection_refused"), timeout="1s", exists="false")
        server.start()
        judge(build, server, "app.example", ("ok", "none"))


def test_a_server_that_cannot_answer_says_so(build):
    """dnsmasq refuses what it has nobody to ask for, and fails when the one it asks is dead."""
    with dnsmasq() as server:
        judge(build, server, "elsewhere.test", ("rejected", "dns_failure"), type="A")
        judge(build, server, "elsewhere.test", ("rejected", "dns_failure"), exists="false")  # that is no "no"
    with dnsmasq(f"--server=127.0.0.1#{servers.free_port()}") as server:
        result = probe(build, "dns", "elsewhere.test", server=server.address, timeout="1s", type="A")
        assert (result["outcome"], result["reason"]) in (("rejected", "dns_failure"), ("no_response", "timeout")), result


def test_an_answer_too_large_for_udp_is_fetched_over_tcp(build):
    many = [f"--host-record=many.example,127.1.{i // 250}.{i % 250 + 1}" for i in range(120)]
    with dnsmasq("--edns-packet-max=512", *many) as server:
        found = judge(build, server, "many.example", ("ok", "none"), type="A", addresses="127.1.0.120")
        assert found["facts"]["dns_answers"] == 120
