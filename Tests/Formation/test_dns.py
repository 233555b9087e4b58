"""Nodes that find each other by a name with changing addresses."""

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


def test_follows_changing_addresses(bare_lab: Lab):
    dns, (one, two, three, four) = _nodes(bare_lab, 4)
    one.start()
    two.start()
    eventually(lambda: "alone" in one.readiness() and "alone" in two.readiness(), "they are alone, and report it", 20)
    dns.set(NAME, [one.address, two.address])
    wait_until_joined([one, two])
    # A name without addresses for a while does no harm.
    dns.set(NAME, [])
    three.start()
    eventually(lambda: "alone" in three.readiness(), "the third is alone", 20)
    wait_until_sharing([one, two])
    dns.set(NAME, ["10.1.0.251", two.address])
    wait_until_joined([one, two, three])
    # The first node is gone. New ones start from the others.
    one.close()
    dns.set(NAME, [three.address])
    four.start()
    wait_until_sharing([two, three, four])


def test_finds_ipv6_address_by_aaaa_record(bare_lab: Lab):
    dns, (one, two) = _nodes(bare_lab, 2)
    for number, node in enumerate((one, two), 1):
        node.host.namespace.ip("address", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
    dns.set(NAME, ["fd00::1"])
    one.start()
    two.start()
    wait_until_joined([one, two])
    wait_until_sharing([one, two])
