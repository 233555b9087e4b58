"""All peers of a test, in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from .godaemon import GoPeer
from .keys import private_key
from .node import Node, PythonPeer
from .program import GoRegistry, Spegel

Peer = Node | PythonPeer | GoPeer | GoRegistry | Spegel

IMPLEMENTATIONS: dict[str, type[PythonPeer] | type[GoPeer]] = {
    peer.implementation: peer for peer in (PythonPeer, GoPeer)
}


class Peers:
    """Starts peers, and stops them all at the end."""

    latest: ClassVar[Peers | None] = None
    """The last instance, for the report of a failure."""

    def __init__(self):
        Peers.latest = self
        # In the temporary folder itself, because the path of a socket must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="interoperation-"))
        self._peers: list[Peer] = []
        self._logs: list[Path] = []
        self._report: list[tuple[str, str]] = []

    def node(self, *securities: str, **settings: Any) -> Node:
        """A node of this project; with all security protocols by default."""
        return self._start(Node, "node", securities, settings)

    def other(self, implementation: str, *securities: str, **settings: Any) -> PythonPeer | GoPeer:
        """A node of another implementation; with all security protocols by default."""
        return self._start(IMPLEMENTATIONS[implementation], implementation, securities, settings)

    def go_with_key(self, kind: str) -> GoPeer:
        """A node of go-libp2p with a key of a certain type."""
        return self.other(GoPeer.implementation, key=private_key(kind))

    def _start(self, kind: type, name: str, securities: Sequence[str], settings: dict[str, Any]):
        name = f"{name}-{len(self._logs) + 1}"
        log = self._folder / f"{name}.log"
        log.touch()
        self._logs.append(log)
        peer = kind(name, log, securities=securities, **settings)
        self._peers.append(peer)
        return peer

    def registry(self, host: str, content: Path) -> GoRegistry:
        """The registry of a node of Spegel in Go, at that address."""
        return self._start(GoRegistry, "registry", (), {"host": host, "content": content})

    def spegel(self, bootstrap: str, store: Path) -> Spegel:
        """The program itself, with the content of an image layout."""
        return self._start(Spegel, "spegel", (), {"bootstrap": bootstrap, "store": store})

    def report(self, lines: int = 40) -> list[tuple[str, str]]:
        """The last lines of every log; of their final state when all peers are closed."""
        if self._report:
            return self._report
        contents = {log.stem: log.read_text(errors="replace").splitlines() for log in self._logs}
        return [(f"log of {name}", "\n".join(content[-lines:]) or "(empty)") for name, content in contents.items()]

    def close(self) -> None:
        for peer in self._peers:
            peer.stop()
        self._report = self.report()
        shutil.rmtree(self._folder)
