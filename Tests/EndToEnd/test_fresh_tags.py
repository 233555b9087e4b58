"""`--tags fresh`: the upstream registry resolves tags, Spegel serves the content, and resolves in an outage."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness import registry
from harness.lab import Lab
from harness.node import Node
from harness.process import run
from harness.spegel import configure

pytestmark = pytest.mark.every_containerd(with_1_7=True)


@pytest.fixture
def nodes(spegel_binary: Path, lab: Lab) -> list[Node]:
    """Two nodes that resolve tags at the upstream registry first."""
    nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary)
    for node in nodes:
        configure(spegel_binary, node.containerd.registry_configuration, {"tags": "fresh"})
    return nodes


def _digest(node: Node, name: str) -> str:
    lines = run(node.containerd.ctr("images", "ls", f"name=={name}")).splitlines()
    [digest] = [word for word in lines[1].split() if word.startswith("sha256:")]
    return digest


def test_moved_tag_is_never_stale(lab: Lab, nodes: list[Node]):
    old = lab.push("team/app")
    lab.share(old, nodes[:1])
    old.folder.rename(old.folder.with_name("old"))
    new = lab.push("team/app", layer_sizes=(700_000, 20_000))
    assert new.digest != old.digest
    nodes[1].pull(new.by_tag)
    assert _digest(nodes[1], new.by_tag) == new.digest


def test_content_comes_from_peers_while_the_registry_is_up(lab: Lab, nodes: list[Node]):
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    assert nodes[1].pull(image.by_tag).received_bytes > image.manifest().total_bytes


def test_pulls_work_in_an_outage(lab: Lab, nodes: list[Node]):
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    lab.registry.stop()
    begin = time.monotonic()
    nodes[1].pull(image.by_tag)
    assert time.monotonic() - begin < 10
    assert _digest(nodes[1], image.by_tag) == image.digest


def test_pulls_work_when_the_registry_swallows_packets(lab: Lab, nodes: list[Node]):
    """containerd 2.1 has a time-out for connecting to a host; older ones wait 30 seconds, once for each pull."""
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    # An address without a machine: each packet is lost.
    run(nodes[1].host.command([
        "ip", "neighbour", "replace", lab.registry.host.address, "lladdr", "02:00:00:00:00:99", "dev", "eth0"]))
    begin = time.monotonic()
    nodes[1].pull(image.by_tag, timeout=90)
    seconds = time.monotonic() - begin
    assert _digest(nodes[1], image.by_tag) == image.digest
    if lab.installation.major < 2:
        assert 25 < seconds < 45
    else:
        assert 2.5 < seconds < 10
