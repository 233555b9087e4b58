"""A node's Spegel: the program under test, run with its command line."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import proof, registry
from .containerd import NAMESPACE, Containerd
from .network import Host
from .process import Process, eventually, run

REGISTRY_PORT = 5000
ROUTER_PORT = 5001
METRICS_PORT = 9090

#: A Spegel never forwards such a request: content that it lacks is 404.
MIRRORED = {"X-Spegel-Mirrored": "true"}


@dataclass(frozen=True)
class Answer:
    """A complete HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def flags(options: Mapping[str, str | None]) -> list[str]:
    """The options as a command line, without options that have no value."""
    return [f"--{name}={value}" for name, value in options.items() if value is not None]


def configure(binary: Path, folder: Path, options: Mapping[str, str | None] = {}) -> None:
    """Runs `spegel configuration` on the folder with containerd's mirrors."""
    run([binary, "configuration", *flags({
        "log-level": "info",
        "containerd-registry-config-path": str(folder),
        "mirrored-registries": registry.URL,
        "mirror-targets": f"http://127.0.0.1:{REGISTRY_PORT}",
        **options,
    })])


class Spegel:
    """A Spegel on a host, next to its containerd. It can be stopped and restarted."""

    def __init__(self, binary: Path, host: Host, containerd: Containerd, directory: Path, bootstrap: Sequence[str]):
        directory.mkdir()
        self.binary = binary
        self.host = host
        self.log = directory / "spegel.log"
        self.data_directory = directory / "data"
        self.process: Process | None = None
        #: A prefix of the command, which ends in the program by exec only.
        self.launcher: list[str | os.PathLike] = []
        #: The line of the cluster key with which the test makes requests of nodes.
        self.key: str | None = None
        #: Additional headers of each request.
        self.headers: dict[str, str] = {}
        self.options: dict[str, str | None] = {
            "log-level": "debug",
            "log-format": "text",
            "data-dir": str(self.data_directory),
            "mirrored-registries": registry.URL,
            "registry-addr": f":{REGISTRY_PORT}",
            "router-addr": f":{ROUTER_PORT}",
            "metrics-addr": f":{METRICS_PORT}",
            "containerd-sock": str(containerd.socket),
            "containerd-namespace": NAMESPACE,
            "containerd-content-path": str(containerd.content_path),
            "containerd-registry-config-path": str(containerd.registry_configuration),
            "bootstrap-kind": "static",
            "static-bootstrap-peers": ",".join(bootstrap),
            "mirror-resolve-timeout": "20ms",
            "mirror-resolve-retries": "3",
        }

    def command(self, options: Mapping[str, str | None] = {}) -> list[str | os.PathLike]:
        return self.host.command([*self.launcher, self.binary, "registry", *flags({**self.options, **options})])

    def start(self) -> None:
        self.process = Process(f"spegel on {self.host.name}", self.command(), self.log)

    def run_to_failure(self, options: Mapping[str, str | None], timeout: float) -> tuple[int, str]:
        """Starts one that is expected to reject its options; returns its exit code and output."""
        done = subprocess.run(
            self.command(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout)
        return done.returncode, done.stdout

    def wait_until_ready(self, timeout: float = 20.0) -> None:
        eventually(self.is_ready, f"Spegel on {self.host.name} is ready", timeout)

    def is_ready(self) -> bool:
        if not self.process.is_running:
            raise AssertionError(f"{self.process.name} ended with {self.process.exit_code}")
        try:
            return self.request("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def request(
        self, method: str, path: str, headers: Mapping[str, str] = {}, timeout: float = 10.0,
        port: int = REGISTRY_PORT,
    ) -> Answer:
        """Sends an HTTP request from its own host, like its containerd."""
        if self.key and headers == MIRRORED:
            headers = proof.headers(self.key, self.peer_id(), method, path)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        connection.sock = self.host.connect("127.0.0.1", port, timeout)
        try:
            connection.request(method, path, headers={**self.headers, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def peer_id(self) -> str:
        """The peer id of the key in its data folder."""
        key = run(["openssl", "pkey", "-in", self.data_directory / "private.key", "-pubout"])
        der = base64.b64decode("".join(line for line in key.splitlines() if not line.startswith("-----")))
        # The identity multihash of the protobuf {type: Ed25519, data: the last 32 bytes of the DER}.
        return _base58(bytes([0x00, 36, 0x08, 1, 0x12, 32]) + der[-32:])

    def key_fingerprint(self) -> str:
        return hashlib.sha256((self.data_directory / "private.key").read_bytes()).hexdigest()

    def close(self) -> None:
        if self.process:
            self.process.stop()


def blob_path(repository: str, digest: str) -> str:
    return f"/v2/{repository}/blobs/{digest}?ns={registry.NAME}"


def manifest_path(repository: str, reference: str) -> str:
    return f"/v2/{repository}/manifests/{reference}?ns={registry.NAME}"


def _base58(content: bytes) -> str:
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(content, "big"), ""
    while number:
        number, remainder = divmod(number, 58)
        text = alphabet[remainder] + text
    zeros = len(content) - len(content.lstrip(b"\0"))
    return "1" * zeros + text
