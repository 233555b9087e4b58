"""The lab of one test, created on demand and always removed."""

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
    """A network with a running upstream registry and nodes added by the test."""

    def __init__(self, installation: Installation):
        self.installation = installation
        self.nodes: list[Node] = []
        self._closing = contextlib.ExitStack()
        # Not pytest's own folder, because the path of a Unix socket has at most 107 bytes.
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
        """Adds nodes with running containerds that pull from the upstream registry."""
        new = [self._add_node() for _ in range(count)]
        for node in new:
            node.containerd.wait_until_ready()
            use_source_registry(node)
        return new

    def add_spegels(self, nodes: list[Node], binary: Path, options: Mapping[str, str | None] = {}) -> None:
        """Adds a Spegel to each node, from which it pulls first, and waits until all are ready."""
        self.prepare_spegels(nodes, binary, options)
        self.start_spegels(nodes)

    def start_spegels(self, nodes: list[Node]) -> None:
        """Starts prepared Spegels, and waits until all are ready."""
        for node in nodes:
            # The files of the Spegel command replace those of the lab.
            shutil.rmtree(node.containerd.registry_configuration / registry.NAME)
            configure(node.spegel.binary, node.containerd.registry_configuration)
            node.spegel.start()
        for node in nodes:
            node.spegel.wait_until_ready()

    def prepare_spegels(self, nodes: list[Node], binary: Path, options: Mapping[str, str | None] = {}) -> None:
        """Prepares Spegels without starting them."""
        # Every node gets the addresses of all, including its own.
        bootstrap = [f"/ip4/{node.host.address}/tcp/{ROUTER_PORT}" for node in nodes]
        for node in nodes:
            node.spegel = Spegel(binary, node.host, node.containerd, node.directory / "spegel", bootstrap)
            node.spegel.options.update(options)

    def push(self, repository: str, **arguments) -> Image:
        """Builds an image and pushes it to the upstream registry. The arguments are those of `images.build`."""
        image = images.build(self.directory, registry.NAME, repository, **arguments)
        self.registry.push(image)
        return image

    def share(self, image: Image, holders: list[Node], client: str = "ctr") -> None:
        """Pulls an image on the holders, and waits until every node finds all of it."""
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
    """Makes a node without a Spegel pull from the upstream registry."""
    folder = node.containerd.registry_configuration / registry.NAME
    folder.mkdir()
    # containerd 1.6 requires at least one host in the file.
    (folder / "hosts.toml").write_text(f'''\
server = "{registry.URL}"
[host."{registry.URL}"]
capabilities = ["pull", "resolve"]
''')


def remove_stale_labs() -> None:
    """Removes the leftovers of runs that were killed."""
    remove_stale_namespaces()
    for entry in Path(tempfile.gettempdir()).iterdir():
        if is_stale(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
