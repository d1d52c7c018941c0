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


@pytest.fixture(scope="module")
def dns_server():
    port = servers.free_port()
    argv = [servers.need("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--user=root",
            "--pid-file=", "--local=/example/", "--log-facility=-", *RECORDS]
    with servers.program(argv, port=port) as server:
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
