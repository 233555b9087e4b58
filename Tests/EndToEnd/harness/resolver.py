"""Which hosts a real containerd asks for an image, in which order, with a given registry configuration.

containerd's HTTP requests go to a proxy that logs them and answers 404, so any name can be asked. The proxy refuses
CONNECT, which is all that it sees of HTTPS.
"""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

from .containerd import Installation
from .process import Process, eventually

#: Addresses that bypass the proxy get a server of their own.
LOCAL_PORT = 5098


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.server.asked.append("https://" + self.path.removesuffix(":443"))
        self.send_error(502)

    def do_GET(self):
        url = urlsplit(self.path)
        # HEAD on blobs follows HEAD on manifests for a digest, and says nothing new.
        if "/manifests/" in url.path:
            base = url.path.split("/team/app/manifests/")[0].removesuffix("/v2")
            self.server.asked.append(f"http://{url.netloc or self.headers['Host']}{base}")
        # Some clients look first whether there is a registry.
        self.send_response(200 if url.path.rstrip("/") == "/v2" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str, port: int, asked: list[str]):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.asked = asked
        super().__init__((address, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


class Registries:
    """All hosts that a containerd may ask: they log the requests, and have nothing."""

    def __init__(self):
        self.asked: list[str] = []
        self._servers = [_Server("127.0.0.1", 0, self.asked)]
        for address in ("127.0.0.1", "::1"):
            self._servers.append(_Server(address, LOCAL_PORT, self.asked))

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    def close(self) -> None:
        for server in self._servers:
            server.close()


class Resolver:
    """A containerd without CRI whose requests are observed."""

    def __init__(self, installation: Installation, folder: Path, registries: Registries):
        folder.mkdir(parents=True)
        self.installation = installation
        self._asked = registries.asked
        proxy = registries.proxy
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
        self._socket = folder / "s"
        configuration = folder / "config.toml"
        configuration.write_text(f"""\
version = {2 if installation.major < 2 else 3}
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.nri.v1.nri"]
[grpc]
address = "{self._socket}"
[ttrpc]
address = "{self._socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
""")
        self._process = Process(
            "containerd", [installation.containerd, "--config", configuration], folder / "log",
            env={"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy})
        eventually(self._socket.exists, "containerd listens", timeout=20)

    def hosts(self, configuration: Path, image: str) -> list[str]:
        """The hosts that containerd asks for an image that none of them has, as URLs without the image."""
        self._asked.clear()
        done = subprocess.run(
            [self.installation.ctr, "--address", self._socket, "images", "pull", "--hosts-dir", configuration, image],
            env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0, "no host has the image"
        # Some versions repeat the request to a host that refuses the connection.
        found = [host for number, host in enumerate(self._asked) if not number or host != self._asked[number - 1]]
        return found or [done.stderr.strip().splitlines()[-1]]

    def close(self) -> None:
        self._process.stop()
