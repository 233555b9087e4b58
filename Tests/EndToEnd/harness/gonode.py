"""A node whose registry is that of Spegel in Go.

Its own Spegel is its DHT side only: it advertises the containerd's content, and its registry is out of reach for other
nodes. They come to the same address and their own registry port, where the stand-in listens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import goregistry
from .node import Node
from .process import Process, eventually
from .spegel import REGISTRY_PORT, ROUTER_PORT

_HIDDEN_PORT = 5900


class GoNode:
    def __init__(self, node: Node):
        self.node = node
        self.log = node.directory / "goregistry.log"
        self._tags = node.directory / "goregistry-tags.json"
        self.process: Process | None = None
        node.spegel.options["registry-addr"] = f"127.0.0.1:{_HIDDEN_PORT}"

    def name(self, tags: dict[str, str]) -> None:
        """Sets the digests of full names."""
        self._tags.write_text(json.dumps(tags))

    def start(self, identity: str | None = None) -> None:
        command = [
            sys.executable, goregistry.__file__, "--port", str(REGISTRY_PORT),
            "--content", str(self.node.containerd.content_path), "--tags", str(self._tags)]
        if identity:
            command += ["--id", identity, "--addresses", f"/ip4/{self.node.host.address}/tcp/{ROUTER_PORT}"]
        self.process = Process(f"goregistry on {self.node.name}", self.node.host.command(command), self.log)
        eventually(self._listens, f"the stand-in on {self.node.name} listens")

    def _listens(self) -> bool:
        try:
            self.node.host.connect("127.0.0.1", REGISTRY_PORT).close()
            return True
        except OSError:
            assert self.process.is_running, Path(self.log).read_text()
            return False

    def requests(self) -> list[dict]:
        """The requests so far."""
        lines = Path(self.log).read_text().splitlines() if Path(self.log).exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self) -> None:
        """Ends both parts, as a Spegel in Go is one process."""
        self.process.kill()
        self.node.spegel.process.kill()

    def close(self) -> None:
        if self.process:
            self.process.stop()
