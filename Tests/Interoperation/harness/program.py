"""The program itself, and a registry in place of that of Spegel in Go."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .process import Process, eventually

REGISTRY_PORT = 5000
_METRICS_PORT = 9090
_GO_REGISTRY = Path(__file__).parents[2] / "EndToEnd" / "harness" / "goregistry.py"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def get(host: str, path: str, headers: Mapping[str, str] = {}, port: int = REGISTRY_PORT) -> Answer:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def _answers(host: str, path: str, port: int = REGISTRY_PORT) -> bool:
    try:
        return get(host, path, port=port).status == 200
    except (OSError, http.client.HTTPException):
        return False


class GoRegistry(Process):
    """A registry that behaves on the wire as that of Spegel in Go does."""

    def __init__(self, name: str, log: Path, securities: Sequence[str], host: str, content: Path):
        command = [sys.executable, _GO_REGISTRY, "--address", host, "--port", str(REGISTRY_PORT), "--content", content]
        super().__init__(name, command, log)
        eventually(lambda: _answers(host, "/v2/") or not self.is_running, f"{name} answers")

    def requests(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


class Spegel(Process):
    """A node with the DHT prefix of the other implementations."""

    host = "127.0.0.1"

    def __init__(self, name: str, log: Path, securities: Sequence[str], bootstrap: str, store: Path):
        super().__init__(name, [
            os.environ["INTEROPERATION_SPEGEL"], "registry", "--log-level=debug", "--log-format=text",
            f"--store={store}", f"--data-dir={log.with_suffix('.data')}", "--kademlia-prefix=/ipfs",
            f"--registry-addr={self.host}:{REGISTRY_PORT}", f"--router-addr={self.host}:5001",
            f"--metrics-addr={self.host}:{_METRICS_PORT}", f"--static-bootstrap-peers={bootstrap}",
        ], log)
        try:
            eventually(lambda: _answers(self.host, "/readyz") or not self.is_running, f"{name} is ready")
            assert self.is_running, f"{name} has ended"
        except BaseException:
            self.stop()
            raise

    @property
    def known_peers(self) -> int:
        page = get(self.host, "/metrics", port=_METRICS_PORT).body.decode().splitlines()
        [line] = [line for line in page if line.startswith("spegel_routing_table_peers ")]
        return int(float(line.split()[1]))
