"""keepwell's command line, as the tests call it."""

import json
import subprocess

OUTCOMES = ("ok", "rejected", "no_response", "not_attempted")


def probe(build, kind, target, *, timeout="5s", env=None, **options):
    """One attempt by `keepwell probe`: its result as --json says it. The target may be a program with its
    arguments. Options are the kind's keys; a double underscore stands for a dot: tls__insecure="true"."""
    argv = [build / "daemon" / "keepwelld", "probe", "--json", f"--timeout={timeout}"]
    for name, value in options.items():
        argv += ["-o", f"{name.replace('__', '.')}={value}"]
    argv += [kind, "--", *target] if isinstance(target, list) else [kind, target]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, env=env, timeout=60,
                          check=False)
    assert done.returncode < len(OUTCOMES), f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    result = json.loads(done.stdout)
    assert result["outcome"] == OUTCOMES[done.returncode]
    assert "secret" not in result["detail"].replace("<secret>", "")
    return result
