"""The heartbeat probe: a file that is touched and a key in a real Redis. Posting needs a daemon: tests/e2e."""

import os
import time

import certificates
import pytest
import servers
from command import probe

OK = ("ok", "none")


def judge(build, target, expected, **options):
    result = probe(build, "heartbeat", target, **{"timeout": "1s", **options})
    assert (result["outcome"], result["reason"]) == expected, result
    return result


def redis(server, *words):
    return servers.run([servers.need("redis-cli", "redis-tools"), "-s", f"{server.directory}/socket", *words]).strip()


def in_redis(build, server, expected, **options):
    return judge(build, "1m", expected, redis__address=server.address, key="beat", **options)


def test_a_file(build, tmp_path):
    beat = tmp_path / "beat"
    beat.touch()
    judge(build, "1m", OK, file=beat)
    os.utime(beat, (time.time() - 90, time.time() - 90))
    late = judge(build, "1m", ("rejected", "late"), file=beat)
    assert 89 < late["facts"]["heartbeat_age_seconds"] < 100
    judge(build, "10m", OK, file=beat)


@pytest.mark.parametrize("scale", [1, 1000])
def test_a_key_that_holds_the_time(build, redis_server, scale):
    for ago, expected in ((5, OK), (90, ("rejected", "late")), (-3600, OK)):
        redis(redis_server, "SET", "beat", f"{(time.time() - ago) * scale:.3f}")
        result = in_redis(build, redis_server, expected)
        assert abs(result["facts"]["heartbeat_age_seconds"] - max(ago, 0)) < 5
    redis(redis_server, "DEL", "beat")


def test_a_key_that_expires_by_itself(build, redis_server):
    redis(redis_server, "SET", "beat", "alive", "PX", "60000")
    in_redis(build, redis_server, OK)
    redis(redis_server, "DEL", "beat")
    redis(redis_server, "LPUSH", "beat", "one", "two")
    in_redis(build, redis_server, OK)
    redis(redis_server, "DEL", "beat")
    assert "is missing" in in_redis(build, redis_server, ("rejected", "late"))["detail"]


def test_a_redis_that_cannot_be_read_says_nothing_about_the_service(build):
    with servers.redis() as server:
        server.freeze()
        in_redis(build, server, ("not_attempted", "timeout"))
        server.thaw()
        redis(server, "CONFIG", "SET", "requirepass", "secret")
        in_redis(build, server, ("not_attempted", "authentication_required"))
        in_redis(build, server, ("not_attempted", "authentication_failed"), redis__password="wrong secret")
        servers.run([servers.need("redis-cli", "redis-tools"), "-s", f"{server.directory}/socket", "-a", "secret", "-n", "3",
                     "SET", "beat", "alive"])
        in_redis(build, server, OK, redis__password="secret", redis__database=3)
        server.kill()
        in_redis(build, server, ("not_attempted", "connection_refused"))


def test_tls(build, tmp_path):
    authority = certificates.Authority(tmp_path)
    leaf = authority.issue("localhost", "127.0.0.1")
    port = servers.free_port()
    with servers.redis("--tls-port", port, "--port", "0", "--tls-cert-file", leaf.certificate, "--tls-key-file", leaf.key,
                       "--tls-ca-cert-file", authority.certificate, "--tls-auth-clients", "no", port=port) as server:
        redis(server, "SET", "beat", str(time.time()))
        in_redis(build, server, OK, redis__tls__ca_file=authority.certificate)
        in_redis(build, server, ("not_attempted", "certificate_untrusted"), redis__tls="true")
