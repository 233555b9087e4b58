"""The cluster key: who belongs, what others see, and how a key is changed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from harness import proof
from harness.images import Image
from harness.lab import Lab
from harness.network import Host
from harness.node import Node
from harness.process import eventually, run
from harness.spegel import METRICS_PORT, MIRRORED, REGISTRY_PORT, ROUTER_PORT, blob_path, manifest_path


def _new_key(binary: Path) -> str:
    return run([binary, "key"]).strip()


def _write(path: Path, *keys: str) -> None:
    """Replaces a file at once, as a kubelet does."""
    other = path.with_suffix(".new")
    other.write_text("".join(key + "\n" for key in keys))
    os.replace(other, path)


def _prepare(lab: Lab, nodes: list[Node], binary: Path, keys: list[str | None], **options: str) -> list[Path]:
    """Prepares a Spegel with its key, or without one, on each node."""
    lab.prepare_spegels(nodes, binary, options)
    paths = []
    for node, key in zip(nodes, keys, strict=True):
        path = lab.directory / f"{node.name}.key"
        if key:
            _write(path, key)
            node.spegel.options["cluster-key-file"] = str(path)
            node.spegel.key = key
        paths.append(path)
    return paths


def _ask(host: Host, node: Node, path: str, headers: dict[str, str] = {}) -> tuple[int, bytes]:
    """The status and all bytes of a host's request to a node's registry."""
    connection = http.client.HTTPConnection(node.host.address, REGISTRY_PORT, timeout=10)
    connection.sock = host.connect(node.host.address, REGISTRY_PORT, 10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, str(response.headers).encode() + response.read()
    finally:
        connection.close()


def _paths(image: Image) -> list[str]:
    digests = sorted(image.manifest().blobs)
    return ["/v2/", manifest_path(image.repository, image.tag)] + [
        path for digest in digests for path in (blob_path(image.repository, digest), f"/v2/x/blobs/{digest}")]


def _propose(host: Host, node: Node, protocol: str) -> bytes:
    """All that a node's router sends to a stranger that proposes a security protocol."""
    def line(text: str) -> bytes:
        return bytes([len(text) + 1]) + text.encode() + b"\n"

    received = b""
    with host.connect(node.host.address, ROUTER_PORT, 10) as connection:
        connection.sendall(line("/multistream/1.0.0") + line(protocol))
        # What an initiator sends first: an ephemeral key, and with a pre-shared key a tag.
        connection.sendall(b"\x00\x30" + os.urandom(48))
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(4096):
                received += part
    return received


def _text(node: Node) -> str:
    return node.spegel.log.read_text()


def test_only_nodes_with_the_key_share(lab: Lab, spegel_binary: Path):
    key, other_key = _new_key(spegel_binary), _new_key(spegel_binary)
    *members, other, none = nodes = lab.add_nodes(5)
    one, two, three = members
    _prepare(lab, nodes, spegel_binary, [key, key, key, other_key, None])
    lab.start_spegels(nodes)
    image = lab.push("lab/app", index=True)
    one.pull(image.by_tag)
    eventually(lambda: one.serves(image), "node 1 serves the image")
    for node in (two, three):
        eventually(lambda: node.sees(image), f"{node.name} finds the image", timeout=15)

    # What each can see, from the network.
    stranger = lab.registry.host
    paths = _paths(image)
    seen = {
        (who.name, path, bool(headers)): _ask(who, one, path, headers)
        for who in (stranger, other.host, none.host, two.host) for path in paths for headers in ({}, MIRRORED)
    }
    assert {status for status, _ in seen.values()} == {403}, seen
    peer_id = one.spegel.peer_id()
    for path in paths:
        assert _ask(two.host, one, path, proof.headers(key, peer_id, "GET", path))[0] == 200
        for wrong in (
            proof.headers(other_key, peer_id, "GET", path), proof.headers(key, two.spegel.peer_id(), "GET", path),
            proof.headers(key, peer_id, "HEAD", path), proof.headers(key, peer_id, "GET", path + "&x"),
            proof.headers(key, peer_id, "GET", path, "bytes=0-1"),
            proof.headers(key, peer_id, "GET", path, skew=-40),
        ):
            assert _ask(two.host, one, path, wrong)[0] == 403, wrong
        for skew in (-25, 25):
            assert _ask(two.host, one, path, proof.headers(key, peer_id, "GET", path, skew=skew))[0] == 200
    assert _ask(stranger, one, "/readyz")[0] == 200
    # The node's own containerd needs no proof.
    assert all(one.spegel.request("GET", path).status == 200 for path in paths)

    # The router's port.
    received = [_propose(stranger, one, name) for name in (
        "/noise", "/tls/1.0.0", "/spegel/kad/1.0.0", "ls", "/spegel/noise-xxpsk0/1.0.0")]
    for answer in received:
        assert len(answer) < 100, answer
        assert peer_id.encode() not in answer
    everything = b"".join(received) + b"".join(body for _, body in seen.values())
    secret = base64.b64decode(key)
    assert key.encode() not in everything and secret not in everything

    page = one.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
    counted = {line.split(" ")[0]: float(line.split(" ")[1]) for line in page.splitlines() if line.startswith("spegel_")}
    assert counted['spegel_router_handshakes_failed_total{reason="membership"}'] >= 4
    assert counted['spegel_registry_refused_total{reason="proof"}'] > len(paths)
    assert counted['spegel_registry_refused_total{reason="expired"}'] == len(paths)
    assert counted['spegel_registry_refused_total{reason="address"}'] == 4 * len(paths)

    # Nodes of other clusters find nothing, and have joined nothing.
    for node in (other, none):
        assert not node.sees(image)
        eventually(lambda: f"/ip4/{node.host.address}/" in "\n".join(
            line for line in _text(one).splitlines() if "cluster key not proven" in line),
            f"node 1 logs the address of {node.name}", timeout=15)
    for node in members:
        for line in _text(node).splitlines():
            if "peer connected" in line:
                assert all(f"/{where.address}/" not in line for where in (stranger, other.host, none.host)), line
        assert key not in _text(node)
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


