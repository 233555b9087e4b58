"""The upstream registry: Debian's docker-registry on a host of its own, with a record of all requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .images import Image
from .network import Host
from .process import Process, eventually, run

NAME = "registry.lab:5000"
URL = f"http://{NAME}"
_PORT = 5000
_ACCESS = re.compile(
    r'^(?P<client>[0-9.]+) - - \[[^]]*\] "(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[0-9.]+" (?P<status>\d+) (?P<size>\d+)')


@dataclass(frozen=True)
class Request:
    """A line of the registry's access log."""

    client: str
    method: str
    path: str
    status: int
    size: int


class SourceRegistry:
    """A registry that can be stopped and restarted; pushed images stay."""

    def __init__(self, host: Host, directory: Path):
        directory.mkdir()
        self.host = host
        self.log = directory / "registry.log"
        self._process: Process | None = None
        self._configuration = directory / "config.yml"
        self._configuration.write_text(f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {directory / "storage"}}}}}
http: {{addr: ":{_PORT}"}}
""")

    def start(self) -> None:
        command = self.host.command(["docker-registry", "serve", self._configuration])
        self._process = Process("docker-registry", command, self.log)
        eventually(self._is_serving, "docker-registry accepts connections")

    def stop(self) -> None:
        """Stops it; further connections are refused."""
        if self._process:
            self._process.kill()
            self._process = None

    def push(self, *images: Image) -> None:
        for image in images:
            run(self.host.command([
                "skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
                "--dest-tls-verify=false", image.skopeo_name,
                f"docker://127.0.0.1:{_PORT}/{image.repository}:{image.tag}"]))

    def requests(self, client: Host | None = None) -> list[Request]:
        """The requests so far, of one host or of all other hosts (without the pushes)."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            match = _ACCESS.match(line)
            if not match or match["client"] == "127.0.0.1":
                continue
            if client is None or match["client"] == client.address:
                found.append(Request(
                    match["client"], match["method"], match["path"], int(match["status"]), int(match["size"])))
        return found

    def _is_serving(self) -> bool:
        if not self._process.is_running:
            raise AssertionError(f"docker-registry ended with {self._process.exit_code}")
        try:
            self.host.connect("127.0.0.1", _PORT).close()
        except OSError:
            return False
        return True
