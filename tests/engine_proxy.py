"""An Engine with bad days: stands on a socket of its own before a real one, and breaks the answers that it is told to.

    with engine_proxy.before(engine) as proxy:
        proxy.stall("POST /containers/.*/restart")      from then on: no byte of the answer, the connection stays
        proxy.stall("GET /containers", after=100)       the first 100 bytes of it
        proxy.close("GET /events", after=0)
        env={**os.environ, "DOCKER_HOST": proxy.host}
"""

import contextlib
import os
import re
import shutil
import socket
import threading

import servers


class Proxy:
    def __init__(self, target):
        self.directory = servers.new_directory("engine-proxy")
        self.path = f"{self.directory}/socket"
        self.host = f"unix://{self.path}"
        self.asked = []  # "METHOD /path" of each request, without the version
        self._target, self._rules, self._held = target, [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self, pattern, after=0):
        self._rules.append((re.compile(pattern), after, True))

    def close(self, pattern, after=0):
        self._rules.append((re.compile(pattern), after, False))

    def heal(self):
        self._rules.clear()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            request = client.recv(65536)
            line = re.sub(rb"^(\w+) (?:/v[\d.]+)?(\S+).*", rb"\1 \2", request.split(b"\r\n")[0]).decode()
            self.asked.append(line)
            rule = next((each for each in self._rules if each[0].match(line)), None)
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(self._target)
                server.sendall(request)
                self._answer(client, server, rule)

    def _answer(self, client, server, rule):
        left = rule[1] if rule else None
        while (left is None or left > 0) and (piece := server.recv(65536)):
            piece = piece[:left] if left is not None else piece
            client.sendall(piece)
            left = left - len(piece) if left is not None else None
        if rule and rule[2]:
            client.recv(1)  # until the client gives up

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def before(engine):
    assert os.path.exists(engine.socket)
    proxy = Proxy(engine.socket)
    try:
        yield proxy
    finally:
        proxy.stop()
