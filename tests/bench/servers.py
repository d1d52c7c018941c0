"""The servers that are probed, each started when first asked for, on the server core, with its data in a temporary
directory. nginx and redis listen on every address of 127.0.0.0/8, so that a run can use one of its own and meets no
TIME_WAIT of an earlier one."""

import os
import pwd
import signal
import subprocess
from functools import cached_property
from pathlib import Path

from machine import SERVER_CORE, NotInstalled, Process, require, wait_for_port

NGINX, REDIS, POSTGRES, MARIADB, SINK = 18080, 16379, 15432, 13306, 18081


def postgres_bin():
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not versions:
        raise NotInstalled("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return versions[-1].parent


class Servers:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.serial = 0

    def fresh_address(self):
        """An address of 127.0.0.0/8 that nothing has connected to yet."""
        self.serial += 1
        return f"127.{100 + self.serial // 62500}.{self.serial % 62500 // 250}.{1 + self.serial % 250}"

    def _directory(self, name, user):
        path = self.directory / name
        path.mkdir()
        os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        return path

    @cached_property
    def nginx(self):
        home = self._directory("nginx", "www-data")
        (home / "nginx.conf").write_text(f"""
            daemon off; worker_processes 1; user www-data; pid {home}/pid; error_log {home}/error.log warn;
            events {{ worker_connections 19000; multi_accept on; }}
            http {{
                access_log off; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 300s;
                client_body_temp_path {home}/body;
                server {{ listen {NGINX} backlog=8192; location / {{ return 200 "ok\\n"; }} }}
            }}""")
        process = Process(["nginx", "-p", home, "-c", home / "nginx.conf"], SERVER_CORE, home)
        wait_for_port(NGINX, process=process)
        return process

    @cached_property
    def redis(self):
        home = self._directory("redis", "redis")
        process = Process(["redis-server", "--port", REDIS, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "",
                           "--maxclients", 19000, "--dir", home, "--tcp-backlog", 8192], SERVER_CORE, home)
        wait_for_port(REDIS, process=process)
        return process

    @cached_property
    def postgres(self):
        """With a user `probe` who would have to log in with a password (SCRAM)."""
        require("psql")
        binaries = postgres_bin()
        home = self._directory("postgres", "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        subprocess.run([*as_postgres, binaries / "initdb", "-D", home / "data", "-A", "trust", "-U", "postgres",
                        "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        (home / "data/pg_hba.conf").write_text("host all postgres 127.0.0.0/8 trust\nhost all all 127.0.0.0/8 scram-sha-256\n")
        process = Process([binaries / "postgres", "-D", home / "data", "-p", POSTGRES, "-h", "*", "-k", home,
                           "-c", "fsync=off", "-c", "max_connections=500", "-c", "log_min_messages=panic"],
                          SERVER_CORE, home, user="postgres", end_by=signal.SIGINT)
        wait_for_port(POSTGRES, process=process)
        subprocess.run(["psql", "-qXh", "127.0.0.1", "-p", str(POSTGRES), "-U", "postgres", "-c",
                        "create role probe login password 'probe'"], check=True)
        return process

    @cached_property
    def mariadb(self):
        """With a user `probe` who has a password, and `nopass` for HAProxy, which can send none."""
        require("mariadbd")
        home = self._directory("mariadb", "mysql")
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={home}/data", "--user=mysql", "--skip-test-db"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (home / "init.sql").write_text("CREATE USER 'probe'@'%' IDENTIFIED BY 'probe';\nCREATE USER 'nopass'@'%';\n")
        process = Process(["mariadbd", "--no-defaults", f"--datadir={home}/data", "--user=mysql", f"--port={MARIADB}",
                           "--bind-address=127.0.0.1", f"--socket={home}/socket", "--skip-name-resolve",
                           "--max-connections=2000", "--max-connect-errors=1000000000", "--back-log=4096",
                           f"--init-file={home}/init.sql"], SERVER_CORE, home)
        wait_for_port(MARIADB, 60, process)
        return process
