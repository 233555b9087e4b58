"""Nodes that find each other by a name whose addresses come and go."""

from __future__ import annotations

from conftest import Lab
from formation.node import wait_until_joined, wait_until_sharing
from harness.process import eventually

NAME = "nodes.formation.lab"


def _nodes(lab: Lab, count: int):
    dns = lab.dns()
    nodes = [lab.node(bootstrap_kind="dns", dns_bootstrap_domain=NAME) for _ in range(count)]
    for node in nodes:
        node.resolver = dns.resolver
    return dns, nodes


def test_addresses_come_and_go(bare_lab: Lab):
    dns, (one, two, three, four) = _nodes(bare_lab, 4)
    one.start()
    two.start()
    eventually(lambda: "alone" in one.readiness() and "alone" in two.readiness(), "they are alone, and say so", 20)
    dns.set(NAME, [one.address, two.address])
    wait_until_joined([one, two])
    # A name without a node for a while disturbs no node.
    dns.set(NAME, [])
    three.start()
    eventually(lambda: "alone" in three.readiness(), "the third is alone", 20)
    wait_until_sharing([one, two])
    dns.set(NAME, ["10.1.0.251", two.address])
    wait_until_joined([one, two, three])
    # The first has gone; those that come now start from others.
    one.close()
    dns.set(NAME, [three.address])
    four.start()
    wait_until_sharing([two, three, four])


def test_an_ipv6_address_is_found_by_its_aaaa_record(bare_lab: Lab):
    dns, (one, two) = _nodes(bare_lab, 2)
    for number, node in enumerate((one, two), 1):
        node.host.namespace.ip("address", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
    dns.set(NAME, ["fd00::1"])
    one.start()
    two.start()
    wait_until_joined([one, two])
    wait_until_sharing([one, two])
