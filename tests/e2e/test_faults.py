"""Every service of every stack is killed, hung and made to fail, in two copies of its stack side by side: one that keepwell
watches, one with autoheal's rule. keepwell notices in time and heals each by itself; the table tells both (build/results)."""

import concurrent.futures

import faults
import pytest
import stacks
import swarm
from engine import service_of

pytestmark = pytest.mark.timeout(1800)

# The stacks in their forms, and the ports of what fails by request. Two forms that run the same services under other settings
# (practice-prod, story-prod) are left to test_stacks.py.
STACKS = {
    "practice": {"app": 5000},
    "examples": {"api": 8000, "node": 3000},
    "cluster": {"api": 8000, "node": 3000},
    "swarm": {"api": 8000, "node": 3000},
    "ichrisbirch-dev": {"api": 8000, "app": 5000},
    "ichrisbirch-test": {"api": 8000, "app": 5000},
    "ichrisbirch-prod": {"api": 8000, "app": 5000},
    "training-club": {"backend": 5000, "frontend": 80},
    "story": {"backend": 8000, "frontend": 5173},
}


def group(name):
    return "swarm" if name == "swarm" else f"faults-{name}"


def running(engine, name, **how):
    return swarm.Swarm(engine, **how) if name == "swarm" else stacks.running(engine, name, **how)


def blows(stack, name):
    """(service, fault, port): whatever can be done to a stack."""
    found = {service_of(each["Config"]["Labels"]) for each in stack.containers() if each["State"]["Running"]}
    for service in sorted(found - {"keepwell"}):
        yield service, "kill", None
        yield service, "hang", None
        if service in STACKS[name]:
            yield service, "endpoint", STACKS[name][service]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(group(name))) for name in STACKS])
def test_whatever_breaks_is_healed_alone_and_in_time(engine, name):
    outcomes = []
    with running(engine, name, copy="kw") as watched, running(engine, name, copy="ah", without=["keepwell"]) as other:
        with faults.Keepwell(watched) as keepwell, faults.Autoheal(other) as autoheal:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for blow in blows(other, name):
                    pair = [pool.submit(faults.strike, *blow, healer, name) for healer in (keepwell, autoheal)]
                    outcomes += [each.result() for each in pair]
                    faults.keep(name, outcomes)
        log = watched.logs("keepwell")
    wrong = [each for each in outcomes if each.healer == "keepwell" and not as_it_should(each)]
    assert not wrong, "\n".join(map(str, wrong)) + "\n" + about(wrong, log)


def about(wrong, log):
    """What keepwell said of the services that this is about."""
    named = {f" service={name} " for each in wrong for name in (each.service, *each.others)}
    return "\n".join(line for line in log.splitlines() if any(name in line for name in named))[-20000:]


def as_it_should(outcome):
    in_time = outcome.detected is not None and outcome.detected <= faults.bound(outcome.service) + 2
    return in_time and outcome.healed is not None and not outcome.others
