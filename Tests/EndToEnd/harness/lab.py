"""The whole laboratory of one test, made on demand and taken down whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import images, registry
from .containerd import Installation
from .images import Image
from .network import PREFIX, Network, is_stale, remove_stale_namespaces
from .node import Node
from .process import eventually, tail
from .registry import SourceRegistry
from .spegel import ROUTER_PORT, Spegel, configure


class Lab:
    """A network with a source registry (running) and nodes (added by the test)."""

    def __init__(self, installation: Installation):
        self.installation = installation
        self.nodes: list[Node] = []
        self._closing = contextlib.ExitStack()
        # Not pytest's own folder: the path of a Unix socket may have 107 bytes at most.
        keep = os.environ.get("SPEGEL_E2E_KEEP")
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{'kept' if keep else os.getpid()}-"))
        if not keep:
            self._closing.callback(shutil.rmtree, self.directory, ignore_errors=True)
        try:
            self.network = Network(self.directory)
            self._closing.callback(self.network.delete)
            host = self.network.add_host("registry", "10.1.0.100", alias="registry.lab")
            self.registry = SourceRegistry(host, self.directory / "registry")
            self._closing.callback(self.registry.stop)
            self.registry.start()
        except BaseException:
            self.close()
            raise

    def add_nodes(self, count: int) -> list[Node]:
        """Adds nodes whose containerds run and pull from the source registry."""
        new = [self._add_node() for _ in range(count)]
        for node in new:
            node.containerd.wait_until_ready()
            use_source_registry(node)
        return new

    def add_spegels(self, nodes: list[Node], binary: Path, options: Mapping[str, str | None] = {}) -> None:
        """Gives nodes a Spegel each, from which they pull first, and waits until all are ready."""
        self.prepare_spegels(nodes, binary, options)
        self.start_spegels(nodes)

    def start_spegels(self, nodes: list[Node]) -> None:
        """Starts those that were prepared, and waits until all are ready."""
        for node in nodes:
            # What the Spegel's own command is to write takes the place of what the laboratory wrote.
            shutil.rmtree(node.containerd.registry_configuration / registry.NAME)
            configure(node.spegel.binary, node.containerd.registry_configuration)
            node.spegel.start()
        for node in nodes:
            node.spegel.wait_until_ready()

    def prepare_spegels(self, nodes: list[Node], binary: Path, options: Mapping[str, str | None] = {}) -> None:
        """The same without a start."""
        # Every node gets the addresses of all, its own included.
        bootstrap = [f"/ip4/{node.host.address}/tcp/{ROUTER_PORT}" for node in nodes]
        for node in nodes:
            node.spegel = Spegel(binary, node.host, node.containerd, node.directory / "spegel", bootstrap)
            node.spegel.options.update(options)

    def push(self, repository: str, **arguments) -> Image:
        """Builds an image and pushes it to the source registry. The arguments are those of `images.build`."""
        image = images.build(self.directory, registry.NAME, repository, **arguments)
        self.registry.push(image)
        return image

    def share(self, image: Image, holders: list[Node], client: str = "ctr") -> None:
        """Has the holders pull an image, and waits until every node finds all of it."""
        for node in holders:
            node.pull(image.by_tag, client)
        for node in holders:
            eventually(lambda: node.serves(image), f"Spegel on {node.name} serves {image.by_tag}")
        self.wait_until_seen(image)

    def wait_until_seen(self, image: Image, architecture: str = images.NATIVE) -> None:
        for node in self.nodes:
            eventually(
                lambda: node.sees(image, architecture), f"Spegel on {node.name} finds {image.by_tag}", timeout=15)

    def report(self) -> list[tuple[str, str]]:
        """The last lines of every log, each with a title."""
        logs = [("source registry", self.registry.log)] if hasattr(self, "registry") else []
        logs += [(node.name, log) for node in self.nodes for log in node.logs()]
        return [(f"{where}: {log.name}", tail(log)) for where, log in logs]

    def close(self) -> None:
        self._closing.close()

    def _add_node(self) -> Node:
        number = len(self.nodes) + 1
        host = self.network.add_host(f"node{number}", f"10.1.0.{number}")
        node = Node(self.installation, host, self.directory / host.name)
        self.nodes.append(node)
        self._closing.callback(node.close)
        node.containerd.start()
        return node


def use_source_registry(node: Node) -> None:
    """Lets a node without a Spegel pull from the source registry."""
    folder = node.containerd.registry_configuration / registry.NAME
    folder.mkdir()
    # containerd 1.6 wants at least one host in the file.
    (folder / "hosts.toml").write_text(f'''\
server = "{registry.URL}"
[host."{registry.URL}"]
capabilities = ["pull", "resolve"]
''')


def remove_stale_labs() -> None:
    """Removes what runs left behind that were killed before they could clean up."""
    remove_stale_namespaces()
    for entry in Path(tempfile.gettempdir()).iterdir():
        if is_stale(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
