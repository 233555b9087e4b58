"""Beside nodes of Spegel in Go: a stand-in behaves as they do on the wire.

It says nothing about checks, and answers 404 to a request without `ns`.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import registry
from harness.gonode import GoNode
from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, REGISTRY_PORT, ROUTER_PORT, blob_path, manifest_path

#: Above 8 MiB, where nodes that can check are asked to.
_LARGE = 20_000_000
_MEGABITS_PER_SECOND = 100


class Mixed:
    """A puller, a holder of this project if there is one, and a holder with the registry of Go."""

    def __init__(self, lab: Lab, binary: Path, others: int):
        self.lab = lab
        nodes = lab.add_nodes(2 + others)
        self.puller, *self.others, go = nodes
        lab.prepare_spegels(nodes, binary)
        self.go = GoNode(go)
        # Its containerd asks the upstream registry alone, as the stand-in fetches nothing.
        for node in nodes:
            if node is not go:
                lab.start_spegels([node])
        go.spegel.start()
        self.image = lab.push("lab/app", layer_sizes=(_LARGE, 300_000))
        go.pull(self.image.by_tag)
        for other in self.others:
            other.pull(self.image.by_tag)
        self.go.name({self.image.by_tag: self.image.digest})
        self.go.start()
        for node in [self.puller, *self.others]:
            eventually(lambda: node.sees(self.image), f"Spegel on {node.name} finds the image", timeout=30)
        lab.registry.stop()

    @property
    def layer(self) -> str:
        return self.image.manifest().layers[0]

    def file(self, node: Node) -> Path:
        return node.containerd.content_path / "blobs" / self.layer.replace(":", "/")

    def holders(self) -> set[str]:
        """The peers that the puller knows to have the layer."""
        path = f"/debug/api/resolve?reference={self.layer}&follow=false"
        [content] = json.loads(self.puller.spegel.request("GET", path, port=METRICS_PORT).body)["contents"]
        return {holder["peer"] for holder in content["holders"]}

    def pull_again(self) -> None:
        """Removes the image with its content, and pulls it anew."""
        self.puller.containerd.remove_all_images()
        self.puller.pull(self.image.by_tag, "cri")


@pytest.fixture
def mixed(request: pytest.FixtureRequest, lab: Lab, spegel_binary: Path) -> Iterator[Mixed]:
    mixed = Mixed(lab, spegel_binary, request.param)
    try:
        yield mixed
    finally:
        mixed.go.close()


@pytest.mark.every_containerd
@pytest.mark.parametrize("mixed", [0], indirect=True, ids=["go-alone"])
def test_repeated_pulls_and_requests_come_from_go(mixed: Mixed):
    """A repeated request makes a node ask for a check. Nodes of Go cannot, so what they send is hashed on the way."""
    mixed.puller.pull(mixed.image.by_tag, "cri")
    for _ in range(3):
        mixed.pull_again()
        assert mixed.puller.holds(mixed.image)
    # The content is gone, so that each of these is fetched.
    mixed.puller.containerd.remove_all_images()
    whole = mixed.file(mixed.go.node).read_bytes()
    path = blob_path(mixed.image.repository, mixed.layer)
    for _ in range(3):
        answer = mixed.puller.spegel.request("GET", path)
        assert (answer.status, answer.body == whole) == (200, True)
        assert answer.headers["Content-Type"] == mixed.image.media_types.layer
        answer = mixed.puller.spegel.request("GET", path, {"Range": "bytes=9000000-"})
        assert (answer.status, answer.body == whole[9_000_000:]) == (206, True)
        assert mixed.puller.spegel.request("HEAD", path).status == 200
    assert mixed.go.requests()[-1]["headers"]["X-Spegel-Mirrored"] == "true"


@pytest.mark.parametrize("mixed", [0], indirect=True, ids=["go-alone"])
def test_request_without_namespace_names_one_to_go(mixed: Mixed):
    """Some clients name no registry, and Go answers 404 then: the node names the registry that it knows."""
    image = mixed.image
    assert mixed.puller.spegel.request("GET", manifest_path(image.repository, image.manifest().digest)).status == 200
    for path in [f"/v2/{image.repository}/blobs/{digest}" for digest in image.manifest().blobs]:
        assert mixed.puller.spegel.request("GET", path).status == 200
    assert all(request["status"] != 404 for request in mixed.go.requests())
    namespaces = [parse_qs(urlsplit(request["path"]).query)["ns"] for request in mixed.go.requests()]
    assert namespaces and all(namespace == [registry.NAME] for namespace in namespaces)


@pytest.mark.parametrize("mixed", [0], indirect=True, ids=["go-alone"])
def test_registry_in_the_path_is_a_namespace_to_go(mixed: Mixed):
    """podman and others name the registry in the path, which Go takes for a part of the repository's name."""
    image = mixed.image
    place = f"/v2/registry.lab_5000/{image.repository}"
    references = [image.tag, *image.manifest_digests()]
    for path in [*(f"{place}/manifests/{reference}" for reference in references),
                 *(f"{place}/blobs/{digest}" for digest in image.manifest().blobs)]:
        assert mixed.puller.spegel.request("GET", path).status == 200
    for request in mixed.go.requests():
        url = urlsplit(request["path"])
        assert url.path.startswith(f"/v2/{image.repository}/") and parse_qs(url.query)["ns"] == [registry.NAME]


