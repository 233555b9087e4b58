"""A node of this project and one of another implementation, for each security protocol and with either as the dialler.

The bystander is a second node of this project, unknown to the other one at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.content import Content
from harness.godaemon import GoPeer
from harness.node import REGISTRY_PORT, Node, PythonPeer
from harness.peers import IMPLEMENTATIONS, Peers
from harness.process import CommandError, eventually

KAD = "/ipfs/kad/1.0.0"
RECORDS = "/ipfs/records/1.0.0"
SECURITY_IDS = {"tls": "/tls/1.0.0", "noise": "/noise"}


@dataclass
class Pair:
    security: str
    dialler: str
    ours: Node
    theirs: PythonPeer | GoPeer
    bystander: Node


@pytest.fixture(
    scope="module",
    params=[
        (implementation, security, dialler)
        for implementation in IMPLEMENTATIONS
        for security in SECURITY_IDS
        for dialler in ("ours", "theirs")
    ],
    ids="-".join,
)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    implementation, security, dialler = request.param
    peers = Peers()
    try:
        ours, bystander, theirs = peers.node(security), peers.node(security), peers.other(implementation)
        bystander.connect(ours.address)
        eventually(lambda: ours.known_peers == 1 and bystander.known_peers == 1, "our two nodes know each other")
        if dialler == "ours":
            assert ours.connect(theirs.address) == theirs.id
        else:
            theirs.connect(ours.address)
        eventually(lambda: ours.known_peers == 2, "the other node is in our routing table")
        yield Pair(security, dialler, ours, theirs, bystander)
    finally:
        peers.close()


def describe(pair: Pair, connection: dict[str, Any]) -> str:
    """The negotiated protocols in words."""
    dialler = "spegel" if pair.dialler == "ours" else pair.theirs.implementation
    early = "within the security handshake" if connection["hasEarlyMuxer"] else "after it"
    return (
        f"{pair.theirs.implementation}, {dialler} dials: {connection['security']}, {connection['muxer']} agreed {early}"
    )


def test_negotiation(pair: Pair, record_property: Callable[[str, object], None]) -> None:
    [connection] = pair.ours.connections(pair.theirs.id)
    record_property("negotiated", describe(pair, connection))
    assert connection["isInbound"] == (pair.dialler == "theirs")
    assert connection["security"] == SECURITY_IDS[pair.security]
    assert connection["muxer"] == "/yamux/1.0.0"
    assert connection["hasEarlyMuxer"] == pair.theirs.has_early_muxer
    if isinstance(pair.theirs, PythonPeer):
        [connection] = pair.theirs.connections(pair.ours.id)
        assert connection == {
            "isInbound": pair.dialler == "ours",
            "security": SECURITY_IDS[pair.security],
            "muxer": "/yamux/1.0.0",
        }


def test_identify(pair: Pair) -> None:
    theirs = eventually(lambda: pair.ours.identify(pair.theirs.id), "the other node has identified itself")
    assert theirs["id"] == pair.theirs.id
    assert theirs["listenAddresses"] == pair.theirs.addresses
    assert {KAD, "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"} <= set(theirs["protocols"])
    # The agent version proves that this is the other implementation.
    assert theirs["agentVersion"].startswith({"go-libp2p": "p2pd", "py-libp2p": "py-libp2p"}[pair.theirs.implementation])

    ours = pair.theirs.identify(pair.ours.id)
    assert ours["agentVersion"] == "interoperation-node/1"
    assert ours["listenAddresses"] == pair.ours.addresses
    assert {KAD, "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"} <= set(ours["protocols"])

    # The dialled peer observes the address at which it was dialled. Go dials from its listen address, too.
    ours_observed, theirs_observed = theirs["observedAddress"], ours["observedAddress"]
    dialled, other = (pair.theirs, ours_observed) if pair.dialler == "ours" else (pair.ours, theirs_observed)
    assert [theirs_observed if pair.dialler == "ours" else ours_observed] == dialled.addresses
    assert other.startswith("/ip4/127.0.0.1/tcp/")


def test_ping(pair: Pair) -> None:
    for _ in range(3):
        assert 0 < pair.ours.ping(pair.theirs.id) < 10_000
        assert 0 <= pair.theirs.ping(pair.ours.id) < 10_000


def test_more_than_a_window_both_ways(pair: Pair) -> None:
    """A yamux window has 256 KiB at first, so these transfers need window updates of both sides."""
    with pair.theirs.serving_echo():
        pair.ours.echo(pair.theirs.id, size=2 << 20)
    pair.theirs.echo(pair.ours.id, size=2 << 20)


def test_find_node(pair: Pair) -> None:
    # The other node can learn of the bystander from our node only.
    assert pair.theirs.find_peer(pair.bystander.id) == pair.bystander.addresses
    # Now it names the bystander to our node.
    named = pair.ours.find_node(pair.theirs.id, target=pair.bystander.id)
    assert named[pair.bystander.id] == pair.bystander.addresses


def test_provides_to_other(pair: Pair) -> None:
    content = Content.new()
    pair.ours.provide(content)
    named = eventually(lambda: pair.ours.get_providers(pair.theirs.id, content), "the other node holds the record")
    assert named == {pair.ours.id: pair.ours.addresses}
    assert pair.theirs.find_providers(content) == {pair.ours.id: pair.ours.addresses}


def test_finds_provider_of_other(pair: Pair) -> None:
    content = Content.new()
    assert pair.ours.find_providers(content) == {}
    before = pair.ours.records
    pair.theirs.provide(content)
    eventually(lambda: pair.ours.records == before + 1, "our node has the record")
    for node in (pair.ours, pair.bystander):
        found = eventually(lambda: node.find_providers(content), "the provider is found")
        assert found == {pair.theirs.id: [f"127.0.0.1:{REGISTRY_PORT}"]}
    assert pair.ours.get_providers(pair.theirs.id, content) == {pair.theirs.id: pair.theirs.addresses}


def test_only_our_nodes_use_the_records_protocol(pair: Pair) -> None:
    """Our nodes send records by a protocol of their own. Others neither support it nor get its messages."""
    assert RECORDS in pair.theirs.identify(pair.ours.id)["protocols"]
    assert RECORDS not in pair.ours.identify(pair.theirs.id)["protocols"]
    assert pair.ours.open_stream(pair.bystander.id, [RECORDS, KAD]) == RECORDS
    # They reject it, and the same stream continues with a protocol that they support.
    with pytest.raises(CommandError, match="support"):
        pair.ours.open_stream(pair.theirs.id, [RECORDS])
    assert pair.ours.open_stream(pair.theirs.id, [RECORDS, KAD]) == KAD

    content = Content.new()
    before = pair.bystander.records
    pair.ours.provide(content)
    eventually(lambda: pair.bystander.records == before + 1, "our second node has the record")
    eventually(lambda: pair.ours.get_providers(pair.theirs.id, content), "the other node has the record")

    # Only our nodes get a withdrawal. On others the record expires.
    pair.ours.stop_providing(content)
    eventually(lambda: pair.bystander.records == before, "our second node has dropped the record")
    assert pair.ours.get_providers(pair.theirs.id, content) == {pair.ours.id: pair.ours.addresses}
    # They remain usable.
    another = Content.new()
    pair.theirs.provide(another)
    assert eventually(lambda: pair.ours.find_providers(another), "the provider of the other node's key is found")
    assert pair.ours.ping(pair.theirs.id) > 0
