"""Content between the program and a node of Spegel in Go: go-libp2p's DHT, and a registry as Go's at the same address."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from harness.content import Content
from harness.peers import Peers
from harness.process import eventually
from harness.program import Spegel, get

#: The other node has an address of its own, because a node asks its peers at its own registry port.
_GO = "127.0.0.2"
#: Above 8 MiB, where nodes that can check are asked to.
_SIZE = 10_000_000


def _layout(folder: Path, contents: list[bytes]) -> list[str]:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    descriptors = []
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        descriptors.append({
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}",
            "size": len(content)})
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}", "size": len(config)},
        "layers": descriptors}).encode()
    for document in (config, manifest):
        (blobs / hashlib.sha256(document).hexdigest()).write_bytes(document)
    manifests = [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}", "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "registry.lab/lab/app:1"}}]
    (folder / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": manifests if contents else []}))
    return [descriptor["digest"] for descriptor in descriptors]


@pytest.fixture
def content() -> bytes:
    return random.Random(7).randbytes(_SIZE)


def test_fetches_what_only_a_node_of_go_has(peers: Peers, tmp_path: Path, content: bytes) -> None:
    [digest] = _layout(tmp_path / "theirs", [content])
    _layout(tmp_path / "ours", [])
    go = peers.other("go-libp2p", host=_GO)
    registry = peers.registry(_GO, tmp_path / "theirs")
    ours = peers.spegel(go.address, tmp_path / "ours")
    eventually(lambda: ours.known_peers == 1, "the node of Go is in our routing table")
    go.provide(Content(digest))
    path = f"/v2/lab/app/blobs/{digest}?ns=registry.lab"
    eventually(lambda: get(ours.host, path, {"Range": "bytes=0-9"}).status == 206, "our node finds the content")
    # The same content again and again: a node of Go cannot say that it was checked.
    for _ in range(3):
        answer = get(ours.host, path)
        assert (answer.status, answer.body == content) == (200, True)
        answer = get(ours.host, path, {"Range": "bytes=9000000-"})
        assert (answer.status, answer.body == content[9_000_000:]) == (206, True)
    requests = registry.requests()[1:]
    assert all(request["status"] in (200, 206) for request in requests)
    assert all(request["headers"]["X-Spegel-Mirrored"] == "true" for request in requests)


def test_serves_a_node_of_go(peers: Peers, tmp_path: Path, content: bytes) -> None:
    [digest] = _layout(tmp_path / "ours", [content])
    go = peers.other("go-libp2p", host=_GO)
    ours = peers.spegel(go.address, tmp_path / "ours")
    found = eventually(lambda: go.find_providers(Content(digest)), "the node of Go finds our content")
    [addresses] = found.values()
    assert addresses == [f"/ip4/{Spegel.host}/tcp/5001"]
    answer = get(ours.host, f"/v2/lab/app/blobs/{digest}?ns=registry.lab", {"X-Spegel-Mirrored": "true"})
    assert (answer.status, answer.body == content) == (200, True)
    assert answer.headers["OCI-Namespace"] == "registry.lab"
    assert answer.headers["Docker-Content-Digest"] == digest
