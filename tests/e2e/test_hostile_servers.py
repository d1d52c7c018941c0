"""Servers that nobody should have to talk to, all watched at once: right outcomes in time, no growth, no delay for others."""

import contextlib
import itertools
import socketserver
import threading
import time

import keepwell
import servers

KINDS = {  # how the address is asked, by kind
    "http": lambda address: {"http": f"http://{address}/"},
    "redis": lambda address: {"redis": address},
    "postgres": lambda address: {"postgres": address},
    "mysql": lambda address: {"mysql": address},
    "tcp": lambda address: {"tcp": {"address": address, "send": "hello\r\n", "expect": "never said"}},
}


def stall(peer):
    time.sleep(30)


def close(peer):
    pass


def garbage(peer):
    peer.sendall(b"\xfe" * 4096)
    time.sleep(30)


def gigabytes(peer):
    while True:
        peer.sendall(b"x" * 65536)


def drip(peer):
    """One byte a second of what begins as the answer of each kind may."""
    for byte in itertools.cycle(b"HTTP/1.1 200 OK\r\nX: y"):
        peer.sendall(bytes([byte]))
        time.sleep(1)


def headers(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        peer.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))


def redirects(peer):
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def body(peer):
    peer.recv(4096)
    peer.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\n")
    gigabytes(peer)


# What each may be taken for; None: whatever is no success.
MANNERS = {stall: ("no_response", {"timeout"}), close: ("no_response", {"connection_closed", "connection_reset"}),
           garbage: ("rejected", None), gigabytes: ("rejected", None), drip: (None, None)}
HTTP_MANNERS = {headers: ("rejected", {"reply_too_large", "body_too_large", "protocol_error"}), redirects: ("rejected", None),
                body: ("rejected", {"status_mismatch"})}


@contextlib.contextmanager
def peer(manner):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                manner(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close, request_queue_size = True, False, 64

    with Server((servers.HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"{servers.HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()


def resident(daemon):
    with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_hostile_servers_are_judged_in_time_and_harm_nobody_else(build):
    with contextlib.ExitStack() as stack, servers.redis() as redis:
        services = {"good": {"probes": [{"redis": redis.address, **keepwell.FAST}]},
                    "nameless": {"probes": [{"tcp": "no-such-name.invalid:80", **keepwell.FAST}]}}
        expected = {}
        for manner, expectation in {**MANNERS, **HTTP_MANNERS}.items():
            address = stack.enter_context(peer(manner))
            for kind in KINDS if manner in MANNERS else ["http"]:
                probe = {**KINDS[kind](address), "interval": "500ms", "timeout": "1s", "retries": 2}
                if manner is redirects:
                    probe["http"] = {"url": f"http://{address}/", "follow_redirects": True}
                services[f"{kind}-{manner.__name__}"] = {"probes": [probe]}
                expected[f"{kind}-{manner.__name__}"] = expectation
        with keepwell.running(build, {"mode": "observe", "services": services},
                              env={"ASAN_OPTIONS": "quarantine_size_mb=1"}) as daemon:
            daemon.wait_state("good", "healthy")
            for name in expected:
                daemon.wait_state(name, "unhealthy", 30)
            before = resident(daemon)

            def attempts(outcome):
                return daemon.metric("keepwell_probe_attempts_total", compose_service="good", outcome=outcome)

            good = attempts("ok")
            servers.wait_until(lambda: attempts("ok") >= good + 25, 60)
            assert resident(daemon) < before * 1.25 + (8 << 20), (before, resident(daemon))
            for name, (outcome, reasons) in expected.items():
                last = daemon.instance(name)["probes"][0]["last_attempt"]
                told = (name, last["outcome"], last["reason"], last["detail"])
                assert last["outcome"] == outcome if outcome else last["outcome"] in ("rejected", "no_response"), told
                assert reasons is None or last["reason"] in reasons, told
                assert len(last["detail"]) < 400, told
            assert daemon.service("nameless")["state"] != "healthy"
            assert attempts("no_response") == 0
            assert daemon.metric("keepwell_self_doubt") == 0
