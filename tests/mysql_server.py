"""A real MySQL for the tests (MariaDB is in servers.py). Debian has it in unstable only, so it runs in a chroot:

    with mysql_server.mysql() as server:
        server.port, server.address, server.restart()

It is an installed `mysqld` that is MySQL's own, else that of the image that goes by the name mysql:8.0 (tests/e2e/images). Without
one and without a Docker Engine to make the other, a test is skipped, and says so.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import engine
import pytest
import servers


def _is_mysql(argv):
    done = subprocess.run([*argv, "--version"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "MariaDB" not in done.stdout


def find():
    """The directory that is to be MySQL's root: "/" for an installed one."""
    native = shutil.which("mysqld", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if native and _is_mysql([native]):
        return "/"
    if os.geteuid() != 0:
        pytest.skip("no MySQL is installed, and only root can run another one's in a chroot")
    docker = engine.find()
    docker.stand_ins()
    return str(docker.root_of("mysql:8.0"))


@contextlib.contextmanager
def mysql(*options, database="app", user="app", password="secret", port=None, more=(), peer=""):
    """A MySQL server with one database and one user, who may come from anywhere and logs in by
    caching_sha2_password. options are added to its command line, `more` are statements to run at each start. It counts the errors
    only of peers whose name it knows: `peer` is the address of one."""
    root, port = find(), port or servers.free_port()
    if peer and root != "/":
        pathlib.Path(root, "etc", "hosts").write_text(f"{peer} peer.test\n", encoding="ascii")
    owner = pwd.getpwnam("mysql")
    directory = tempfile.mkdtemp(prefix="keepwell-mysql-", dir=f"{root}/tmp")
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    seen = directory.removeprefix(root.rstrip("/"))  # from inside
    pathlib.Path(directory, "init.sql").write_text(
        f"CREATE DATABASE IF NOT EXISTS `{database}`;\n"
        f"CREATE USER IF NOT EXISTS `{user}`@`%` IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON `{database}`.* TO `{user}`@`%`;\n" + "".join(f"{each};\n" for each in more),
        encoding="utf-8")
    argv = ["chroot", root, "setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
            "--pdeathsig", "TERM", "mysqld", "--no-defaults", f"--datadir={seen}/data", "--mysqlx=OFF",
            "--innodb-buffer-pool-size=16M", "--skip-log-bin", "--performance-schema=OFF", f"--port={port}",
            f"--socket={seen}/socket", f"--bind-address={servers.HOST}", f"--init-file={seen}/init.sql",
            f"--pid-file={seen}/pid", f"--tmpdir={seen}", "--secure-file-priv=NULL", *options]
    server = servers.Server("mysql", argv, port=port, directory=directory, seconds=60.0,
                            ready=lambda it: servers.accepts(it.port))
    try:
        servers.run([*argv[:argv.index("mysqld") + 3], "--initialize-insecure"])
        with servers.started(server):
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)
