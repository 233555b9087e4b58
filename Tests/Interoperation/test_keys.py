"""Peers of go-libp2p with keys of every type, each proven by TLS and by Noise."""

from __future__ import annotations

import pytest

from harness.peers import Peers
from harness.process import CommandError, eventually

each_security = pytest.mark.parametrize("security", ["tls", "noise"])


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@each_security
def test_key_that_is_verified(peers: Peers, security: str, kind: str) -> None:
    dialler, listener, theirs = peers.node(security), peers.node(security), peers.go_with_key(kind)
    assert dialler.connect(theirs.address) == theirs.id
    theirs.connect(listener.address)
    eventually(lambda: listener.connections(theirs.id), "the peer is known by the id of its key")
    # identify reports the same key.
    assert eventually(lambda: listener.identify(theirs.id), "the peer has identified itself")["id"] == theirs.id


@each_security
def test_key_that_cannot_be_verified(peers: Peers, security: str) -> None:
    """The library has no secp256k1, so who has such a key is refused, and told apart from an impostor."""
    ours, theirs = peers.node(security), peers.go_with_key("secp256k1")
    with pytest.raises(CommandError, match="(?i)secp256k1"):
        ours.connect(theirs.address)
    # As the dialler Go may think for a moment that it is connected.
    try:
        theirs.connect(ours.address)
    except Exception:
        pass
    assert ours.connections(theirs.id) == []
    with pytest.raises(Exception):
        theirs.ping(ours.id)
