"""A registry that behaves on the wire as Spegel in Go does, to be run as a program on a host.

It answers as v0.7.4 does in what concerns other nodes:

- A request without `ns` is 404, whatever it asks for. It looks nothing up at peers.
- It knows no checks: it ignores headers that it does not know, and says nothing of its own about content.
- Answers have `Content-Type`, `Content-Length`, `Docker-Content-Digest` and `OCI-Namespace`; blobs take ranges.
- `/id` is one object, without an array around it.

It takes content from the folder of a containerd or of an image layout. The other side of a node, the DHT, is not here: a
peer whose records have this host's address leads to it.

Each request is a line of JSON in the log.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(r"^/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)$")
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LARGEST_DOCUMENT = 4 << 20
_PART = 256 << 10
_lock = threading.Lock()


def media_type(content: Path) -> str:
    """What a manifest would say about the content."""
    if content.stat().st_size > _LARGEST_DOCUMENT:
        return _LAYER
    try:
        document = json.loads(content.read_bytes())
    except ValueError:
        return _LAYER
    return document.get("mediaType") or _CONFIG


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = ""
    sys_version = ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_) -> None:
        pass

    def _note(self, status: int) -> None:
        with _lock:
            line = {"method": self.command, "path": self.path, "status": status, "headers": dict(self.headers)}
            print(json.dumps(line), flush=True)

    def _answer(self) -> None:
        url = urlsplit(self.path)
        if url.path in ("/v2", "/v2/"):
            return self._document(200, b"")
        if url.path == "/id" and self.server.identity:
            return self._document(200, json.dumps(self.server.identity).encode(), "application/json")
        match = _PATH.match(url.path)
        namespace = parse_qs(url.query).get("ns", [""])[0]
        if not match or not namespace:
            return self._document(404, b"")
        digest = match["reference"]
        if not digest.startswith("sha256:"):
            digest = self.server.tags().get(f"{namespace}/{match['name']}:{digest}", "")
        content = self.server.content / "blobs" / digest.replace(":", "/")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not content.is_file():
            return self._document(404, b"")
        self._content(content, digest, namespace, match["kind"] == "blobs")

    def _document(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self._note(status)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _content(self, content: Path, digest: str, namespace: str, takes_ranges: bool) -> None:
        with open(content, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first, end, status = 0, size, 200
            asked = _RANGE.match(self.headers.get("Range", "")) if takes_ranges else None
            if asked and (asked[1] or asked[2]):
                first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
                end = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
                status = 206
                if first >= end:
                    return self._document(416, b"")
            self._note(status)
            self.send_response(status)
            self.send_header("Content-Type", media_type(content))
            self.send_header("Content-Length", str(end - first))
            self.send_header("Docker-Content-Digest", digest)
            self.send_header("OCI-Namespace", namespace)
            if takes_ranges:
                self.send_header("Accept-Ranges", "bytes")
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
            self.end_headers()
            if self.command == "HEAD":
                return
            file.seek(first)
            while first < end:
                part = file.read(min(_PART, end - first))
                if not part:
                    self.close_connection = True
                    return
                try:
                    self.wfile.write(part)
                except OSError:
                    self.close_connection = True
                    return
                first += len(part)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, content: Path, tags: Path | None, identity: dict | None):
        super().__init__((address, port), Handler)
        self.content = content
        self.identity = identity
        self._tags = tags

    def tags(self) -> dict[str, str]:
        """The digests of full names, such as `registry.lab/lab/app:1`."""
        return json.loads(self._tags.read_text()) if self._tags and self._tags.exists() else {}

    def handle_error(self, request, client_address) -> None:
        # A client that went away is no fault.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--content", type=Path, required=True, help="the folder that has blobs/")
    parser.add_argument("--tags", type=Path, help="a JSON file with the digests of full names")
    parser.add_argument("--id", help="the peer id for /id")
    parser.add_argument("--addresses", nargs="*", default=[], help="the multiaddrs for /id")
    options = parser.parse_args()
    identity = {"ID": options.id, "Addrs": options.addresses} if options.id else None
    Server(options.address, options.port, options.content, options.tags, identity).serve_forever()


if __name__ == "__main__":
    main()
