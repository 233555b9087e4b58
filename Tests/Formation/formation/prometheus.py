"""Debian's Prometheus on a host of its own, scraping nodes."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlencode

from harness.network import Host
from harness.process import Process, eventually

_PORT = 9099


class Prometheus:
    def __init__(self, host: Host, directory: Path, targets: list[str]):
        directory.mkdir()
        self.host = host
        self.log = directory / "prometheus.log"
        configuration = directory / "prometheus.yml"
        # JSON is valid YAML.
        configuration.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "spegel", "static_configs": [{"targets": targets}]}]}))
        self.process = Process("prometheus", host.command([
            "prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={host.address}:{_PORT}"]), self.log)
        eventually(self._is_ready, "Prometheus is ready", timeout=30)

    def query(self, expression: str) -> tuple[str, list[dict]]:
        """The error of an expression, or an empty text, and its series."""
        status, body = self._get("/api/v1/query?" + urlencode({"query": expression}))
        answer = json.loads(body)
        if status != 200 or answer["status"] != "success":
            return answer.get("error", f"status {status}"), []
        return "", answer["data"]["result"]

    def close(self) -> None:
        self.process.stop()

    def _is_ready(self) -> bool:
        assert self.process.is_running, self.log.read_text()
        try:
            return self._get("/-/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host.address, _PORT, timeout=10)
        connection.sock = self.host.connect(self.host.address, _PORT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
