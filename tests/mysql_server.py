"""A real MySQL for the tests (MariaDB is in servers.py). Debian has it in unstable only, so it runs in a chroot:

    with mysql_server.mysql() as server:
        server.port, server.address, server.restart()

It is looked for as a `mysqld` that is MySQL's own, then in the chroot KEEPWELL_MYSQL_CHROOT (else /var/tmp/keepwell-mysql). With
KEEPWELL_MAKE_MYSQL_CHROOT=1 a missing chroot is made, which takes root, debootstrap, a mirror and a few minutes;
otherwise a test without MySQL is skipped, and says so.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest
import servers


def _is_mysql(argv):
    done = subprocess.run([*argv, "--version"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "MariaDB" not in done.stdout


def _make(chroot):
    def inside(*words):
        servers.run(["chroot", chroot, "env", "DEBIAN_FRONTEND=noninteractive", *words], seconds=1800)

    servers.run([servers.need("debootstrap", "debootstrap"), "--variant=minbase", "sid", chroot], seconds=1800)
    policy = pathlib.Path(chroot, "usr/sbin/policy-rc.d")
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    inside("apt-get", "-o", "Acquire::Check-Valid-Until=false", "update")
    inside("apt-get", "install", "-y", "--no-install-recommends", "mysql-server-core")


def find():
    """The directory that is to be MySQL's root: "/" for an installed one."""
    native = shutil.which("mysqld", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if native and _is_mysql([native]):
        return "/"
    chroot = os.environ.get("KEEPWELL_MYSQL_CHROOT", "/var/tmp/keepwell-mysql")
    program = pathlib.Path(chroot, "usr/sbin/mysqld")
    if not program.exists() and os.environ.get("KEEPWELL_MAKE_MYSQL_CHROOT") == "1":
        _make(chroot)
    if not program.exists() or os.geteuid() != 0 or not _is_mysql(["chroot", chroot, "mysqld"]):
        pytest.skip(f"no MySQL here, and none in {chroot}; as root, KEEPWELL_MAKE_MYSQL_CHROOT=1 makes one")
    return chroot


@contextlib.contextmanager
def mysql(*options, database="app", user="app", password="secret", port=None, more=()):
    """A MySQL server with one database and one user, who may come from anywhere and logs in by
    caching_sha2_password. options are added to its command line, `more` are statements to run at each start."""
    root, port = find(), port or servers.free_port()
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
