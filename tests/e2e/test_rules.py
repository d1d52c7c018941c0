"""The rules by themselves: promtool agrees with them, each has its cases, and each alert its words and its page."""

import functools
import re
import subprocess

import pytest
import servers
import yaml
from observability import ROOT, RULES

RUNBOOKS = "https://github.com/keepwell/keepwell/blob/main/docs/runbooks/"
METRIC = re.compile(r"\b(?:keepwell|process)(?:_[a-z_]+|:[a-z_0-9:]+)")


@functools.cache
def groups(name):
    return yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]


def alerts():
    return {rule["alert"]: rule for group in groups("alerts.yml") for rule in group["rules"]}


def records():
    return {rule["record"]: rule for group in groups("recording.yml") for rule in group["rules"]}


def exported(root=ROOT):
    """The names of all series in the golden text."""
    text = (root / "tests" / "golden" / "metrics.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^(\w+)(?=[ {])", text, re.MULTILINE))


def promtool(*words):
    return subprocess.run([servers.need("promtool", "prometheus"), *words], cwd=RULES, text=True, capture_output=True,
                          timeout=120, check=False)


def test_promtool_finds_nothing_wrong():
    done = promtool("check", "rules", "recording.yml", "alerts.yml")
    assert done.returncode == 0 and "FAILED" not in done.stdout + done.stderr, done.stdout + done.stderr


def test_the_cases_of_promtool_pass():
    done = promtool("test", "rules", "tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    cases = [case for test in yaml.safe_load((RULES / "tests.yml").read_text(encoding="utf-8"))["tests"]
             for case in test["promql_expr_test"]]
    fires, quiet, worked_out = set(), set(), set()
    for case in cases:
        if found := re.fullmatch(r'ALERTS\{alertname="(\w+)",alertstate="firing"(,.*)?\}', case["expr"]):
            (fires if case["exp_samples"] else quiet).add(found[1])
        elif case["exp_samples"]:
            worked_out |= set(METRIC.findall(case["expr"]))
    assert fires == quiet == set(alerts())
    assert worked_out >= set(records())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_its_words(name):
    rule = alerts()[name]
    assert re.fullmatch(r"Keepwell([A-Z][a-z]+)+", name)
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    words = rule["annotations"]
    assert re.fullmatch(r"[A-Za-z][^{}]+\.", words["summary"]), "a static sentence"
    assert "{{" in words["description"] and words["description"].endswith((".", "}}"))
    assert words["runbook_url"] == f"{RUNBOOKS}{name}.md"


def test_every_alert_has_a_page_and_every_page_an_alert():
    pages = {path.stem: path for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.stem != "README"}
    assert set(pages) == set(alerts())
    for name, path in pages.items():
        text = path.read_text(encoding="utf-8")
        headings = re.findall(r"^#.*", text, re.MULTILINE)
        assert headings == [f"# {name}", "## What it means", "## What to look at", "## What to do"], path
        assert text.split("\n")[2].startswith(alerts()[name]["labels"]["severity"]), path


def test_every_alert_is_in_the_table_of_the_docs():
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(name, name, rule["labels"]["severity"], rule["annotations"]["summary"].removesuffix("."))
                    for name, rule in alerts().items()]


def test_links_of_the_pages_lead_somewhere():
    for path in [*(ROOT / "docs" / "runbooks").glob("*.md"), ROOT / "docs" / "observability.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_pages_name_only_commands_that_keepwell_has(build):
    told = servers.run([build / "daemon" / "keepwelld", "--help"])
    for path in (ROOT / "docs" / "runbooks").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
        for word in re.findall(r"^keepwell (\w+)", blocks, re.MULTILINE) + re.findall(r"`keepwell (\w+)", text):
            assert re.search(rf"^  {word} ", told, re.MULTILINE), f"{path.name}: keepwell {word}"


def test_rules_name_only_metrics_that_there_are():
    known = exported() | set(records())
    for rule in [*alerts().values(), *records().values()]:
        named = set(METRIC.findall(str(rule["expr"]) + rule.get("annotations", {}).get("description", "")))
        assert named <= known, named - known
    assert "keepwell_service_root_cause" in known and "keepwell_nothing" not in known
