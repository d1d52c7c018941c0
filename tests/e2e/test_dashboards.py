"""The dashboards as files: whole, regular, and of metrics that there are. That their queries find something is shown over a
live stack, in test_observability.py."""

import importlib
import itertools
import re
import sys

import dashboards
import pytest
from test_rules import METRIC, exported, records

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"none", "short", "s", "reqps", "ops", "cps", "percentunit", "bytes"}


def test_there_are_three_and_each_has_a_name_of_its_own():
    boards = [dashboards.load(name) for name in dashboards.NAMES]
    assert [board["uid"] for board in boards] == dashboards.NAMES == ["keepwell-itself", "keepwell-service", "keepwell-stack"]
    assert len({board["title"] for board in boards}) == 3


def test_they_are_as_they_are_made(monkeypatch):
    monkeypatch.syspath_prepend(dashboards.FOLDER)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in importlib.import_module("make").made().items():
        assert (dashboards.FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: dashboards/make.py makes it anew"


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_a_dashboard_is_whole(name):
    board = dashboards.load(name)
    assert board["schemaVersion"] == 39 and board["description"].endswith(".") and board["refresh"] == "30s"
    assert "id" not in board and "__inputs" not in board, "as exported from one Grafana; these fit all"
    assert board["tags"] == ["keepwell"]
    link = board["links"][0]
    assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == ("dashboards", ["keepwell"], True, True)
    names = [variable["name"] for variable in dashboards.variables(board)]
    assert names[0] == "datasource" and len(set(names)) == len(names)
    for variable in dashboards.variables(board)[1:]:
        assert variable["datasource"] == DATASOURCE and variable["query"]["query"] == variable["definition"]


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_panels_are_told_apart_and_do_not_overlap(name):
    board = dashboards.load(name)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    taken = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24 and at["h"] > 0 and at["w"] > 0, panel["title"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_a_panel_says_what_it_shows(name):
    board = dashboards.load(name)
    for panel in dashboards.panels(board):
        title = panel["title"]
        assert title and panel["description"].endswith("."), title
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, title
        assert panel["datasource"] == DATASOURCE, title
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG"[:len(panel["targets"])]), title
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE, title
            one = panel["type"] == "stat" and not re.search(r"\bby\b|\binstance\b", target["expr"])
            assert target["legendFormat"] or one or panel["type"] == "table", title
        if panel["type"] in ("stat", "table", "bargauge"):
            assert all(target["instant"] for target in panel["targets"]), title


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_links_lead_to_dashboards_and_variables_that_there_are(name):
    boards = {each: dashboards.load(each) for each in dashboards.NAMES}
    links = [link["url"] for panel in dashboards.panels(boards[name])
             for link in panel["fieldConfig"]["defaults"].get("links", [])]
    for url in links:
        uid = re.match(r"/d/([\w-]+)\?", url)[1]
        known = {variable["name"] for variable in dashboards.variables(boards[uid])}
        assert set(re.findall(r"var-(\w+)=", url)) <= known
    assert links or name != "keepwell-stack"


def test_queries_use_only_variables_of_their_dashboard():
    own = {"__rate_interval", "__range", "__interval"}
    for name, title, target in dashboards.targets():
        known = own | {variable["name"] for variable in dashboards.variables(dashboards.load(name))}
        assert set(re.findall(r"\$\{?(\w+)", target["expr"])) <= known, title


def test_panels_name_only_metrics_that_there_are():
    known = exported() | set(records())
    seen = set()
    for _, title, target in dashboards.targets():
        named = set(METRIC.findall(target["expr"]))
        assert named <= known, f"{title}: {named - known}"
        seen |= named
    assert len(seen) > 25


def test_every_metric_of_ours_is_in_a_dashboard_or_a_rule():
    """But for what says nothing more than another one that is."""
    told = {"keepwell_probe_success", "keepwell_probe_duration_seconds_sum", "keepwell_restart_holds_total",
            "keepwell_config_last_reload_success_timestamp_seconds", "process_virtual_memory_bytes", "process_start_time_seconds",
            # for the alerts that come with blackbox_exporter
            "blackbox_exporter_config_last_reload_successful", "blackbox_exporter_config_last_reload_success_timestamp_seconds",
            "blackbox_module_unknown_total"}
    words = "\n".join(target["expr"] for *_, target in dashboards.targets())
    words += "\n".join((dashboards.FOLDER / "rules" / name).read_text(encoding="utf-8") for name in ("alerts.yml", "recording.yml"))
    forgotten = {name for name in exported() if not re.search(rf"\b{name}\b", words)}
    assert forgotten == told, "show it (dashboards/make.py), alert about it, or name it here"
