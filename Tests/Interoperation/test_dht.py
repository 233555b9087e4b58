"""The DHT beyond a pair: peers that use it without serving it, and a network of both implementations."""

from __future__ import annotations

import pytest

from harness.content import Content
from harness.godaemon import GoPeer
from harness.node import REGISTRY_PORT, Node
from harness.peers import IMPLEMENTATIONS, Peers
from harness.process import eventually


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_client_of_our_node(peers: Peers, implementation: str) -> None:
    """A client holds no records, so whatever it finds it has asked our node for."""
    ours, client = peers.node(), peers.other(implementation, is_client=True)
    content = Content.new()
    ours.provide(content)
    client.connect(ours.address)
    # It asks none before identify has told it that our node serves the DHT.
    found = eventually(lambda: client.find_providers(content), "the client finds what our node provides")
    assert found == {ours.id: ours.addresses}

    other = Content.new()
    client.provide(other)
    eventually(lambda: ours.records == 1, "our node has taken the client's record")
    assert ours.find_providers(other) == {client.id: [f"127.0.0.1:{REGISTRY_PORT}"]}
    # A peer that does not serve the DHT is in no routing table.
    assert ours.known_peers == 0


def test_three_and_three(peers: Peers) -> None:
    """Three nodes of ours and three of Go's, introduced to each other in a chain, find every key."""
    ours = [peers.node() for _ in range(3)]
    theirs = [peers.other("go-libp2p") for _ in range(3)]
    chain = [node for pair in zip(ours, theirs) for node in pair]
    for node, following in zip(chain, chain[1:]):
        node.connect(following.address)
    for node in ours:
        eventually(lambda: node.known_peers == 5, f"{node.name} knows all the others")
    for node in theirs:
        probe = Content.new()
        eventually(lambda: len(node.closest_peers(probe)) == 5, f"{node.name} knows all the others")

    contents = {node.id: Content.new() for node in chain}
    for node in chain:
        node.provide(contents[node.id])

    for node in chain:
        for provider in chain:
            if provider is node:
                continue
            place = [f"127.0.0.1:{REGISTRY_PORT}"] if isinstance(node, Node) else provider.addresses
            found = eventually(
                lambda: node.find_providers(contents[provider.id]), f"{node.name} finds the key of {provider.name}"
            )
            assert found == {provider.id: place}

    # What was agreed upon: the dialler has the choice, and Go's prefers Noise.
    for node in ours:
        for peer in chain:
            if peer is node:
                continue
            connections = node.connections(peer.id)
            assert connections, f"{node.name} is connected to {peer.name}"
            for connection in connections:
                is_dialled_by_go = connection["isInbound"] and peer in theirs
                assert connection["security"] == (GoPeer.preferred_security if is_dialled_by_go else "/tls/1.0.0")
                assert connection["muxer"] == "/yamux/1.0.0"
                assert connection["hasEarlyMuxer"]
