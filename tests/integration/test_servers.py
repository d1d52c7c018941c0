"""The servers that the tests start are real, can be broken and repaired, and leave nothing behind."""

import os
import pathlib
import socket
import subprocess

import certificates
import psycopg2
import pymysql
import pytest
import servers


def redis_reply(port, command):
    with socket.create_connection((servers.HOST, port), timeout=0.5) as client:
        client.sendall(command)
        return client.recv(200)


def test_a_redis_server_answers_freezes_thaws_dies_and_comes_back():
    with servers.redis() as redis:
        directory = redis.directory
        assert redis_reply(redis.port, b"PING\r\n") == b"+PONG\r\n"
        redis.freeze()
        with pytest.raises(TimeoutError):
            redis_reply(redis.port, b"PING\r\n")
        redis.thaw()
        assert redis_reply(redis.port, b"PING\r\n") == b"+PONG\r\n"
        redis.kill()
        with pytest.raises(ConnectionRefusedError):
            redis_reply(redis.port, b"PING\r\n")
        redis.start()
        assert redis_reply(redis.port, b"PING\r\n") == b"+PONG\r\n"
        pid = redis.pid
    assert not os.path.exists(directory)
    assert not os.path.exists(f"/proc/{pid}")


def test_a_password_can_be_asked_for_by_redis():
    with servers.redis("--requirepass", "secret") as redis:
        assert redis_reply(redis.port, b"PING\r\n").startswith(b"-NOAUTH")


def postgres_session(port, password="secret"):
    return psycopg2.connect(host=servers.HOST, port=port, user="app", password=password, dbname="app",
                            connect_timeout=2)


def test_postgres_has_the_database_and_its_owner(postgres_server):
    with postgres_session(postgres_server.port) as session, session.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("app",)
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        postgres_session(postgres_server.port, "wrong")


def test_postgres_freezes_with_all_its_processes_dies_and_comes_back():
    with servers.postgres() as postgres:
        session = postgres_session(postgres.port)
        postgres.freeze()
        states = {pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2]
                  for pid in servers.process_tree(postgres.pid)}
        assert states == {"T"}
        postgres.thaw()
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
        postgres.kill()
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            postgres_session(postgres.port)
        postgres.start()
        postgres_session(postgres.port).close()


def test_mariadb_has_the_database_and_the_user(mariadb_server):
    where = {"host": servers.HOST, "port": mariadb_server.port, "user": "app", "database": "app"}
    with pymysql.connect(**where, password="secret") as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(**where, password="wrong")


def test_nginx_serves_what_its_configuration_says_also_over_tls(tmp_path):
    authority = certificates.Authority(tmp_path)
    leaf = authority.issue("localhost", servers.HOST)
    tls_port = servers.free_port()
    body = f"""
        server {{ listen {servers.HOST}:@PORT@; location / {{ return 200 "plain\\n"; }} }}
        server {{ listen {servers.HOST}:{tls_port} ssl;
                  ssl_certificate {leaf.certificate}; ssl_certificate_key {leaf.key};
                  location / {{ return 200 "tls\\n"; }} }}"""
    with servers.nginx(body) as nginx:
        assert servers.get(nginx.url)[:2] == (200, "plain\n")
        curl = ["curl", "-sS", "--cacert", authority.certificate, f"https://localhost:{tls_port}/"]
        assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout == "tls\n"


def test_a_program_that_does_not_start_is_told_with_what_it_said():
    with pytest.raises(AssertionError, match="(?s)ended with 1.*unknown"):
        with servers.redis("--no-such-option", "unknown"):
            pass
