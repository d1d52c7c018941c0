"""Where keepwell listens, what it asks itself there, and flags and files that cannot be."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import threading

import pytest

import certificates
import keepwell
import servers

QUIET = {"services": {"fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}
USERS = {"alice": "$2b$04$hupZYd7fdSokiIRLxbaMpOYySy/bP.AMBiJYGrhEfJcSn9sI4wPU2"}


def listening(build, config, *options):
    """A keepwell that listens only where the options say."""
    directory = servers.new_directory("listening")
    file = f"{directory}/keepwell.yaml"
    with open(file, "w", encoding="utf-8") as out:
        json.dump(config, out)
    options = [option.replace("@DIRECTORY@", directory) for option in options]
    argv = [build / "daemon" / "keepwell", f"--config.file={file}", f"--state.file={directory}/state.json",
            "--config.auto-reload-interval=0", *options]
    return servers.Server("keepwell", argv, directory=directory, ready=lambda it: "msg=watching" in it.log())


def refused(build, tmp_path, *options):
    """What a keepwell says that does not start, and its exit code."""
    file = tmp_path / "keepwell.yaml"
    file.write_text(json.dumps(QUIET))
    done = subprocess.run([build / "daemon" / "keepwell", f"--config.file={file}", "--state.file=none", *options],
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_whole_outage_is_healed_wherever_keepwell_listens(build, tmp_path):
    leaf = certificates.Authority(tmp_path).issue("localhost")
    web = tmp_path / "web.yml"
    web.write_text(json.dumps({"tls_server_config": {"cert_file": leaf.certificate, "key_file": leaf.key},
                               "basic_auth_users": USERS}))
    ways = {
        "IPv6": ["--web.listen-address=[::1]:0", "--web.socket=none"],
        "another address": ["--web.listen-address=127.0.0.2:0", "--web.socket=none"],
        "everywhere": ["--web.listen-address=0.0.0.0:0", "--web.socket=none"],
        "only a socket": ["--web.listen-address=none", "--web.socket=@DIRECTORY@/socket"],
        "guarded": ["--web.listen-address=[::1]:0", "--web.socket=none", f"--web.config.file={web}"],
        "a guarded socket": ["--web.listen-address=none", "--web.socket=@DIRECTORY@/socket", f"--web.config.file={web}"],
    }
    with contextlib.ExitStack() as all_of_them:
        for way, options in ways.items():
            all_of_them.enter_context(servers.started(outage(build, tmp_path, way, options)))
        for way in ways:
            servers.wait_until(lambda mark=tmp_path / f"restarted {way}": mark.exists(), 20, f"a restart: {way}")


def outage(build, tmp_path, way, options):
    service = {"probes": [{"tcp": f"127.0.0.1:{servers.free_port()}", **keepwell.FAST}],
               "restart": {"mode": "act", "command": ["touch", str(tmp_path / f"restarted {way}")]}}
    return listening(build, {"services": {"a": service, "b": service}}, *options)


def test_without_any_listener_it_is_said_that_a_self_check_is_needed(build):
    nowhere = ["--web.listen-address=none", "--web.socket=none"]
    with servers.started(listening(build, QUIET, *nowhere)) as daemon:
        assert "level=warn" in daemon.log() and "configure `self_check`" in daemon.log()
    with servers.started(listening(build, {**QUIET, "self_check": {"exec": ["true"]}}, *nowhere)) as daemon:
        assert "configure `self_check`" not in daemon.log()


def test_a_socket_that_was_asked_for_must_be_possible(build, tmp_path):
    code, words = refused(build, tmp_path, f"--web.socket={tmp_path}/missing/x.sock", "--web.listen-address=none")
    assert code == 111 and f"cannot listen on {tmp_path}/missing/x.sock: " in words and "No such file or directory" in words
    code, words = refused(build, tmp_path, f"--web.socket={tmp_path}/missing/x.sock", "--web.listen-address=127.0.0.1:0")
    assert code == 111 and "--web.socket" in words


@pytest.mark.parametrize("flag, words", [
    ("--web.listen-address=nonsense", "expected host:port"),
    ("--web.listen-address=127.0.0.1:99999", "expected a port between 1 and 65535"),
    ("--web.listen-address=keepwell.example:5337", "give a numeric address"),
    ("--config.auto-reload-interval=5", "500ms"),
    ("--config.auto-reload-interval=-1s", "expected a duration"),
])
def test_a_flag_with_a_value_that_cannot_be_is_wrong_usage(build, tmp_path, flag, words):
    code, said = refused(build, tmp_path, "--web.socket=none", flag)
    assert code == 100 and flag.split("=")[0] in said and words in said, said


def test_a_pipe_is_read_as_a_configuration_but_not_waited_for_in_vain(build, tmp_path):
    pipe = tmp_path / "keepwell.yaml"
    os.mkfifo(pipe)
    argv = [build / "daemon" / "keepwell", "check", pipe]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as check:
        with open(pipe, "w", encoding="utf-8") as out:
            json.dump(QUIET, out)
        assert "fine; 1 service" in check.communicate(timeout=20)[0] and check.returncode == 0
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 100 and "it is a pipe to which nobody writes" in done.stderr
    web = tmp_path / "web.yml"
    os.mkfifo(web)
    pipe.unlink()
    code, words = refused(build, tmp_path, f"--web.config.file={web}", "--web.socket=none")
    assert code == 100 and "nobody writes" in words


def test_a_pause_without_an_answer_may_still_come_about(build, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        heard = []

        def close_after_the_question():
            client, _ = listener.accept()
            with client:
                heard.append(client.recv(4096))

        thread = threading.Thread(target=close_after_the_question)
        thread.start()
        done = subprocess.run([build / "daemon" / "keepwell", "pause", "fine", f"--url=unix:{path}"], capture_output=True,
                              text=True, timeout=30, check=False)
        thread.join()
    assert heard[0].startswith(b"POST ") and stat.S_ISSOCK(os.stat(path).st_mode)
    assert done.returncode == 111 and "may do it still" in done.stderr
    done = subprocess.run([build / "daemon" / "keepwell", "pause", "fine", f"--url=unix:{path}.none"], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 111 and "may do it still" not in done.stderr
