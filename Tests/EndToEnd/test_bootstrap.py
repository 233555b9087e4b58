"""How nodes find each other at the start."""

from __future__ import annotations

from pathlib import Path

from harness.lab import Lab

NAME = "nodes.lab"


def test_nodes_find_each_other_through_dns(lab: Lab, spegel_binary: Path):
    """A name with the addresses of all nodes, like a headless service."""
    nodes = lab.add_nodes(3)
    with open(lab.network.hosts_file, "a") as hosts:
        hosts.writelines(f"{node.host.address} {NAME}\n" for node in nodes)
    lab.add_spegels(nodes, spegel_binary, {
        "bootstrap-kind": "dns", "dns-bootstrap-domain": NAME, "static-bootstrap-peers": None,
    })
    image = lab.push("lab/app")
    lab.share(image, [nodes[0]])
    lab.registry.stop()
    nodes[2].pull(image.by_tag)
    assert nodes[2].holds(image)
