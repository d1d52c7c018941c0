"""The dashboards as data: panels, queries, and what Grafana would put in the place of its variables."""

import json
import re

from observability import ROOT

FOLDER = ROOT / "dashboards"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board):
    return board["templating"]["list"]


def targets():
    """(dashboard, panel's title, target) of all queries, annotations among them."""
    for name in NAMES:
        board = load(name)
        for panel in panels(board):
            for target in panel["targets"]:
                yield name, panel["title"], target
        for annotation in board["annotations"]["list"]:
            yield name, f"annotation {annotation['name']}", {"refId": "", **annotation}


def filled(text, values):
    """With values for its variables: {"project": "shop"}."""
    for name, value in values.items():
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value, text)
    assert "$" not in text, text
    return text
