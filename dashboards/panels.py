"""The pieces of a dashboard, as Grafana's JSON has them: one function for each kind of panel.

A query is (expression, legend). `colors` are fixed ones by series, `names` what numbers are shown as: {1: ("yes", "green")},
`limits` where colours change: (None, "green"), (0.8, "red")."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True}
LAST = {"reduceOptions": {"calcs": ["lastNotNull"]}}

STATES = {1: ("healthy", "green"), 2: ("starting", "blue"), 3: ("maintenance", "purple"), 4: ("unknown", "yellow"),
          5: ("unhealthy", "red")}
GOOD = {0: ("no", "red"), 1: ("yes", "green")}
BAD = {0: ("no", "green"), 1: ("yes", "red")}


class Board:
    """Panels are placed from left to right; a row begins a new line."""

    def __init__(self, uid, title, description, variables, since):
        self.panels, self.x, self.y, self.height = [], 0, 0, 0
        self.board = {
            "uid": uid, "title": title, "description": description, "tags": ["keepwell"], "schemaVersion": 39, "version": 1,
            "editable": True, "graphTooltip": 1, "time": {"from": since, "to": "now"}, "refresh": "30s", "timezone": "browser",
            "links": [{"title": "keepwell", "type": "dashboards", "tags": ["keepwell"], "icon": "external link", "tooltip": "",
                       "asDropdown": False, "targetBlank": False, "includeVars": True, "keepTime": True}],
            "templating": {"list": [datasource(), *variables]}, "annotations": {"list": []}, "panels": self.panels}

    def row(self, title):
        self._next_line()
        self._place({"type": "row", "title": title, "collapsed": False, "panels": []}, 24, 1)

    def add(self, panel, *, w, h):
        if self.x + w > 24:
            self._next_line()
        self._place(panel, w, h)

    def annotate(self, name, expression, title):
        self.board["annotations"]["list"].append({"name": name, "datasource": DATASOURCE, "enable": True, "iconColor": "blue",
                                                  "expr": expression, "titleFormat": title})

    def _place(self, panel, w, h):
        place = {"x": self.x, "y": self.y, "w": w, "h": h}
        self.panels.append({"id": len(self.panels) + 1, **panel, "gridPos": place})
        self.x, self.height = self.x + w, max(self.height, h)
        if self.x == 24:
            self._next_line()

    def _next_line(self):
        self.x, self.y, self.height = 0, self.y + self.height, 0


def datasource():
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def variable(name, label, query, *, multi):
    """One whose values are those of a label; multi: several or all of them may be chosen, and all are at first."""
    every = {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}} if multi else {}
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "definition": query,
            "query": {"query": query, "refId": "values"}, "refresh": 2, "sort": 1, "includeAll": multi, "multi": multi, **every}


def panel(kind, title, description, queries, *, unit, options, instant=False, colors=None, names=None, limits=None, link=None,
          custom=None, overrides=(), **defaults):
    target = {"instant": True, "range": False} if instant else {}
    if names:
        shown = {str(value): {"text": text, "color": color, "index": at} for at, (value, (text, color)) in enumerate(names.items())}
        defaults["mappings"] = [{"type": "value", "options": shown}]
    if limits:
        defaults["color"] = {"mode": "thresholds"}
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in limits]}
    if link:
        defaults["links"] = [link]
    if custom:
        defaults["custom"] = custom
    fixed = [override(name, color=fixed_color(color)) for name, color in (colors or {}).items()]
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE,
            "targets": [{"refId": "ABCDEFG"[at], "datasource": DATASOURCE, "expr": expression, "legendFormat": legend, **target}
                        for at, (expression, legend) in enumerate(queries)],
            "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": [*fixed, *overrides]}, "options": options}


def fixed_color(name):
    return {"mode": "fixed", "fixedColor": name}


def override(name, **properties):
    """What differs for the series of that name."""
    return {"matcher": {"id": "byName", "options": name},
            "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]}


def stat(title, description, expression, legend="", *, unit="none", calm=False, **more):
    """The last value in large letters; calm: in one colour, which judges nothing."""
    if calm:
        more["color"] = fixed_color("blue")
    options = {**LAST, "colorMode": "background", "graphMode": "none", "textMode": "value_and_name" if legend else "value"}
    return panel("stat", title, description, [(expression, legend)], unit=unit, options=options, instant=True, **more)


def gauge(title, description, expression, legend, *, unit, **more):
    """One horizontal bar for each series."""
    options = {**LAST, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}
    return panel("bargauge", title, description, [(expression, legend)], unit=unit, options=options, instant=True, min=0, **more)


def table(title, description, expression, columns, *, header=True, **more):
    """The labels of the series that there are; columns: {label: heading}."""
    made = panel("table", title, description, [(expression, "")], unit="none", options={"showHeader": header}, instant=True, **more)
    made["targets"][0]["format"] = "table"
    made["transformations"] = [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {"id": "organize", "options": {"indexByName": {name: at for at, name in enumerate(columns)}, "renameByName": columns}}]
    return made


def timeline(title, description, expression, legend, *, names, **more):
    """A coloured bar for each series: what it was when."""
    options = {"mergeValues": True, "showValue": "never", "rowHeight": 0.85, "legend": {"showLegend": False}}
    return panel("state-timeline", title, description, [(expression, legend)], unit="none", options=options, names=names,
                 color={"mode": "thresholds"}, custom={"fillOpacity": 80, "lineWidth": 0}, **more)


def series(title, description, *queries, unit, custom, **more):
    options = {"legend": LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, queries, unit=unit, options=options, min=0,
                 custom={"drawStyle": "line", "lineWidth": 1, "showPoints": "never", **custom}, **more)


def lines(title, description, *queries, unit, **more):
    return series(title, description, *queries, unit=unit, custom={"fillOpacity": 10}, **more)


def stacked(title, description, *queries, unit, **more):
    return series(title, description, *queries, unit=unit, custom={"fillOpacity": 40, "stacking": {"mode": "normal"}}, **more)


def bars(title, description, *queries, **more):
    custom = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
    return series(title, description, *queries, unit="none", decimals=0, custom=custom, **more)


def heatmap(title, description, expression, legend, *, unit, scheme, buckets):
    """buckets: the series are those of a histogram; else each is a row of its own, and its value the colour."""
    options = {"calculate": False, "color": {"mode": "scheme", "scheme": scheme, "steps": 64}, "cellGap": 1,
               "yAxis": {"unit": unit if buckets else "none"}, "cellValues": {"unit": "short" if buckets else unit},
               "tooltip": {"mode": "single"}, "legend": {"show": True}}
    made = panel("heatmap", title, description, [(expression, legend)], unit=unit, options=options)
    if buckets:
        made["targets"][0]["format"] = "heatmap"
    return made
