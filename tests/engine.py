"""A real Docker Engine for the tests, and what they run in it.

    engine = engine.find()                       the one that answers, else a dockerd of our own
    engine.docker("ps", "-q")                    what the command prints; an AssertionError with its words when it fails
    engine.keepwell(), engine.app()              names of the images, built by deploy/Dockerfile from this source
    engine.stand_ins()                           redis:7-alpine, postgres:15, ... from Debian's packages (tests/e2e/images)
    with engine.project("name", [FILE...], env={...}, override={...}) as stack:
        stack.up(); stack.kill("api"); stack.freeze("redis"); stack.container("api", 2)["State"]["Health"]

Nothing is pulled: the base image is debootstrap's, everything else is built on it. All of it is made once: an image is named
after the hash of what it is made of, and only one process of a parallel run makes it. KEEPWELL_IMAGE and APP_IMAGE name
images that are taken instead of those of this source. KEEPWELL_ENGINE=skip skips what needs
an engine; without it, a machine that can have none fails.

An engine of our own keeps its images in build/engine, and ends when the last process that uses it ends.
"""

import atexit
import contextlib
import fcntl
import functools
import hashlib
import http.client
import http.server
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse

import pytest
import servers

ROOT = pathlib.Path(__file__).resolve().parents[1]
IMAGES = ROOT / "tests" / "e2e" / "images"
BASE = "debian:trixie-slim"
HOST = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")  # an engine that is there already
STAND_IN = "io.keepwell.stand-in"  # the label of an image that only goes by its official name


def run(argv, *, seconds=60, **more):
    """The completed process, whatever it ended with."""
    return subprocess.run([str(word) for word in argv], capture_output=True, timeout=seconds, check=False, **more)


@contextlib.contextmanager
def locked(path):
    """Only one process at a time is between here and the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Connection(http.client.HTTPConnection):
    """To an Engine at unix:///PATH or tcp://HOST:PORT."""

    def __init__(self, host):
        kind, _, self._place = host.partition("://")
        assert kind in ("unix", "tcp"), f"the tests cannot ask an engine at {host}"
        super().__init__(self._place if kind == "tcp" else "localhost", timeout=60)
        self._local = kind == "unix"

    def connect(self):
        if not self._local:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._place)


