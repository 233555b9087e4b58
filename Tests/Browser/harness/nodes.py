"""Three nodes on loopback with image layouts as their stores; the first holds images."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

#: The image of the first node.
IMAGE = "registry.example/team/app:1"
#: The image of the second node.
OTHER_IMAGE = "registry.example/team/other:1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _blob(folder: Path, data: bytes, media_type: str) -> dict:
    digest = hashlib.sha256(data).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def make_layout(folder: Path, images: dict[str, list[bytes]]) -> dict[str, dict]:
    """An image layout with images of these layers; returns the descriptors of their manifests."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifests = {}
    for name, layers in images.items():
        config = json.dumps({"architecture": "amd64", "os": "linux", "name": name}).encode()
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _blob(folder, config, "application/vnd.oci.image.config.v1+json"),
            "layers": [_blob(folder, data, "application/vnd.oci.image.layer.v1.tar+gzip") for data in layers],
        }
        manifests[name] = _blob(folder, json.dumps(manifest).encode(), manifest["mediaType"])
    named = [{**manifest, "annotations": {"io.containerd.image.name": name}} for name, manifest in manifests.items()]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    return manifests


class Node:
    """A node in a process of its own."""

    def __init__(self, binary: Path, number: int, folder: Path, ports: tuple[int, int, int], *options: str):
        self.host = f"127.0.0.{20 + number}"
        self.registry_port, self.router_port, self.metrics_port = ports
        self.folder = folder
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    binary, "registry", f"--store={folder / 'store'}", f"--data-dir={folder / 'data'}",
                    f"--registry-addr={self.host}:{self.registry_port}",
                    f"--router-addr={self.host}:{self.router_port}",
                    f"--metrics-addr={self.host}:{self.metrics_port}",
                    "--bootstrap-kind=static",
                    f"--static-bootstrap-peers=/ip4/127.0.0.21/tcp/{self.router_port}",
                    "--mirror-resolve-timeout=500ms", *options,
                ],
                stdout=log, stderr=log)

    @property
    def page(self) -> str:
        return f"http://{self.host}:{self.metrics_port}/debug/web/"

    def ask(self, path: str, *, port: int | None = None, method="GET", headers=None, body=None):
        """Status, header fields and body of a response."""
        connection = HTTPConnection(self.host, port or self.metrics_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def json(self, path: str, method="GET"):
        status, _, body = self.ask(path, method=method)
        return status, json.loads(body)

    def pull(self, name: str, manifest: dict, layers: bool = True) -> None:
        """Requests an image from the node's registry like a client."""
        registry, rest = name.split("/", 1)
        repository, tag = rest.rsplit(":", 1)
        path = f"/v2/{repository}/manifests/{tag}?ns={registry}"
        status, _, body = self.ask(path, port=self.registry_port)
        assert status == 200, (status, body)
        for child in [json.loads(body)["config"]] + json.loads(body)["layers"] * layers:
            path = f"/v2/{repository}/blobs/{child['digest']}?ns={registry}"
            status, _, body = self.ask(path, port=self.registry_port)
            assert status == 200 and len(body) == child["size"], (status, len(body))

    def wait_until_ready(self, peers: int | None) -> None:
        """Waits until the node knows a number of peers, or with `None` only until it is ready."""
        end = time.monotonic() + 30
        last = None
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text()
            try:
                status, _, body = self.ask("/readyz")
                last = (status, body)
                if status == 200 and (peers is None or f"{peers} peers".encode() in body):
                    return
            except OSError as error:
                last = error
            time.sleep(0.05)
        raise AssertionError(f"not ready within 30 s: {last}\n{self.log.read_text()}")

    def kill(self) -> None:
        """Kills the node, so that it cannot notify the others."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


class Cluster:
    """The nodes."""

    def __init__(self, binary: Path, count: int = 3):
        self.folder = Path(tempfile.mkdtemp(prefix="spegel-browser-"))
        ports = (free_port(), free_port(), free_port())
        self.nodes: list[Node] = []
        try:
            layers = [os.urandom(size) for size in (300_000, 4_000_000, 24_000_000)]
            self.layers = layers
            images = {1: {IMAGE: layers, "registry.example/team/base:2": layers[:1]}, 2: {OTHER_IMAGE: [b"other"]}}
            self.manifests: dict[str, dict] = {}
            for number in range(1, count + 1):
                store = self.folder / f"node{number}" / "store"
                self.manifests |= make_layout(store, images.get(number, {}))
                # The second node has no zone.
                options = [] if number == 2 else [f"--zone=zone-{number}"]
                self.nodes.append(Node(binary, number, store.parent, ports, *options))
            for node in self.nodes:
                node.wait_until_ready(count - 1)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def reference(name: str) -> str:
    return quote(name, safe="")
