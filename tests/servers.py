"""Real servers for the tests.

Each context manager starts one server on a free loopback port, in a new directory of its own, waits until it
answers, and at the end stops it by its process id and removes the directory:

    with servers.redis("--requirepass", "secret") as redis:
        redis.port, redis.address, redis.log()
        redis.freeze(); redis.thaw(); redis.kill(); redis.start()

A server dies with the test process (parent death signal), so that an interrupted run leaves nothing behind.
That signal follows the thread that started it: start servers from a thread that lives as long as they should.
As root, PostgreSQL and MariaDB run as their own users, because they refuse to run as root.
"""

import contextlib
import glob
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

HOST = "127.0.0.1"
_port_locks = []


def wait_until(condition, seconds=10.0, what="", interval=0.01):
    """Calls condition until it returns something true, and returns that; an AssertionError after `seconds`.
    OSError and AssertionError raised by condition count as "not yet"; the last one is part of the message."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            if value := condition():
                return value
            last = None
        except (OSError, AssertionError) as error:
            last = error
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"not within {seconds} s: {name}" + (f" (last: {last})" if last else ""))
        time.sleep(interval)


def free_port():
    """A TCP port nobody listens on, and that no other test process is given while this one lives.
    It is outside of the range from which the kernel picks ports for outgoing connections; an abstract socket
    of the port's name is the lock."""
    while True:
        port = random.randrange(12000, 32000)
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0keepwell-test-port-{port}")
        except OSError:
            lock.close()
            continue
        if _is_free(socket.AF_INET, HOST, port) and _is_free(socket.AF_INET6, "::1", port):
            _port_locks.append(lock)
            return port
        lock.close()


def _is_free(family, host, port):
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return family == socket.AF_INET6 and error.errno != 98  # no IPv6 here: nothing to collide with
    return True


def accepts(port, host=HOST):
    """Whether something accepts connections there."""
    with socket.create_connection((host, port), timeout=2):
        return True


def need(program, package):
    """The program's full path; a test failure that names the Debian package when it is missing."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert path, f"{program} is missing: apt-get install {package}"
    return path


class Server:
    """One running program, which can be broken and repaired. `directory` is its own, removed at the end."""

    def __init__(self, name, argv, *, port=0, env=None, user=None, ready=None, seconds=30.0,
                 stop_signal=signal.SIGTERM, directory=None):
        self.name, self.argv, self.port, self.env = name, [str(word) for word in argv], port, env
        self.user, self.ready, self.seconds, self.stop_signal = user, ready, seconds, stop_signal
        self.directory = directory or new_directory(name, user)
        self.process = None

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        """Starts the program; with wait, returns when it is ready."""
        assert not self.running(), f"{self.name} runs already"
        with open(f"{self.directory}/log", "ab") as log:
            self.process = subprocess.Popen(_as_user(self.user, self.argv, self.stop_signal),
                                            env=self.env, cwd=self.directory, start_new_session=True,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def check():
            if not self.running():
                return True
            return self.ready(self) if self.ready else True

        try:
            wait_until(check, self.seconds, f"{self.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-4000:]}") from None
        assert self.running(), f"{self.name} ended with {self.process.returncode}:\n{self.log()[-4000:]}"

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        """What it printed so far, over all its starts."""
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def send(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """SIGSTOP to it and its children: connections are still accepted by the kernel, nothing answers."""
        def stopped():
            self._send_all(signal.SIGSTOP)  # again, to those that were born while the others were told
            return all(_stopped(pid) for pid in process_tree(self.pid))

        wait_until(stopped, what=f"{self.name} stops")

    def thaw(self):
        self._send_all(signal.SIGCONT)

    def kill(self):
        """SIGKILL to it and its children; returns when it is gone."""
        self._send_all(signal.SIGKILL)
        self.process.wait()

    def _send_all(self, number):
        for pid in process_tree(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, seconds=10.0):
        """The polite way, then the other; returns the exit status."""
        if self.running():
            self.thaw()
            self.send(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # children that outlived it
        return self.process.returncode if self.process else None

    def restart(self):
        self.stop()
        return self.start()


def process_tree(pid):
    """The process and all its descendants, parents first."""
    children = ""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = file.read()
    return [pid] + [descendant for child in children.split() for descendant in process_tree(int(child))]


def _stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(") ")[2][0] in "TZ"


def new_directory(name, user=None):
    """A new directory directly under the temporary one (socket paths must be short); as root it is user's."""
    directory = tempfile.mkdtemp(prefix=f"keepwell-{name}-")
    if user and os.geteuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    else:
        os.chmod(directory, 0o755)
    return directory


def _as_user(user, argv, death_signal=None):
    words = [need("setpriv", "util-linux")]
    if death_signal:
        words += ["--pdeathsig", signal.Signals(death_signal).name.removeprefix("SIG")]
    if user and os.geteuid() == 0:
        words += [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]
    return words + ["--", *argv] if len(words) > 1 else argv


