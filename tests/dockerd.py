"""An Engine of a test's own, which it may stop, kill and start again.

    with dockerd.own() as (host, start, stop):
        start(); stop("kill"); start()
"""

import contextlib
import os
import pathlib
import shutil
import subprocess

import engine
import pytest
import servers


@contextlib.contextmanager
def own():
    """An Engine of its own without networks, that can be restarted: (host, start, stop). It lives in a network namespace of
    its own, because an Engine that is to have no bridge takes docker0 away, whoever's it is."""
    if os.environ.get("KEEPWELL_ENGINE") == "skip":
        pytest.skip("KEEPWELL_ENGINE=skip")
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker Engine")
    directory = servers.new_directory("dockerd")
    host = f"unix://{directory}/socket"
    argv = [servers.need("unshare", "util-linux"), "--net", "--mount", "--", servers.need("dockerd", "docker.io"),
            "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec", "-p", f"{directory}/pid", "-H", host,
            "--bridge=none", "--iptables=false", "--ip6tables=false"]
    running = []

    def answers():
        return engine.run(["docker", "-H", host, "version"], seconds=20).returncode == 0

    def start():
        with open(f"{directory}/log", "ab") as log:
            running.append(subprocess.Popen(argv, stdout=log, stderr=log, cwd="/"))
        servers.wait_until(answers, 60, "dockerd answers", 0.2)

    def stop(how="terminate"):
        daemon = running.pop()
        getattr(daemon, how)()
        daemon.wait(60)
        if how == "kill":  # its containerd dies with it, but may not have been buried when the next one looks for it
            pathlib.Path(f"{directory}/exec/containerd/containerd.pid").unlink()

    try:
        yield host, start, stop
    finally:
        if running:
            stop()
        shutil.rmtree(directory, ignore_errors=True)
