"""A node's identity is its key, which lies in its data folder and outlives the process."""

from __future__ import annotations

import stat

from harness.lab import Lab
from harness.node import Node
from harness.spegel import ROUTER_PORT


def test_identity_survives_restart(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    key = one.spegel.data_directory / "private.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before, peer_id = key.read_bytes(), one.spegel.peer_id()
    assert len({node.spegel.peer_id() for node in nodes}) == 3

    assert one.spegel.process.stop() == 0
    one.spegel.start()
    one.spegel.wait_until_ready()
    assert key.read_bytes() == before

    # Node 2 starts anew and knows only node 1, by its old id: any other id would end the handshake.
    two.spegel.process.kill()
    two.spegel.options["static-bootstrap-peers"] = f"/ip4/{one.host.address}/tcp/{ROUTER_PORT}/p2p/{peer_id}"
    two.spegel.start()
    two.spegel.wait_until_ready()
    lab.wait_until_seen(image)
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


def test_killed_node_comes_back(lab: Lab, nodes: list[Node]):
    """After a crash, what the node holds is found again although nothing changed in its containerd."""
    one, two, three = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    for node in nodes:
        node.spegel.process.kill()
    for node in nodes:
        node.spegel.start()
    for node in nodes:
        node.spegel.wait_until_ready()
    lab.wait_until_seen(image)
    lab.registry.stop()
    three.pull(image.by_tag)
    assert three.holds(image)
    assert not two.containerd.content()