@pytest.mark.parametrize("mixed", [0], indirect=True, ids=["go-alone"])
def test_wrong_bytes_of_go_are_never_whole(mixed: Mixed):
    """The first answer may show its fault at the end only; a repeated one is hashed, and its last bytes held back."""
    file = mixed.file(mixed.go.node)
    wrong = bytearray(file.read_bytes())
    wrong[_LARGE // 2] ^= 1
    new = file.with_name("new")
    new.write_bytes(wrong)
    new.rename(file)
    path = blob_path(mixed.image.repository, mixed.layer)
    first = _bytes_of(mixed.puller, path)
    assert len(first) <= len(wrong)
    for _ in range(3):
        assert len(_bytes_of(mixed.puller, path)) < len(wrong)


def _bytes_of(node: Node, path: str) -> bytes:
    """What a client gets, be it cut short."""
    connection = node.host.connect("127.0.0.1", REGISTRY_PORT, timeout=20)
    with connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        try:
            while part := connection.recv(1 << 20):
                answer += part
        except ConnectionResetError:
            pass
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.every_containerd
@pytest.mark.parametrize("asked_before", [False, True], ids=["first-pull", "repeated-pull"])
@pytest.mark.parametrize("victim", ["go", "ours"])
@pytest.mark.parametrize("mixed", [1], indirect=True, ids=["both-hold"])
def test_killed_holder_is_replaced_by_one_of_the_other_kind(mixed: Mixed, victim: str, asked_before: bool):
    """In mid-blob, also when the blob was asked for before: then a holder of Go must not be passed over."""
    [ours] = mixed.others
    go = mixed.go.node
    for host in (ours.host, go.host):
        host.shape(_MEGABITS_PER_SECOND)
    both = {ours.spegel.peer_id(), go.spegel.peer_id()}
    eventually(lambda: mixed.holders() == both, "the puller knows both holders", timeout=20)
    if asked_before:
        mixed.puller.pull(mixed.image.by_tag, "cri")
        mixed.puller.containerd.remove_all_images()
    victim_process, other = (mixed.go.process, ours.spegel.process)
    if victim == "ours":
        victim_process, other = other, victim_process
    # The other one stands still until the victim serves: a node prefers the faster of two.
    other.signal(signal.SIGSTOP)
    before = mixed.puller.host.received_bytes()
    pull = mixed.puller.in_background(lambda: mixed.puller.pull(mixed.image.by_tag, "cri"))
    eventually(
        lambda: pull.done() or mixed.puller.host.received_bytes() - before > _LARGE // 4, "the blob is in transfer",
        timeout=20, interval=0.02)
    other.signal(signal.SIGCONT)
    assert not pull.done() and victim_process.is_running
    mixed.go.kill() if victim == "go" else ours.spegel.process.kill()
    pull.result()
    assert mixed.puller.holds(mixed.image)


def test_bootstrap_over_http_in_both_directions(lab: Lab, spegel_binary: Path):
    """A node of this project reads Go's object, also where the URL lacks `/id`; Go's client gets such an object."""
    ours, go = lab.add_nodes(2)
    lab.prepare_spegels([ours, go], spegel_binary, {"static-bootstrap-peers": None})
    stand_in = GoNode(go)
    try:
        # Its Spegel is the router behind the object, and finds no peer itself.
        go.spegel.options.update({"bootstrap-kind": "http", "http-bootstrap-peer": "http://127.0.0.1:1"})
        go.spegel.start()
        eventually(lambda: (go.spegel.data_directory / "private.key").exists(), "the node has an identity")
        stand_in.start(identity=go.spegel.peer_id())
        ours.spegel.options.update({
            "bootstrap-kind": "http", "http-bootstrap-peer": f"http://{go.host.address}:{REGISTRY_PORT}",
            "http-bootstrap-addr": ":5002"})
        ours.spegel.start()
        for node, port in ((ours, REGISTRY_PORT), (go, METRICS_PORT)):
            eventually(lambda: _is_ready(node, port), f"Spegel on {node.name} is ready", timeout=20)
        eventually(lambda: _peers(ours) == 1 and _peers(go) == 1, "the nodes are connected", timeout=20)
        assert any(request["path"] == "/id" for request in stand_in.requests())

        connection = go.host.connect(ours.host.address, 5002)
        with connection:
            connection.sendall(b"GET /id HTTP/1.1\r\nHost: a\r\nUser-Agent: Go-http-client/1.1\r\n"
                               b"Accept-Encoding: gzip\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := connection.recv(1 << 16):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 200 ", head)
        # v0.7.4 decodes into a structure with these two fields, and fails on an array.
        document = json.loads(body)
        assert document["ID"] == ours.spegel.peer_id()
        assert document["Addrs"] == [f"/ip4/{ours.host.address}/tcp/{ROUTER_PORT}"]
    finally:
        stand_in.close()


def _is_ready(node: Node, port: int) -> bool:
    try:
        return node.spegel.request("GET", "/readyz", port=port).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _peers(node: Node) -> float:
    page = node.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
    [line] = [line for line in page.splitlines() if line.startswith("spegel_peers_connected ")]
    return float(line.split()[1])
