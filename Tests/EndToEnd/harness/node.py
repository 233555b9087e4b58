"""A node of the cluster: a host with a containerd and, if the test adds it, a Spegel."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .containerd import Containerd, Installation
from .images import NATIVE, Image
from .network import Host
from .spegel import METRICS_PORT, MIRRORED, Spegel, blob_path, manifest_path

#: The two pulling clients: ctr, which resolves names itself, and a kubelet's CRI request.
CLIENTS = ("ctr", "cri")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Pull:
    """A successful pull."""

    seconds: float
    received_bytes: int


class Node:
    def __init__(self, installation: Installation, host: Host, directory: Path):
        directory.mkdir()
        self.name = host.name
        self.host = host
        self.directory = directory
        self.containerd = Containerd(installation, host, directory / "containerd")
        self.spegel: Spegel | None = None
        self._executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    def pull(
        self, name: str, client: str = "ctr", *, architecture: str | None = None, timeout: float = 60.0,
    ) -> Pull:
        """Pulls an image through containerd; raises `PullFailed` with containerd's error."""
        start, before = time.monotonic(), self.host.received_bytes()
        if client == "cri":
            assert architecture is None, "the CRI pulls the machine's own platform only"
            self.containerd.pull_with_cri(name, timeout)
        else:
            self.containerd.pull_with_ctr(name, timeout, architecture)
        return Pull(time.monotonic() - start, self.host.received_bytes() - before)

    def in_background(self, work: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        """Runs work in the background, one at a time."""
        return self._executor.submit(work)

    def holds(self, image: Image, architecture: str = NATIVE) -> bool:
        """Whether containerd has all verified content of the image for one platform."""
        return image.digests(architecture) <= self.containerd.content()

    def sees(self, image: Image, architecture: str = NATIVE) -> bool:
        """Whether its Spegel finds all of the image, locally or at a peer."""
        return self._finds(image, architecture, {})

    def serves(self, image: Image, architecture: str = NATIVE) -> bool:
        """Whether its Spegel itself has all of the image."""
        return self._finds(image, architecture, MIRRORED)

    def _finds(self, image: Image, architecture: str, headers: dict[str, str]) -> bool:
        references = [image.tag, *image.manifest_digests(architecture)]
        paths = [manifest_path(image.repository, reference) for reference in references]
        paths += [blob_path(image.repository, digest) for digest in image.manifest(architecture).blobs]
        return all(self.spegel.request("HEAD", path, headers).status == 200 for path in paths)

    def source_bytes(self) -> float:
        """The bytes from upstream registries that its Spegel has counted."""
        page = self.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
            if line.startswith("spegel_source_received_bytes_total{"))

    def logs(self) -> list[Path]:
        return [self.containerd.log, *([self.spegel.log] if self.spegel else [])]

    def close(self) -> None:
        if self.spegel:
            self.spegel.close()
        self.containerd.close()
        self._executor.shutdown()