class Engine:
    def __init__(self, host, cache):
        self.host, self.cache = host, cache  # the host as in DOCKER_HOST; where files are kept between runs
        self.env = {**os.environ, "DOCKER_HOST": host, "DOCKER_CLI_HINTS": "false"}

    def run(self, *words, seconds=60, **more):
        return run(["docker", *words], seconds=seconds, env=self.env, **more)

    def docker(self, *words, seconds=60, text=None):
        done = self.run(*words, seconds=seconds, input=text, text=True)
        assert done.returncode == 0, f"docker {' '.join(map(str, words))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout.strip()

    def ask(self, path):
        """What the Engine's API says there, or None. A `docker` would take ten times the processor for it, and what happens
        to containers is looked at each second by many tests."""
        with contextlib.closing(_Connection(self.host)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read()
            return json.loads(text) if response.status == 200 else None

    def containers(self, *, ended=False, **filters):
        """All that Docker knows of those that run (or have ended, too) and match: label="a=b", name="n", health="unhealthy"."""
        wanted = urllib.parse.quote(json.dumps({name: [value] for name, value in filters.items()}))
        found = self.ask(f"/containers/json?all={int(ended)}&filters={wanted}")
        described = [self.ask(f"/containers/{each['Id']}/json") for each in found]
        return [each for each in described if each]  # without those that have gone meanwhile

    def has_image(self, name):
        return self.run("image", "inspect", name).returncode == 0

    @property
    def socket(self):
        """The path of its socket; a skipped test when it has none."""
        if not self.host.startswith("unix://"):
            pytest.skip(f"the engine at {self.host} has no socket that a container could be given")
        return self.host.removeprefix("unix://")

    @property
    def socket_group(self):
        return str(os.stat(self.socket).st_gid)

    @functools.cached_property
    def compose(self):
        """Compose v2, as the start of a command line."""
        for words in (["docker", "compose"], ["docker-compose"]):
            with contextlib.suppress(OSError):
                if run([*words, "version", "--short"], text=True).stdout.lstrip("v")[:1] >= "2":
                    return words
        with locked(self.cache / "compose.lock"):
            program = self.cache / "docker-compose"
            if not program.exists():
                self._unpack_compose(program)
        return [str(program)]

    def _unpack_compose(self, program):
        """Debian 13 has it, Debian 12 only its predecessor; the program of the one runs on the other."""
        script = ("set -e; cd /tmp; apt-get -qq update >&2; apt-get -qq download docker-compose >&2; dpkg -x *.deb x >&2;"
                  " cat x/usr/libexec/docker/cli-plugins/docker-compose")
        done = self.run("run", "--rm", self.base(), "sh", "-c", script, seconds=300)
        assert done.returncode == 0, done.stderr.decode()
        program.with_suffix(".new").write_bytes(done.stdout)
        program.with_suffix(".new").chmod(0o755)
        program.with_suffix(".new").rename(program)

    @functools.cache
    def base(self):
        """The name of the image that all others stand on."""
        with locked(self.cache / "base.lock"):
            if not self.has_image(BASE):
                self._make_base()
        return BASE

    def _make_base(self):
        debootstrap = servers.need("debootstrap", "debootstrap")
        directory = tempfile.mkdtemp(prefix="keepwell-base-")
        try:
            servers.run([debootstrap, "--variant=minbase", "trixie", directory], seconds=900)
            _slim(pathlib.Path(directory))
            with subprocess.Popen(["tar", "-C", directory, "-c", "."], stdout=subprocess.PIPE) as tar:
                done = self.run("import", "-", BASE, stdin=tar.stdout, seconds=300)
            assert done.returncode == 0, done.stderr.decode()
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def build(self, name, files, *options, seconds=900):
        """Builds an image from files (name → bytes, among them Dockerfile) unless there is one of the same files and
        options; returns its whole name, NAME:HASH."""
        packed = _tar(files)
        tag = f"{name}:{hashlib.sha256(packed + repr(options).encode()).hexdigest()[:12]}"
        with locked(self.cache / f"image-{name.replace('/', '-')}.lock"):
            if not self.has_image(tag):
                self.base()
                done = self.run("build", "-t", tag, *options, "-", input=packed, seconds=seconds)
                assert done.returncode == 0, (done.stdout[-8000:] + done.stderr[-4000:]).decode(errors="replace")
        return tag

    @functools.cache
    def keepwell(self):
        return os.environ.get("KEEPWELL_IMAGE") or self._of_this_source("keepwell")

    @functools.cache
    def app(self):
        return os.environ.get("APP_IMAGE") or self._of_this_source("app")

    def _of_this_source(self, target):
        """deploy/Dockerfile as a user builds it, with GCC on Debian 13: what the tests see is what users get, which an
        image around the instrumented binaries of build/ would not be. That takes some minutes of two processors, once per
        change of a source, and both images come of one compilation; the compiler cache makes the next change cheap."""
        with locked(self.cache / "source.lock"), _compiler_cache(self.cache / "ccache") as port:
            return self.build(f"keepwell-test/{target}", _sources(), "-f", "deploy/Dockerfile", "--target", target,
                              "--network", "host", "--build-arg", f"CCACHE_REMOTE_STORAGE=http://127.0.0.1:{port}", seconds=1800)

    @functools.cache
    def stand_ins(self):
        """Real servers from Debian's packages under the names of the official images, as far as those are not there;
        returns the names."""
        names = []
        for directory in sorted(each for each in IMAGES.iterdir() if each.is_dir()):
            files = {str(each.relative_to(directory)): each.read_bytes() for each in directory.rglob("*") if each.is_file()}
            official = files.pop("names").decode().split()
            built = self.build(f"keepwell-test/{directory.name}", files, "--label", f"{STAND_IN}={directory.name}")
            for name in official:
                if not self.has_image(name) or self._is_stand_in(name):
                    self.docker("tag", built, name)
            names += official
        return names

    def _is_stand_in(self, name):
        return STAND_IN in self.docker("image", "inspect", "-f", "{{json .Config.Labels}}", name)

    def root_of(self, image):
        """A directory with the image's files, to be somebody's root on this machine."""
        identity = self.docker("image", "inspect", "-f", "{{.Id}}", image).removeprefix("sha256:")[:12]
        root = self.cache / f"root-{identity}"
        with locked(self.cache / "root.lock"):
            if not root.exists():
                new = root.with_suffix(".new")
                shutil.rmtree(new, ignore_errors=True)
                new.mkdir()
                container = self.docker("create", image)
                archive = root.with_suffix(".tar")
                self.docker("export", "-o", archive, container, seconds=300)
                self.docker("rm", container)
                servers.run(["tar", "-x", "-f", archive, "-C", new], seconds=300)
                archive.unlink()
                for name, minor in ("null", 3), ("urandom", 9):
                    (new / "dev" / name).unlink(missing_ok=True)  # a container gets its own
                    os.mknod(new / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
                new.rename(root)
        return root

    @functools.cached_property
    def _hand(self):
        """A container that sees the processes of all others, to send them what nobody inside may send to process 1. It ends
        by itself when an interrupted run has forgotten it."""
        name = f"keepwell-test-hand-{os.getpid()}"
        atexit.register(self.run, "rm", "-f", name)
        self.docker("run", "-d", "--rm", "--name", name, "--pid", "host", "--cap-add", "SYS_PTRACE", "--network", "none",
                    "--label", "io.keepwell.test=hand", self.base(), "sleep", "7200")
        return name

    def send(self, number, pid, descendants=False):
        """A signal to a process of the engine's machine, and to its descendants when asked for."""
        assert pid > 0, "it does not run"  # 0 would be ourselves
        # Those that end before it comes to them need none.
        script = ('tree() { for child in $(cat /proc/$1/task/*/children 2>/dev/null); do echo $child; tree $child; done; };'
                  ' kill -$1 $2 || exit; [ "$3" = 0 ] || kill -$1 $(tree $2) 2>/dev/null; true')
        self.docker("exec", self._hand, "sh", "-c", script, "sh", int(number), pid, int(descendants))

    def look(self, path):
        """The text of a file under /proc of the engine's machine."""
        return self.docker("exec", self._hand, "cat", path)

    def join_swarm(self):
        """Makes the engine a swarm of one node. It stays one while anything runs: leaving a swarm takes the names away that
        containers call each other by, in every network, until they are started again."""
        with locked(self.cache / "swarm.lock"):
            if self.docker("info", "-f", "{{.Swarm.LocalNodeState}}") == "active":
                return
            if os.environ.get("KEEPWELL_SWARM") != "1" and (others := self._others()):
                pytest.skip(f"{', '.join(others)} would suffer from a swarm that comes and goes; KEEPWELL_SWARM=1 takes that chance")
            self.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
            (self.cache / "swarm").touch()

    def leave_swarm(self):
        """If the tests have made it one, and nothing runs any more."""
        if (self.cache / "swarm").exists() and not self.docker("ps", "-q"):
            self.run("swarm", "leave", "--force")
            (self.cache / "swarm").unlink()

    def _others(self):
        """The names of running containers that are none of the tests'."""
        return [name for name in self.docker("ps", "--format", "{{.Names}}").split() if not name.startswith("keepwell-")]

    def project(self, name, files, **more):
        return Project(self, name, files, **more)


class Events:
    """What happens to containers from now on: (time, action, labels), with time as in time.time(). A stream, because the
    Engine itself remembers only its last 256 events, and each run of each health check makes three."""

    def __init__(self, engine, label):
        self.seen = []
        self._process = subprocess.Popen(
            ["docker", "events", "--filter", "type=container", "--filter", f"label={label}", "--filter", "event=start",
             "--filter", "event=die", "--filter", "event=health_status", "--format", "{{json .}}"],
            env=engine.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            event = json.loads(line)
            self.seen.append((event["timeNano"] / 1e9, event["Action"], event["Actor"]["Attributes"]))

    def since(self, start):
        return [each for each in list(self.seen) if each[0] >= start]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)


class Project:
    """One Compose project, from `with` to its end; nothing of it is left then. `override` is one more Compose file, as
    values; env is what its variables are taken from."""

    def __init__(self, engine, name, files, *, env=None, override=None, env_file=None, profiles=()):
        self.engine, self.name, self.label = engine, name, f"com.docker.compose.project={name}"
        self.files, self.env_file, self.profiles = [str(file) for file in files], env_file, profiles
        self.env = {**engine.env, "KEEPWELL_IMAGE": "keepwell", "APP_IMAGE": "keepwell-app", **(env or {})}
        self.override = override
        self._directory = None

    def __enter__(self):
        self._directory = tempfile.mkdtemp(prefix="keepwell-project-")
        if self.override:
            path = f"{self._directory}/override.yaml"
            pathlib.Path(path).write_text(json.dumps(self.override), encoding="utf-8")
            self.files.append(path)
        self.down()  # what an interrupted run has left
        return self

    def __exit__(self, *_):
        try:
            self.down()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, *words, seconds=180, **more):
        files = [word for file in self.files for word in ("-f", file)]
        files += ["--env-file", str(self.env_file)] if self.env_file else []
        files += [word for profile in self.profiles for word in ("--profile", profile)]
        return run([*self.engine.compose, "-p", self.name, "--project-directory", pathlib.Path(self.files[0]).parent,
                    "--progress", "plain", *files, *words], env=self.env, seconds=seconds, text=True, **more)

    def compose(self, *words, seconds=180):
        done = self.run(*words, seconds=seconds)
        assert done.returncode == 0, f"compose {' '.join(words)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}{self.logs()[-4000:]}"
        return done.stdout

    def config(self):
        return json.loads(self.compose("config", "--format", "json"))

    def up(self, *words, seconds=180):
        """Returns when every service runs, and is healthy where it has a health check."""
        return self.compose("up", "-d", "--wait", "--wait-timeout", str(seconds), "--quiet-pull", *words, seconds=seconds + 30)

    def down(self):
        done = self.run("--profile", "*", "down", "-v", "--remove-orphans", "-t", "1", seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr
        left = self.engine.docker("ps", "-aq", "--filter", f"label={self.label}").split()
        if left:  # made by somebody else in this project's name
            self.engine.docker("rm", "-fv", *left)

    def logs(self, *services):
        done = self.run("logs", "--no-color", "--timestamps", *services)
        return done.stdout + done.stderr

    def containers(self):
        """All that Docker knows of them, in the order of service and number."""
        found = [each for each in self.engine.containers(ended=True, label=self.label)
                 if each["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"]
        return sorted(found, key=lambda each: _place(each["Config"]["Labels"]))

    def container(self, service, number=1):
        found = [each for each in self.containers() if _place(each["Config"]["Labels"]) == (service, number)]
        assert found, f"no container {number} of {service} in {self.name}"
        return found[0]

    def send(self, number, service, instance=1, descendants=False):
        """A signal to the container's main process, from outside: it cannot be ignored there."""
        self.engine.send(number, self.container(service, instance)["State"]["Pid"], descendants)

    def kill(self, service, instance=1):
        """kill -9 of its main process, which Docker does not take for a wish of its user."""
        self.send(signal.SIGKILL, service, instance)

    def freeze(self, service, instance=1):
        """SIGSTOP to all of the service's processes: the kernel still accepts connections, nobody answers."""
        self.send(signal.SIGSTOP, service, instance, descendants=True)

    def wait_healthy(self, *services, seconds=60):
        """Until all (of these) run and are healthy where they have a health check."""
        def healthy():
            found = [each for each in self.containers()
                     if not services or each["Config"]["Labels"]["com.docker.compose.service"] in services]
            ill = {each["Name"]: each["State"] for each in found if not is_well(each)}
            assert found and not ill, json.dumps(ill)[:4000]
            return found
        return servers.wait_until(healthy, seconds, f"{self.name} is healthy", 0.5)


def service_of(labels):
    """Of a container, by Compose's labels or Swarm's; None when it is of neither."""
    in_swarm = labels.get("com.docker.swarm.service.name")
    stack = labels.get("com.docker.stack.namespace", "")
    return in_swarm.removeprefix(f"{stack}_") if in_swarm else labels.get("com.docker.compose.service")


def is_well(container):
    """Running (or ended with 0, when nobody restarts it), and healthy where it says."""
    state = container["State"]
    if state["Status"] == "exited" and container["HostConfig"]["RestartPolicy"]["Name"] in ("no", "on-failure", ""):
        return state["ExitCode"] == 0
    return state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy"


def _place(labels):
    return labels["com.docker.compose.service"], int(labels["com.docker.compose.container-number"])


def _tar(files):
    """The same bytes for the same files, whoever packs them and when. A file with #! may be executed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _slim(root):
    """What makes Debian's images out of Debian: no service is started, nothing downloaded is kept, nobody reads the manual."""
    needless = ["usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info"]
    files = {
        "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
        "etc/apt/apt.conf.d/docker-clean": 'APT::Keep-Downloaded-Packages "false";\nDir::Cache::pkgcache "";\n'
                                           'Dir::Cache::srcpkgcache "";\nAcquire::Languages "none";\n',
        "etc/dpkg/dpkg.cfg.d/docker": "".join(f"path-exclude /{path}/*\n" for path in needless),
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
        (root / name).chmod(0o755 if text.startswith("#!") else 0o644)
    for pattern in ["var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", *(f"{each}/*" for each in needless)]:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _sources():
    """What deploy/Dockerfile copies, without what does not get into its images: a change of that makes no new ones."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", ".", ":!tests", ":!deploy/stacks",
                             ":!docs/decisions", ":!docs/runbooks", ":!dashboards", ":!deploy/quickstart*", ":!deploy/compose*"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: (ROOT / name).read_bytes() for name in listed if (ROOT / name).is_file()}


@contextlib.contextmanager
def _compiler_cache(directory, port=22122):
    """A store for ccache: a build in an image begins with nothing but what it can ask for by HTTP."""
    class Store(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def file(self):
            return directory / hashlib.sha256(self.path.encode()).hexdigest()

        def answer(self, status, body=b""):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            found = self.file().exists()
            self.answer(200 if found else 404, self.file().read_bytes() if found else b"")

        do_HEAD = do_GET

        def do_PUT(self):
            new = self.file().with_suffix(f".{threading.get_ident()}")
            new.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            new.rename(self.file())
            self.answer(201)

        def log_message(self, *_):
            pass

    directory.mkdir(parents=True, exist_ok=True)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Store)
    except OSError:  # another checkout builds; ccache works without, too
        yield port
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()


def _answers(host):
    done = run(["docker", "info", "-f", "{{.ServerVersion}}"], env={**os.environ, "DOCKER_HOST": host}, seconds=20)
    return done.returncode == 0 and done.stdout.strip() != b""


_used = []  # open files that say that this process uses the engine of ours


@functools.cache
def find():
    """The engine that answers, else one of our own; a skipped test or a failure when neither can be."""
    if os.environ.get("KEEPWELL_ENGINE") == "skip":
        pytest.skip("KEEPWELL_ENGINE=skip")
    servers.need("docker", "docker.io")
    cache = ROOT / "build" / "engine"
    cache.mkdir(parents=True, exist_ok=True)
    return Engine(HOST if _answers(HOST) else _own_engine(cache), cache)


def _own_directory(cache):
    return pathlib.Path(tempfile.gettempdir(), f"keepwell-engine-{hashlib.sha256(str(cache).encode()).hexdigest()[:8]}")


def _own_engine(cache):
    """Starts dockerd, or finds the one that another process of this run has started."""
    assert os.geteuid() == 0, "no Docker Engine answers here, and only root can start one; KEEPWELL_ENGINE=skip skips these tests"
    directory = _own_directory(cache)
    directory.mkdir(mode=0o711, exist_ok=True)
    host = f"unix://{directory}/socket"
    with locked(cache / "engine.lock"):
        if not _answers(host):
            argv = [servers.need("dockerd", "docker.io"), "--data-root", cache / "data", "--exec-root", directory / "exec",
                    "-p", directory / "pid", "-H", host]
            with open(cache / "dockerd.log", "wb") as log:
                process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True, cwd="/")
            with contextlib.suppress(AssertionError):
                servers.wait_until(lambda: _answers(host) or process.poll() is not None, 60, "dockerd answers", 0.3)
            assert _answers(host), (cache / "dockerd.log").read_text(encoding="utf-8")[-2000:]
        user = open(cache / "engine.users", "w", encoding="ascii")
        fcntl.flock(user, fcntl.LOCK_SH)
    _used.append(user)
    atexit.register(_end_own_engine, cache, directory, user, os.getpid())
    return host


def _end_own_engine(cache, directory, user, owner):
    """By its process id, when nobody else uses it any more: tests/run uses it from its first to its last stage."""
    if os.getpid() != owner:  # a copy of the process that uses it
        return
    with locked(cache / "engine.lock"):
        try:
            fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        pid = int((directory / "pid").read_text(encoding="ascii"))
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "dockerd":
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        shutil.rmtree(directory, ignore_errors=True)


def end_own_engine():
    """The one that tests of this checkout have started, unless somebody still uses it."""
    cache = ROOT / "build" / "engine"
    if (_own_directory(cache) / "pid").exists():
        with open(cache / "engine.users", "w", encoding="ascii") as user:
            _end_own_engine(cache, _own_directory(cache), user, os.getpid())


if __name__ == "__main__":  # makes everything there is to make, and says how long it took; `end`: ends an engine of our own
    for what in ("base", "compose", "stand_ins", "keepwell", "app") if sys.argv[1:] != ["end"] else ():
        start = time.monotonic()
        made = getattr(find(), what)
        made = made() if callable(made) else made
        print(f"{what}: {made if isinstance(made, str) else ' '.join(made)} ({time.monotonic() - start:.0f} s)", flush=True)
    if sys.argv[1:] == ["end"]:
        end_own_engine()
