"""Content comes from a node of the same zone, and from another zone when that one is down."""

from __future__ import annotations

import json
from pathlib import Path

from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT


def _received(node: Node) -> dict[str, float]:
    """The bytes from other nodes by zone."""
    answer = node.spegel.request("GET", "/metrics", port=METRICS_PORT)
    assert answer.status == 200
    name = "spegel_zone_received_bytes_total"
    return {
        zone: float(line.rsplit(" ", 1)[1])
        for line in answer.body.decode().splitlines()
        for zone in ("same", "other", "unknown") if line.startswith(f'{name}{{zone="{zone}"}} ')}


def _nodes_in_zones(lab: Lab, spegel_binary: Path) -> list[Node]:
    """One node in a zone, and two in another."""
    nodes = lab.add_nodes(3)
    lab.prepare_spegels(nodes, spegel_binary)
    for node, zone in zip(nodes, ("zone-a", "zone-b", "zone-b")):
        node.spegel.options["zone"] = zone
    lab.start_spegels(nodes)
    return nodes


def test_prefers_the_same_zone(lab: Lab, spegel_binary: Path):
    one, two, three = _nodes_in_zones(lab, spegel_binary)
    peers = eventually(
        lambda: (found := _zones(three)) == {"zone-a": 1, "zone-b": 1} and found, "node3 knows the zones of both")
    assert peers

    first = lab.push("lab/first", layer_sizes=(3_000_000, 2_000_000, 20_000))
    lab.share(first, [one, two])
    before = _received(three)
    lab.registry.stop()
    three.pull(first.by_tag)
    assert three.holds(first)
    total = sum(first.manifest().blobs.values())
    after = eventually(
        lambda: (found := _received(three))["same"] - before["same"] >= total and found, "node3 has counted the bytes")
    assert after["other"] == before["other"] and after["unknown"] == before["unknown"], after


def test_falls_back_to_another_zone(lab: Lab, spegel_binary: Path):
    one, two, three = _nodes_in_zones(lab, spegel_binary)
    image = lab.push("lab/app", layer_sizes=(3_000_000, 20_000))
    lab.share(image, [one, two])
    before = _received(three)
    lab.registry.stop()
    two.spegel.process.kill()
    three.pull(image.by_tag)
    assert three.holds(image)
    total = sum(image.manifest().blobs.values())
    eventually(lambda: _received(three)["other"] - before["other"] >= total, "node3 has counted the bytes")


def _zones(node: Node) -> dict[str, int]:
    """The number of other nodes by zone."""
    answer = node.spegel.request("GET", "/debug/api/status", port=METRICS_PORT)
    zones = [peer["zone"] for peer in json.loads(answer.body)["peers"]["list"]]
    return {zone: zones.count(zone) for zone in zones}
