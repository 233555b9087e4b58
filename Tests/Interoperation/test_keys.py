"""Peers of go-libp2p with keys of every type, each proved by TLS and by Noise."""

from __future__ import annotations

import pytest

from harness.peers import Peers
from harness.process import CommandError, eventually

each_security = pytest.mark.parametrize("security", ["tls", "noise"])


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@each_security
def test_verifies_keys(peers: Peers, security: str, kind: str) -> None:
    dialler, listener, theirs = peers.node(security), peers.node(security), peers.go_with_key(kind)
    assert dialler.connect(theirs.address) == theirs.id
    theirs.connect(listener.address)
    eventually(lambda: listener.connections(theirs.id), "the peer is known by the id of its key")
    # Identify has the same key.
    assert eventually(lambda: listener.identify(theirs.id), "the peer has identified itself")["id"] == theirs.id


@each_security
def test_rejects_secp256k1_keys(peers: Peers, security: str) -> None:
    """The library lacks secp256k1. A peer with such a key is rejected with another error than an impostor."""
    ours, theirs = peers.node(security), peers.go_with_key("secp256k1")
    with pytest.raises(CommandError, match="(?i)secp256k1"):
        ours.connect(theirs.address)
    # As the dialler, Go may believe for a moment that it is connected.
    try:
        theirs.connect(ours.address)
    except Exception:
        pass
    assert ours.connections(theirs.id) == []
    with pytest.raises(Exception):
        theirs.ping(ours.id)
