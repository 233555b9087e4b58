"""A Spegel with an image layout, on a host of its own."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.network import Host
from harness.process import Process, eventually, tail

REGISTRY_PORT = 5000
ROUTER_PORT = 5001
REPOSITORY = "formation.lab"


class Node:
    """A node that can be stopped and restarted."""

    def __init__(self, binary: Path, host: Host, directory: Path, options: Mapping[str, str], environment: Mapping[str, str]):
        directory.mkdir()
        self.binary = binary
        self.host = host
        self.directory = directory
        self.log = directory / "spegel.log"
        self.process: Process | None = None
        self.environment = dict(environment)
        self.account: Path | None = None
        self.resolver: Path | None = None
        self.options: dict[str, str] = {
            "log-level": "debug",
            "store": str(directory / "store"),
            "data-dir": str(directory / "data"),
            "registry-addr": f":{REGISTRY_PORT}",
            "router-addr": f":{ROUTER_PORT}",
            "metrics-addr": ":9090",
            # The machine is slower than a cluster.
            "mirror-resolve-timeout": "500ms",
            **options,
        }
        blobs = directory / "store/blobs/sha256"
        blobs.mkdir(parents=True)
        (directory / "store/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.blob = self._make_image(blobs)

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def address(self) -> str:
        return self.host.address

    def _make_image(self, blobs: Path) -> str:
        def store(content: bytes, media_type: str) -> dict:
            digest = hashlib.sha256(content).hexdigest()
            (blobs / digest).write_bytes(content)
            return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

        config = store(b'{"architecture":"amd64","os":"linux"}', "application/vnd.oci.image.config.v1+json")
        layer = store(os.urandom(50_000), "application/vnd.oci.image.layer.v1.tar+gzip")
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = store(json.dumps({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}).encode(), media_type)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": f"{REPOSITORY}/{self.host.name}:1"}
        (self.directory / "store/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        return layer["digest"]

    def command(self, options: Mapping[str, str | None] = {}) -> list:
        flags = [f"--{key}={value}" for key, value in {**self.options, **options}.items() if value is not None]
        script = ""
        if self.account:
            # A private file system over /run, so that no file stays on the machine.
            folder = "/run/secrets/kubernetes.io/serviceaccount"
            script += f'mount -t tmpfs tmpfs /run && mkdir -p {folder} && mount --bind "{self.account}" {folder} && '
        if self.resolver:
            script += f'mount --bind "{self.resolver}" /etc/resolv.conf && '
        return self.host.command(["sh", "-c", script + 'exec "$0" "$@"', self.binary, "registry", *flags])

    def start(self) -> None:
        self.process = Process(f"spegel on {self.name}", self.command(), self.log, env=self.environment)

    def close(self) -> None:
        if self.process:
            self.process.stop()

    def report(self) -> tuple[str, str]:
        return (f"{self.name}: {self.log.name}", tail(self.log, 60))

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=timeout)
        connection.sock = self.host.connect("127.0.0.1", REGISTRY_PORT, timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def readiness(self) -> str:
        """The text of its readiness, or an empty text while it is not ready."""
        if not self.process.is_running:
            raise AssertionError(f"{self.process.name} ended with {self.process.exit_code}")
        try:
            status, body = self.get("/readyz")
        except (OSError, http.client.HTTPException):
            return ""
        return body.decode() if status == 200 else ""

    def peers(self) -> int:
        """The number of its peers."""
        words = self.readiness().split()
        return int(words[0]) if len(words) > 1 and words[1].startswith("peer") and words[0].isdigit() else 0

    def pulls(self, digest: str) -> bool:
        status, body = self.get(f"/v2/any/blobs/{digest}?ns={REPOSITORY}")
        return status == 200 and "sha256:" + hashlib.sha256(body).hexdigest() == digest


def wait_until_joined(nodes: list[Node], timeout: float = 30.0) -> None:
    for node in nodes:
        eventually(lambda: node.peers() >= len(nodes) - 1, f"{node.name} knows {len(nodes) - 1} peers", timeout)


def wait_until_sharing(nodes: list[Node], timeout: float = 30.0) -> None:
    for node in nodes:
        for other in nodes:
            eventually(lambda: node.pulls(other.blob), f"{node.name} gets the blob of {other.name}", timeout)
