"""Which security protocol is chosen when one side takes less than the other, and when there is nothing to agree upon."""

from __future__ import annotations

import pytest

from harness.content import Content
from harness.node import Node
from harness.peers import IMPLEMENTATIONS, Peers
from harness.process import eventually

each_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
each_dialler = pytest.mark.parametrize("dialler", ["ours", "theirs"])
each_security = pytest.mark.parametrize(("security", "security_id"), [("tls", "/tls/1.0.0"), ("noise", "/noise")])


def negotiated_security(ours: Node, theirs, dialler: str) -> str:
    """Connects, and gives what was agreed upon."""
    if dialler == "ours":
        ours.connect(theirs.address)
    else:
        theirs.connect(ours.address)
    [connection] = eventually(lambda: ours.connections(theirs.id), "there is a connection")
    assert connection["isInbound"] == (dialler == "theirs")
    assert connection["muxer"] == "/yamux/1.0.0"
    assert connection["hasEarlyMuxer"] == theirs.has_early_muxer
    return connection["security"]


@each_implementation
@each_dialler
@each_security
def test_what_the_other_side_takes(
    peers: Peers, implementation: str, dialler: str, security: str, security_id: str
) -> None:
    ours, theirs = peers.node(), peers.other(implementation, security)
    assert negotiated_security(ours, theirs, dialler) == security_id
    assert ours.ping(theirs.id) > 0


@each_implementation
@each_dialler
def test_what_the_dialler_prefers(peers: Peers, implementation: str, dialler: str) -> None:
    ours, theirs = peers.node(), peers.other(implementation)
    preferred = "/tls/1.0.0" if dialler == "ours" else theirs.preferred_security
    assert negotiated_security(ours, theirs, dialler) == preferred


@each_implementation
def test_nothing_in_common(peers: Peers, implementation: str) -> None:
    ours, theirs = peers.node("noise"), peers.other(implementation, "tls")
    with pytest.raises(Exception, match="/noise|supported"):
        ours.connect(theirs.address)
    with pytest.raises(Exception):
        theirs.connect(ours.address)
    assert ours.connections(theirs.id) == []
    # Neither is the worse for it.
    tolerant = peers.node()
    assert tolerant.connect(ours.address) == ours.id
    assert tolerant.connect(theirs.address) == theirs.id


@each_implementation
@each_security
def test_another_peer_answers(peers: Peers, implementation: str, security: str, security_id: str) -> None:
    ours, expected, theirs = peers.node(security), peers.node(security), peers.other(implementation)
    with pytest.raises(Exception, match=theirs.id):
        ours.connect(f"{theirs.addresses[0]}/p2p/{expected.id}")
    with pytest.raises(Exception):
        theirs.connect(f"{ours.addresses[0]}/p2p/{expected.id}")
    assert ours.connections(theirs.id) == []


@each_implementation
def test_quits_while_connected(peers: Peers, implementation: str) -> None:
    ours, bystander, theirs = peers.node(), peers.node(), peers.other(implementation)
    ours.connect(bystander.address)
    ours.connect(theirs.address)
    eventually(lambda: ours.known_peers == 2, "our node knows both")
    content = Content.new()
    ours.provide(content)
    eventually(lambda: bystander.records == 1, "our second node holds the record")
    eventually(lambda: ours.get_providers(theirs.id, content), "the other node holds the record")
    assert ours.quit() == 0
    # It has taken leave of its own kind, and the other one is none the worse for it.
    eventually(lambda: bystander.records == 0, "our second node has forgotten the record")
    assert bystander.connect(theirs.address) == theirs.id
    assert bystander.ping(theirs.id) > 0
