"""Real nodes on loopback, each with an image layout for its store and an address of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ports:
    """The same on all nodes."""

    registry: int
    router: int
    metrics: int


def free_ports() -> Ports:
    """Ports that are free at all addresses of this machine."""
    sockets = [socket.socket() for _ in range(3)]
    try:
        for each in sockets:
            each.bind(("0.0.0.0", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


class Node:
    """One process of the program under test."""

    def __init__(self, binary: Path, number: int, folder: Path, ports: Ports, bootstrap: str, log_level: str):
        self.name = f"node{number}"
        self.address = f"127.0.0.{40 + number}"
        self.folder = folder
        self.ports = ports
        self._binary = binary
        self._bootstrap = bootstrap
        self._log_level = log_level
        self._process: subprocess.Popen | None = None
        #: When it was last found to be ready, `None` while it is not known to be up.
        self.ready_since: float | None = None

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "setpriv", "--pdeathsig", "KILL", "--", self._binary, "registry",
                    f"--store={self.store}", f"--data-dir={self.folder}/data", f"--log-level={self._log_level}",
                    f"--registry-addr={self.address}:{self.ports.registry}",
                    f"--router-addr={self.address}:{self.ports.router}",
                    f"--metrics-addr={self.address}:{self.ports.metrics}",
                    f"--static-bootstrap-peers={self._bootstrap}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.ports.registry}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self._process.pid, number)

    def stop(self) -> None:
        """Ends it whatever state it is in."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def resident(self) -> float:
        """Its resident memory in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[1]) / 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def metrics(self) -> dict[str, float]:
        lines = self._get("/metrics").decode().splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def in_flight(self) -> dict[str, float]:
        """What it is busy with for clients and other nodes."""
        registry = json.loads(self._get("/debug/api/status"))["registry"]
        gauges = {name: registry[name] for name in ("requestsInFlight", "mirrorsInFlight")}
        gauges["http_requests_inflight"] = self.metrics().get('http_requests_inflight{handler="/v2/*"}', 0)
        return gauges

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.address}:{self.ports.metrics}{path}", timeout=10) as answer:
            return answer.read()


def wait_until(what: str, seconds: float, condition) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
