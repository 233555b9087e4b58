"""The node of this project, and that of py-libp2p: both are steered by lines of JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .content import Content
from .process import LinePeer

# The port of every registry, which our nodes take from their settings.
REGISTRY_PORT = 5000


class Node(LinePeer):
    """A node of this project: the libp2p host and the router, as the program has them."""

    def __init__(self, name: str, log: Path, securities: Sequence[str] = (), prefix: str = "/ipfs"):
        command = [os.environ["INTEROPERATION_NODE"], "--prefix", prefix, "--registry-port", str(REGISTRY_PORT)]
        for security in securities:
            command += ["--security", security]
        super().__init__(name, command, log)

    def connect(self, address: str) -> str:
        return self.command("connect", address=address)

    def disconnect(self, peer: str) -> None:
        self.command("disconnect", peer=peer)

    def connections(self, peer: str) -> list[dict[str, Any]]:
        return self.command("connections", peer=peer)

    def identify(self, peer: str) -> dict[str, Any] | None:
        """The identification of the peer; None before it has arrived."""
        return self.command("identify", peer=peer)

    def ping(self, peer: str) -> float:
        """The milliseconds until the echo."""
        return self.command("ping", peer=peer)

    def echo(self, peer: str, size: int) -> None:
        """Sends this number of bytes, and fails unless they come back."""
        self.command("echo", peer=peer, size=size)

    def open_stream(self, peer: str, protocols: list[str]) -> str:
        """The protocol that the peer agreed to."""
        return self.command("open-stream", peer=peer, protocols=protocols)

    def find_node(self, peer: str, target: str) -> dict[str, list[str]]:
        """The peers that `peer` names when asked for `target`, and their addresses."""
        return _by_id(self.command("find-node", peer=peer, target=target))

    def get_providers(self, peer: str, content: Content) -> dict[str, list[str]]:
        """The providers that `peer` names, and their addresses."""
        return _by_id(self.command("get-providers", peer=peer, content=content.name))

    def provide(self, content: Content) -> None:
        self.command("provide", content=content.name)

    def stop_providing(self, content: Content) -> None:
        self.command("stop-providing", content=content.name)

    def find_providers(self, content: Content, limit: int = 20) -> dict[str, list[str]]:
        """The providers that the DHT names, and where their registries would be."""
        return self.command("find-providers", content=content.name, limit=limit)

    @property
    def known_peers(self) -> int:
        """How many peers are in the routing table."""
        return self.command("counts")["peers"]

    @property
    def records(self) -> int:
        """How many provider records it holds for others."""
        return self.command("counts")["records"]


class PythonPeer(LinePeer):
    """A node of py-libp2p."""

    implementation = "py-libp2p"
    # It offers no muxer within the security handshake, neither by ALPN nor by Noise's extension.
    has_early_muxer = False
    # Of those that it takes, when it dials; peer.py sets the order.
    preferred_security = "/tls/1.0.0"

    def __init__(self, name: str, log: Path, securities: Sequence[str] = (), is_client: bool = False):
        program = Path(__file__).parent.parent / "pylibp2p/peer.py"
        command = [os.environ["INTEROPERATION_PYLIBP2P"], str(program)]
        for security in securities:
            command += ["--security", security]
        super().__init__(name, command + (["--client"] if is_client else []), log)

    def connect(self, address: str) -> None:
        self.command("connect", address=address)

    def connections(self, peer: str) -> list[dict[str, Any]]:
        """What it says of its connections with a peer."""
        return self.command("connections", peer=peer)

    def identify(self, peer: str) -> dict[str, Any]:
        return self.command("identify", peer=peer)

    def ping(self, peer: str) -> float:
        return self.command("ping", peer=peer)

    def echo(self, peer: str, size: int) -> None:
        self.command("echo", peer=peer, size=size)

    @contextmanager
    def serving_echo(self) -> Iterator[None]:
        yield  # peer.py does so all the time

    def find_peer(self, target: str) -> list[str]:
        """The addresses of a peer, which it seeks in the DHT if need be."""
        return self.command("find-peer", target=target)

    def provide(self, content: Content) -> None:
        self.command("provide", key=content.multihash.hex())

    def find_providers(self, content: Content, limit: int = 20) -> dict[str, list[str]]:
        return self.command("find-providers", key=content.multihash.hex(), limit=limit)


def _by_id(peers: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {peer["id"]: peer["addresses"] for peer in peers}
