"""keepwell's image as compose.keepwell.yaml starts it: what it may do, how large it is, and what it needs when all is well."""

import time

import faults
import pytest
import servers
import stacks

pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(1800)]


@pytest.fixture(name="stack", scope="module")
def fixture_stack(engine):
    with stacks.running(engine, "practice", copy="image") as stack:
        faults.Keepwell(stack).wait_well()
        yield stack


def proc(stack, name):
    """A file of /proc about keepwell's own process."""
    return stack.engine.look(f"/proc/{stack.container('keepwell')['State']['Pid']}/{name}")


def test_keepwell_is_not_root_has_no_capabilities_and_cannot_get_any(stack):
    status = dict(line.split(":", 1) for line in proc(stack, "status").splitlines())
    assert set(status["Uid"].split()) == {"10001"}
    assert {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0)
    assert status["NoNewPrivs"].strip() == "1"


def test_it_can_write_nothing_but_its_state_and_its_socket(stack):
    mounts = {line.split()[1]: line.split()[3].split(",") for line in proc(stack, "mounts").splitlines()}
    assert "ro" in mounts["/"]
    for path in ("/etc/keepwell", "/usr/bin", "/tmp"):
        assert stack.run("exec", "-T", "keepwell", "touch", f"{path}/new").returncode != 0, path
    for path in ("/var/lib/keepwell", "/run/keepwell"):
        assert stack.run("exec", "-T", "keepwell", "touch", f"{path}/new").returncode == 0, path


def test_it_is_small_and_needs_little(stack, engine):
    def size(name):
        return int(engine.docker("image", "inspect", "-f", "{{.Size}}", name)) / 1e6

    def pss():
        return int(dict(line.split(":") for line in proc(stack, "smaps_rollup").splitlines()[1:])["Pss"].split()[0]) / 1024

    def processor():
        return sum(map(int, proc(stack, "stat").rpartition(") ")[2].split()[11:13])) / 100

    whole, base = size(stack.env["KEEPWELL_IMAGE"]), size(engine.base())
    before, start = processor(), time.time()
    servers.wait_until(lambda: time.time() - start > 20, 30, "twenty seconds", 1)
    memory, used = pss(), (processor() - before) * 3
    text = (f"keepwell's image: {whole - base:.0f} MB on a base of {base:.0f} MB; idle, three services every 2 s: "
            f"{memory:.1f} MiB of memory (PSS), {used:.2f} s of processor a minute")
    faults.RESULTS.mkdir(parents=True, exist_ok=True)
    (faults.RESULTS / "image.txt").write_text(text + "\n", encoding="utf-8")
    assert whole - base < 60 and memory < 30 and used < 1, text