class _Recorder(http.server.BaseHTTPRequestHandler):
    """The registry of a liar, which notes what it is sent."""

    protocol_version = "HTTP/1.1"
    requests: list[tuple[str, str, dict[str, str]]]

    def do_GET(self) -> None:
        self.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def _recorder(host: Host):
    requests: list[tuple[str, str, dict[str, str]]] = []
    handler = type("Recorder", (_Recorder,), {"requests": requests})
    with host.entered():
        server = http.server.ThreadingHTTPServer((host.address, REGISTRY_PORT), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("form", ["proof", "plain"])
def test_password_is_not_sent_to_a_node_that_announces_a_key(lab: Lab, spegel_binary: Path, form: str):
    folder = lab.directory / "basic-auth"
    folder.mkdir()
    (folder / "username").write_text("spegel")
    (folder / "password").write_text("a secret")
    header = "Basic " + base64.b64encode(b"spegel:a secret").decode()
    one, two, liar = nodes = lab.add_nodes(3)
    lab.prepare_spegels(nodes, spegel_binary)
    for node in (one, two):
        node.spegel.options |= {"basic-auth-dir": str(folder), "basic-auth-to-peers": form}
        node.spegel.headers = {"Authorization": header}
    # Its router announces port 5000, where another program listens at its address.
    liar.spegel.options["registry-addr"] = f"127.0.0.1:{REGISTRY_PORT}"
    lab.start_spegels(nodes)
    image = lab.push("lab/app")
    liar.pull(image.by_tag)
    eventually(lambda: liar.serves(image), "the liar has the image")
    path = blob_path(image.repository, sorted(image.manifest().blobs)[0])
    with _recorder(liar.host) as requests:
        def asked() -> bool:
            assert two.spegel.request("GET", path).status == 404
            return bool(requests)

        eventually(asked, "node 2 asks the liar", timeout=15)
    assert all(("authorization" in headers) == (form == "plain") for _, _, headers in requests)
    if form == "plain":
        return
    assert all("x-spegel-proof" in headers for _, _, headers in requests)
    assert "--basic-auth-to-peers plain" in _text(two)
    assert _text(two).count("peer wants the password in clear") == 1
    # What the liar got opens nothing at another node.
    one.pull(image.by_tag)
    eventually(lambda: one.serves(image), "node 1 has the image")
    for _, where, headers in requests:
        stolen = {name: headers[name] for name in ("x-spegel-mirrored", "x-spegel-proof")}
        assert _ask(liar.host, one, where, stolen)[0] == 403
    # Our nodes know each other by the password.
    eventually(lambda: two.spegel.request("GET", path).status == 200, "node 2 gets it from node 1", timeout=15)


def test_key_is_changed_under_load(lab: Lab, spegel_binary: Path):
    old, new = _new_key(spegel_binary), _new_key(spegel_binary)
    one, two, three = nodes = lab.add_nodes(3)
    files = _prepare(lab, nodes, spegel_binary, [old] * 3, **{"mirror-resolve-timeout": "1s"})
    lab.start_spegels(nodes)
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    paths = _paths(image)[1:]
    isOver = threading.Event()
    failed: list[str] = []
    counts = [0, 0]

    def load(number: int, node: Node) -> None:
        while not isOver.is_set():
            for path in paths:
                answer = node.spegel.request("GET", path)
                counts[number] += 1
                if answer.status != 200:
                    failed.append(f"{time.time()} {node.name} {path}: {answer.status} {answer.body[:200]!r}")

    threads = [threading.Thread(target=load, args=pair) for pair in enumerate((two, three))]
    for thread in threads:
        thread.start()
    try:
        for step, keys in enumerate([(old, new), (new, old), (new,)], start=1):
            # The nodes get the file one after another.
            for node, path in zip(nodes, files, strict=True):
                _write(path, *keys)
                time.sleep(1)
            for node in nodes:
                eventually(
                    lambda: _text(node).count("cluster key changed") == step, f"{node.name} has keys {step}", timeout=15)
        time.sleep(5)
    finally:
        isOver.set()
        for thread in threads:
            thread.join()
    assert not failed, "\n".join(failed[:20])
    assert min(counts) > 50, counts

    # The old key opens nothing any more, neither port.
    path = paths[0]
    peer_id = one.spegel.peer_id()
    assert _ask(two.host, one, path, proof.headers(old, peer_id, "GET", path))[0] == 403
    assert _ask(two.host, one, path, proof.headers(new, peer_id, "GET", path))[0] == 200
    for node in nodes:
        node.spegel.key = new
    two.spegel.process.stop()
    _write(files[1], old)
    two.spegel.start()
    eventually(lambda: "cluster key not proven" in _text(one), "node 1 refuses the old key", timeout=20)
    two.spegel.wait_until_ready()
    assert not two.sees(image)


def test_faulty_key_is_an_error(lab: Lab, spegel_binary: Path, tmp_path: Path):
    [node] = nodes = lab.add_nodes(1)
    lab.prepare_spegels(nodes, spegel_binary)
    path = tmp_path / "key"
    for text, expected in [(None, "found none"), ("", "found none"), ("AAAA\n", "line 1"), ("x y\n", "line 1")]:
        if text is not None:
            path.write_text(text)
        code, output = node.spegel.run_to_failure({"cluster-key-file": str(path)}, timeout=10)
        assert code == 1
        assert expected in output and str(path) in output
