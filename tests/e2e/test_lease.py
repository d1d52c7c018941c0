"""Several keepwells watch the same stack and share a lease in its Redis: one acts, and another when that one is gone."""

import contextlib

import keepwell
import pytest
import servers

pytestmark = pytest.mark.timeout(120)

TTL = "1500ms"


class Stack:
    """A service that is broken while a file is there, a Redis that is one of the stack's own, and what was done to them."""

    def __init__(self, build, redis, directory):
        self.build, self.redis, self.directory = build, redis, directory
        self.broken, self.acts = directory / "broken", directory / "acts"
        self.acts.touch()

    def config(self, name):
        def action(what):
            return {"command": {"argv": ["sh", "-c", f"echo {name} {what} >>{self.acts}; rm -f {self.broken}"]}, "backoff": "100ms"}
        probe = {"exec": {"argv": ["test", "!", "-e", str(self.broken)]}, **keepwell.FAST}
        return {"mode": "act", "lease": {"redis": self.redis.address, "ttl": TTL}, "services": {
            "web": {"probes": [probe], "restart": action("web")},
            "redis": {"probes": [{"redis": self.redis.address, **keepwell.FAST}], "restart": action("redis")}}}

    @contextlib.contextmanager
    def watched_by(self, *names):
        with contextlib.ExitStack() as all_of_them:
            yield [all_of_them.enter_context(keepwell.running(self.build, self.config(name))) for name in names]

    def done(self):
        return self.acts.read_text(encoding="utf-8").split("\n")[:-1]

    def break_and_wait_until_healed(self):
        before = len(self.done())
        self.broken.touch()
        servers.wait_until(lambda: not self.broken.exists(), 20, "somebody heals it", 0.05)
        return self.done()[before:]


def stands_by(daemon):
    return daemon.metric("keepwell_stands_by") == 1


def wait_holder(daemons):
    """The one that acts; all others stand by."""
    def found():
        acting = [each for each in daemons if not stands_by(each)]
        assert len(acting) <= 1
        return acting[0] if acting else None
    return servers.wait_until(found, 20, "one of them acts", 0.05)


@pytest.fixture(name="stack")
def fixture_stack(build, tmp_path):
    with servers.redis() as redis:
        yield Stack(build, redis, tmp_path)


def test_of_two_one_acts(stack):
    with stack.watched_by("a", "b") as (a, b):
        holder = wait_holder([a, b])
        name = "a" if holder is a else "b"
        for daemon in (a, b):
            daemon.wait_state("web", "healthy")
        assert stack.break_and_wait_until_healed() == [f"{name} web"]
        for daemon in (a, b):
            daemon.wait_state("web", "healthy")
        assert [bool(each.history("action_started")) for each in (a, b)] == [holder is a, holder is b]


@pytest.mark.parametrize("blow", ["kill", "freeze"])
def test_another_takes_over_when_the_holder_is_gone_and_keeps_the_lease_when_it_is_back(stack, blow):
    with stack.watched_by("a", "b") as daemons:
        holder = wait_holder(daemons)
        other = next(each for each in daemons if each is not holder)
        getattr(holder, blow)()
        servers.wait_until(lambda: not stands_by(other), 20, "the other one takes over", 0.05)
        other.wait_state("web", "healthy")
        name = "a" if other is daemons[0] else "b"
        assert stack.break_and_wait_until_healed() == [f"{name} web"]
        other.wait_state("web", "healthy")
        if blow == "freeze":
            holder.thaw()
            servers.wait_until(lambda: stands_by(holder), 10, "the one that was frozen stands by", 0.05)
        else:
            holder.start()
        holder.wait_state("web", "healthy")
        assert stack.break_and_wait_until_healed() == [f"{name} web"]
        assert stands_by(holder) and not stands_by(other)


def test_the_holder_heals_the_redis_that_keeps_the_lease(stack):
    with stack.watched_by("a", "b") as daemons:
        holder = wait_holder(daemons)
        for daemon in daemons:
            daemon.wait_state("redis", "healthy")
        stack.redis.kill()
        name = "a" if holder is daemons[0] else "b"
        servers.wait_until(lambda: f"{name} redis" in stack.done(), 20, "the holder acts", 0.05)
        stack.redis.start()
        for daemon in daemons:
            daemon.wait_state("redis", "healthy")
        assert {line.split()[0] for line in stack.done()} == {name}
        wait_holder(daemons)  # there is one again, and never two


def test_without_an_answer_nobody_acts_and_the_log_says_why(build, tmp_path):
    with servers.redis("--requirepass", "hunter2") as redis:
        stack = Stack(build, redis, tmp_path)
        with stack.watched_by("a") as (daemon,):
            servers.wait_until(lambda: "nobody tells who holds the lease" in daemon.log(), 10, "it says so", 0.1)
            assert "NOAUTH" in daemon.log() and "hunter2" not in daemon.log()
            stack.broken.touch()
            servers.wait_until(lambda: daemon.history("signal_raised", "web"), 20, "a signal", 0.05)
            assert stands_by(daemon) and not stack.done()
