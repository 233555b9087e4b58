"""The dashboard and the alerts of the chart, with a Prometheus that has asked real nodes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

from conftest import Lab
from formation import chart
from formation.node import Node, wait_until_joined, wait_until_sharing
from formation.prometheus import Prometheus
from harness.process import eventually

_MONITORING = chart.CHART / "monitoring"
_DASHBOARD = json.loads((_MONITORING / "dashboard.json").read_text())
_PANELS = [panel for panel in _DASHBOARD["panels"] if panel["type"] != "row"]
_NAME = re.compile(r"\b(?:spegel|http|process)_[a-z0-9_]+")
#: What Grafana puts in, for a Prometheus that asks every second.
_VARIABLES = {"$__rate_interval": "10s", "$__range": "30s", "$job": ".*", "$instance": ".*", "$by": "instance"}


def _expressions() -> list[tuple[str, str]]:
    """Each query with the title of its panel, as Grafana sends it."""
    found = []
    for panel in _PANELS:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def test_each_panel_of_the_dashboard_shows_something(bare_lab: Lab):
    nodes = [bare_lab.node() for _ in range(3)]
    for node in nodes[1:]:
        node.options["static-bootstrap-peers"] = f"/ip4/{nodes[0].address}/tcp/5001"
    for node in nodes:
        node.start()
    host = bare_lab.host("prometheus")
    prometheus = Prometheus(host, bare_lab.directory / "prometheus", [f"{node.address}:9090" for node in nodes])
    try:
        wait_until_joined(nodes)
        wait_until_sharing(nodes)
        eventually(
            lambda: len(prometheus.query("spegel_verification_failures_total == 0")[1]) == 3,
            "Prometheus has asked each node", timeout=30, interval=0.5)
        # Something fails too: what one node holds is not what its digest says.
        damaged = nodes[2]
        (damaged.directory / "store/blobs/sha256" / damaged.blob.removeprefix("sha256:")).write_bytes(b"?" * 50_000)
        end = time.monotonic() + 12
        while time.monotonic() < end:
            _pull(nodes)
            time.sleep(0.3)
        missing: dict[str, str] = {}

        def all_are_there() -> bool:
            _pull(nodes)
            missing.clear()
            for title, expression in _expressions():
                error, series = prometheus.query(expression)
                assert not error, f"{title}: {expression}: {error}"
                if not [each for each in series if each["value"][1] != "NaN"]:
                    missing[title] = expression
            return not missing

        try:
            eventually(all_are_there, "each query finds something", timeout=20, interval=1)
        except AssertionError:
            raise AssertionError(f"no data: {missing}") from None

        _, [hit_rate] = prometheus.query(dict(_expressions())["Hit rate"])
        assert 0 < float(hit_rate["value"][1]) < 1
        saved, source = (expression for title, expression in _expressions() if title == "Saved")
        assert float(prometheus.query(saved)[1][0]["value"][1]) >= 50_000
        assert float(prometheus.query(source)[1][0]["value"][1]) == 0, "nothing comes into a store here"
        _, [corrupt] = prometheus.query(dict(_expressions())["Corrupt content"])
        assert float(corrupt["value"][1]) > 0

        # Alerts only ask for what there is.
        for rule in _alert_names_and_expressions():
            error, _ = prometheus.query(rule[1])
            assert not error, rule
        _, known = prometheus.query('count by (__name__) ({job="spegel"})')
        names = {each["metric"]["__name__"] for each in known}
        expressions = [expression for _, expression in [*_expressions(), *_alert_names_and_expressions()]]
        used = {name for expression in expressions for name in _NAME.findall(expression)}
        assert used <= names, used - names
    finally:
        prometheus.close()


def test_the_dashboard_is_well_formed():
    identifiers = [panel["id"] for panel in _DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    variables = {variable["name"] for variable in _DASHBOARD["templating"]["list"]}
    boxes = []
    for panel in _DASHBOARD["panels"]:
        box = panel["gridPos"]
        assert box["x"] + box["w"] <= 24
        for other in boxes:
            apart = (box["x"] >= other["x"] + other["w"] or other["x"] >= box["x"] + box["w"]
                     or box["y"] >= other["y"] + other["h"] or other["y"] >= box["y"] + box["h"])
            assert apart, f"{panel['title']} lies over another panel"
        boxes.append(box)
    for panel in _PANELS:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval", "__range"}
            assert used <= variables, used
            # A name that other programs have too is asked for of these nodes only.
            assert target["expr"].count('job=~"$job"') == len(_NAME.findall(target["expr"])), target["expr"]


def test_the_chart_ships_the_dashboard_and_the_alerts_as_they_are():
    values = {"grafanaDashboard": {"enabled": True}, "prometheusRule": {"enabled": True}}
    [config] = [each for each in chart.render(values) if each["kind"] == "ConfigMap"]
    assert json.loads(config["data"]["spegel.json"]) == _DASHBOARD
    values["grafanaDashboard"]["mode"] = "GrafanaOperator"
    documents = chart.render(values)
    [dashboard] = [each for each in documents if each["kind"] == "GrafanaDashboard"]
    assert json.loads(dashboard["spec"]["json"]) == _DASHBOARD
    [rule] = [each for each in documents if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == _alerts()


def test_each_alert_fires_for_its_cause_and_not_else(tmp_path: Path):
    shutil.copy(_MONITORING / "alerts.yaml", tmp_path)
    shutil.copy(Path(__file__).parent / "chart/alerts-test.yaml", tmp_path)
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = (tmp_path / "alerts-test.yaml").read_text()
    for name, _ in _alert_names_and_expressions():
        assert tested.count(name) == 2, f"{name} is not tested"


def _alerts() -> dict:
    import yaml

    return yaml.safe_load((_MONITORING / "alerts.yaml").read_text())


def _alert_names_and_expressions() -> list[tuple[str, str]]:
    return [(rule["alert"], rule["expr"]) for group in _alerts()["groups"] for rule in group["rules"]]


def _pull(nodes: list[Node]) -> None:
    """Each node requests the content of the others, and content that no node has."""
    for node in nodes:
        for other in nodes:
            if other is not node:
                node.get(f"/v2/any/blobs/{other.blob}?ns=formation.lab")
        node.get(f"/v2/any/blobs/sha256:{'0' * 64}?ns=formation.lab")
