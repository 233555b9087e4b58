"""Nodes get from each other what one of them has, and from the source registry what none has."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness import registry
from harness.containerd import PullFailed
from harness.images import DOCKER, FOREIGN, NATIVE, Image
from harness.lab import Lab
from harness.node import CLIENTS, Node
from harness.process import eventually
from harness.spegel import MIRRORED, blob_path, manifest_path


@pytest.mark.every_containerd
@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("client", CLIENTS)
def test_image_is_shared_without_source_registry(lab: Lab, nodes: list[Node], client: str, by: str):
    one, two, three = nodes
    image = lab.push("lab/app", index=True)
    total = image.size + image.manifest().total_bytes
    lab.share(image, [one], client)
    asked = {request.path.split("/")[-1] for request in lab.registry.requests(one.host)}
    assert image.digests() <= asked, "node 1 had only the upstream registry"
    eventually(lambda: one.source_bytes() == total, "node 1 has counted what came from there")

    # A mirror that has the image is asked first, and the source registry not at all.
    two.pull(image.name(by), client)
    assert two.holds(image)
    assert not lab.registry.requests(two.host)
    assert two.source_bytes() == 0

    lab.registry.stop()
    sent = sum(node.host.sent_bytes() for node in (one, two))
    pull = three.pull(image.name(by), client)
    assert three.holds(image)
    assert pull.received_bytes > total
    assert sum(node.host.sent_bytes() for node in (one, two)) - sent > total
    assert pull.received_bytes < 1.25 * total + 200_000, "no content is transferred twice"


@pytest.mark.parametrize("index", [False, True], ids=["manifest", "manifest-list"])
def test_image_with_media_types_of_docker(lab: Lab, nodes: list[Node], index: bool):
    one, two, _ = nodes
    image = lab.push("lab/docker", media_types=DOCKER, index=index)
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


@pytest.mark.every_containerd
@pytest.mark.parametrize("path", [None, "/nonexistent/content"], ids=["not-given", "absent"])
def test_content_is_served_without_its_folder(lab: Lab, spegel_binary: Path, path: str | None):
    """As where the folder is not mounted: content is read over gRPC."""
    one, two = nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"containerd-content-path": path})
    image = lab.push("lab/app", index=True, layer_sizes=(6_000_000, 20_000))
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag, "cri")
    assert two.holds(image)


def test_content_held_at_start_is_shared(lab: Lab, spegel_binary: Path):
    """What a containerd held before its Spegel started, pulled with no mirror at all, is advertised."""
    one, two = nodes = lab.add_nodes(2)
    image = lab.push("lab/app", index=True)
    one.pull(image.by_tag)
    lab.add_spegels(nodes, spegel_binary)
    lab.wait_until_seen(image)
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


def test_two_images_with_the_same_layers_share_them(lab: Lab, nodes: list[Node]):
    """Only what no peer has comes from the source registry: the rest is found by digest."""
    one, two, _ = nodes
    first = lab.push("lab/app", tag="1")
    second = lab.push("lab/app", tag="2", layers_of=first, layer_sizes=(400_000,))
    lab.share(first, [one])
    two.pull(second.by_tag)
    assert two.holds(second)
    asked = {request.path.split("/")[-1] for request in lab.registry.requests(two.host)}
    common = set(first.manifest().layers)
    assert common and not common & asked
    assert set(second.manifest().layers) - common <= asked


@pytest.mark.every_containerd
def test_index_with_one_platform_present(lab: Lab, nodes: list[Node]):
    one, two, three = nodes
    image = lab.push("lab/multi", architectures=(NATIVE, FOREIGN))
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image, NATIVE)
    assert not two.holds(image, FOREIGN)

    start = time.monotonic()
    with pytest.raises(PullFailed):
        three.pull(image.by_tag, architecture=FOREIGN)
    assert time.monotonic() - start < 5

    lab.registry.start()
    three.pull(image.by_tag, architecture=FOREIGN)
    assert three.holds(image, FOREIGN)
    asked = {request.path.split("/")[-1] for request in lab.registry.requests(three.host)}
    # ctr 2.1 fetches the manifests and configurations of all platforms, so node 1 may have had those.
    assert set(image.manifest(FOREIGN).layers) <= asked
    assert image.digest not in asked, "the index was with the peers"


@pytest.mark.parametrize("client", CLIENTS)
def test_image_that_no_node_has(lab: Lab, nodes: list[Node], client: str):
    node = nodes[1]
    image = lab.push("lab/app", index=True)
    lab.registry.stop()
    start = time.monotonic()
    with pytest.raises(PullFailed, match="refused"):
        node.pull(image.by_tag, client)
    assert time.monotonic() - start < 4
    answer = node.spegel.request("GET", manifest_path(image.repository, image.tag))
    assert answer.status == 404
    assert b"MANIFEST_UNKNOWN" in answer.body

    lab.registry.start()
    node.pull(image.by_tag, client)
    assert node.holds(image)
    assert lab.registry.requests(node.host)


def test_image_deleted_on_its_holder(lab: Lab, nodes: list[Node]):
    one, two, three = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    one.containerd.remove_all_images()

    # At once, while the network may still believe that node 1 has it.
    two.pull(image.by_tag)
    assert two.holds(image)
    asked = {request.path.split("/")[-1] for request in lab.registry.requests(two.host)}
    assert set(image.manifest().blobs) <= asked

    assert not one.containerd.content()
    eventually(lambda: _answers_nothing(one, image), "node 1 answers 404 for what it held")
    # Node 2 holds it now: the record of node 1 must not stand in the way.
    eventually(lambda: two.serves(image), "Spegel on node2 serves the image")
    eventually(lambda: three.sees(image), "Spegel on node3 finds the image")
    lab.registry.stop()
    three.pull(image.by_tag)
    assert three.holds(image)


def _answers_nothing(node: Node, image: Image) -> bool:
    paths = [manifest_path(image.repository, image.tag)]
    paths += [manifest_path(image.repository, digest) for digest in image.manifest_digests()]
    paths += [blob_path(image.repository, digest) for digest in image.manifest().blobs]
    return all(node.spegel.request("HEAD", path, MIRRORED).status == 404 for path in paths)


def test_tag_needs_its_registry(lab: Lab, nodes: list[Node]):
    """A tag is a name at one registry: without `ns`, or with another one, there is no such image."""
    one, two, _ = nodes
    image = lab.push("lab/app")
    lab.share(image, [one])
    path = f"/v2/{image.repository}/manifests/{image.tag}"
    assert two.spegel.request("HEAD", f"{path}?ns={registry.NAME}").status == 200
    assert two.spegel.request("HEAD", f"{path}?ns=other.lab").status == 404
    assert two.spegel.request("HEAD", path).status in (400, 404)