def run(argv, *, user=None, text=None, seconds=60):
    """Runs a program to its end; an AssertionError with its output when it fails. Returns what it printed."""
    done = subprocess.run(_as_user(user, [str(word) for word in argv]), input=text, text=True, cwd="/",
                          timeout=seconds, capture_output=True, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def started(server):
    """Starts a Server, and in the end stops it and removes its directory."""
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


@contextlib.contextmanager
def program(argv, *, name=None, port=0, env=None, ready=None, seconds=30.0):
    """Any program. env is added to this process' environment. Without `ready` (a function of the Server), it
    is ready when its port accepts, or at once when it has none."""
    ready = ready or ((lambda server: accepts(server.port)) if port else None)
    server = Server(name or os.path.basename(str(argv[0])), argv, port=port, ready=ready, seconds=seconds,
                    env={**os.environ, **(env or {})})
    with started(server):
        yield server


@contextlib.contextmanager
def redis(*options, port=None):
    """A Redis server. options are added to its command line, for example "--requirepass", "secret"."""
    port = port or free_port()
    directory = new_directory("redis")
    argv = [need("redis-server", "redis-server"), "--bind", HOST, "--port", port, "--dir", directory,
            "--save", "", "--daemonize", "no", "--unixsocket", f"{directory}/socket", *options]
    with started(Server("redis", argv, port=port, directory=directory, ready=_redis_answers)) as server:
        yield server


def _redis_answers(server):
    with socket.socket(socket.AF_UNIX) as client:  # also when the TCP port wants TLS
        client.settimeout(2)
        client.connect(f"{server.directory}/socket")
        client.sendall(b"PING\r\n")
        return client.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM", b"-MASTERDOWN", b"-LOADING"))


def postgres_program(name):
    """The path of a program of the newest installed PostgreSQL; Debian's wrappers in /usr/bin are slow."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: float(path.split("/")[4]))
    assert found, f"{name} is missing: apt-get install postgresql"
    return found[-1]


@contextlib.contextmanager
def postgres(*options, database="app", user="app", password="secret", port=None, auth="scram-sha-256"):
    """A PostgreSQL server with one database, owned by `user`. The superuser is `postgres`, same password.
    options are settings: "max_connections=5"."""
    port = port or free_port()
    directory = new_directory("postgres", "postgres")
    owner = "postgres"
    password_file = f"{directory}/password"
    with open(password_file, "w", encoding="utf-8") as file:
        file.write(password)
    run([postgres_program("initdb"), "-D", f"{directory}/data", "-U", "postgres", f"--pwfile={password_file}",
         f"--auth-host={auth}", "--auth-local=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"], user=owner)
    argv = [postgres_program("postgres"), "-D", f"{directory}/data", "-p", port, "-k", directory]
    for setting in [f"listen_addresses={HOST}", "fsync=off", "shared_buffers=8MB", "max_connections=30",
                    *options]:
        argv += ["-c", setting]
    is_ready = [postgres_program("pg_isready"), "-q", "-h", directory, "-p", port]
    server = Server("postgres", argv, port=port, user=owner, directory=directory, stop_signal=signal.SIGINT,
                    ready=lambda it: _succeeds(is_ready))
    psql = [postgres_program("psql"), "-qAtX", "-h", directory, "-p", port, "-U", "postgres", "postgres"]
    with started(server):
        if user != "postgres":
            run([*psql, "-c", f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'"])
        if database != "postgres":
            run([*psql, "-c", f'CREATE DATABASE "{database}" OWNER "{user}"'])
        yield server


@contextlib.contextmanager
def mariadb(*options, database="app", user="app", password="secret", port=None):
    """A MariaDB server with one database and one user, who may come from anywhere. `root` has the same
    password. options are added to its command line, for example "--max-connections=5"."""
    port = port or free_port()
    directory = new_directory("mariadb", "mysql")
    small = ["--no-defaults", f"--datadir={directory}/data", "--innodb-buffer-pool-size=16M",
             "--innodb-log-file-size=8M"]
    run([need("mariadb-install-db", "mariadb-server"), *small, "--auth-root-authentication-method=normal",
         "--skip-test-db", "--skip-log-bin"], user="mysql")
    argv = [need("mariadbd", "mariadb-server"), *small, f"--socket={directory}/socket", f"--port={port}",
            f"--bind-address={HOST}", "--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync",
            "--skip-name-resolve", f"--pid-file={directory}/pid", "--performance-schema=OFF",
            f"--tmpdir={directory}", *options]
    as_root = ["--no-defaults", f"--socket={directory}/socket", "-u", "root"]
    ping = [need("mariadb-admin", "mariadb-client"), *as_root, "ping"]  # a refused password is an answer, too
    server = Server("mariadb", argv, port=port, user="mysql", directory=directory,
                    ready=lambda it: _succeeds(ping))
    with started(server):
        statements = [f"CREATE DATABASE `{database}`", f"CREATE USER `{user}`@`%` IDENTIFIED BY '{password}'",
                      f"GRANT ALL ON `{database}`.* TO `{user}`@`%`",
                      f"ALTER USER root@localhost IDENTIFIED BY '{password}'"]
        run([need("mariadb", "mariadb-client"), *as_root], text=";\n".join(statements))
        yield server


def _succeeds(argv):
    return subprocess.run([str(word) for word in argv], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def nginx(http, *, port=None, main=""):
    """nginx with `http` as the body of its http block: give it a server that listens on @PORT@; @DIR@ is its
    directory. `main` is put before the events block. `configure(body)` of the server writes another body."""
    port = port or free_port()
    directory = new_directory("nginx")
    path = f"{directory}/nginx.conf"
    program_path = need("nginx", "nginx")

    def configure(body):
        temporary = "".join(f"{kind}_temp_path {directory}/{kind};"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = (f"daemon off; worker_processes 1; pid {directory}/pid; error_log stderr notice; {main}\n"
                f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{body}\n}}\n")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("@PORT@", str(port)).replace("@DIR@", directory))

    configure(http)
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    argv = [program_path, "-e", "stderr", "-c", path, "-p", directory, *user]
    server = Server("nginx", argv, port=port, directory=directory, ready=lambda it: accepts(it.port))
    server.config, server.configure = path, configure
    with started(server):
        yield server


def get(url, *, method=None, body=None, headers=None, timeout=10.0):
    """(status, body as text, headers) of one HTTP request; 4xx and 5xx are answers, not errors."""
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, response.read().decode("utf-8", "replace"), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace"), error.headers
