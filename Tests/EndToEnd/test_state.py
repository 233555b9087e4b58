"""A node follows its containerd's content, shares what its settings allow, and reports obstacles to sharing."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

import pytest

from harness import images, registry
from harness.containerd import Settings
from harness.images import Image
from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, MIRRORED, blob_path, manifest_path


def _status(node: Node, path: str, headers: dict[str, str] = {}) -> int:
    return node.spegel.request("HEAD", path, headers).status


def _blobs(image: Image) -> list[str]:
    return [blob_path(image.repository, digest) for digest in image.manifest().blobs]


def _metric(node: Node, name: str, label: str = "") -> float:
    page = node.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
    prefix = f"{name}{{{label}}} " if label else f"{name} "
    [value] = [line[len(prefix):] for line in page.splitlines() if line.startswith(prefix)]
    return float(value)


def _advertised_keys(node: Node) -> int:
    return json.loads(node.spegel.request("GET", "/debug/api/status", port=METRICS_PORT).body)["store"]["advertisedKeys"]


def _warnings(node: Node) -> list[str]:
    lines = node.spegel.log.read_text().splitlines()
    return [line for line in lines if " warning " in line or " error " in line]


@pytest.mark.every_containerd
def test_imported_image_is_shared(lab: Lab, nodes: list[Node]):
    """As on air-gapped nodes and with k3s: the content has no source registry."""
    one, two, three = nodes
    image = images.build(lab.directory, registry.NAME, "lab/imported", index=True)
    archive = lab.directory / "imported.tar"
    with tarfile.open(archive, "w") as output:
        output.add(image.folder, arcname="")
    one.containerd.import_image(archive, f"{registry.NAME}/{image.repository}")
    lab.wait_until_seen(image)
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)
    three.pull(image.name("digest"), "cri")
    assert three.holds(image)


@pytest.mark.every_containerd
@pytest.mark.parametrize("client", ["ctr", "cri"])
def test_blob_is_shared_as_soon_as_it_is_committed(lab: Lab, nodes: list[Node], client: str):
    """With containerd 2.x during the pull; with older ones, which send no event, with the image."""
    one, two, _ = nodes
    image = lab.push("lab/growing", layer_sizes=(20_000, 12_000_000))
    sizes = image.manifest().blobs
    small, large = sorted(image.manifest().layers, key=sizes.get)
    lab.registry.host.shape(20)
    pull = one.in_background(lambda: one.pull(image.by_tag, client))
    if lab.installation.major >= 2:
        path = blob_path(image.repository, small)
        eventually(lambda: _status(two, path) == 200, "node 2 finds the first layer", timeout=10)
        assert not pull.done(), "the pull ended before its first layer was found"
        assert _status(two, blob_path(image.repository, large)) == 404
    pull.result()
    lab.wait_until_seen(image)


@pytest.mark.every_containerd
@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_content_from_before_the_start_is_hashed_when_idle(lab: Lab, spegel_binary: Path, is_on: bool):
    """Before any reader: then its first one need not have it hashed. What is committed later is known already."""
    [node] = lab.add_nodes(1)
    before = lab.push("lab/before", layer_sizes=(6_000_000, 2_000_000, 1000))
    node.pull(before.by_tag)
    lab.add_spegels([node], spegel_binary, {"idle-checks": str(is_on).lower()})
    if not is_on:
        time.sleep(10)
        assert _metric(node, "spegel_store_checks_total", 'outcome="sound"') == 0
        return
    eventually(
        lambda: _metric(node, "spegel_store_checks_total", 'outcome="sound"') == 2, "both layers are hashed", timeout=30)
    assert _metric(node, "spegel_store_unchecked_bytes") == 0
    later = lab.push("lab/later", layer_sizes=(3_000_000,))
    node.pull(later.by_tag)
    eventually(lambda: node.serves(later), "the node serves what came later")
    time.sleep(8)
    assert _metric(node, "spegel_store_checks_total", 'outcome="sound"') == 2


def test_withholds_other_registries(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.prepare_spegels(nodes, spegel_binary, {"mirrored-registries": "https://docker.io"})
    for node in nodes:
        node.spegel.start()
    for node in nodes:
        node.spegel.wait_until_ready()
    image = lab.push("lab/foreign", layer_sizes=(20_000, 3_000_000))
    lab.registry.host.shape(20)
    pull = one.in_background(lambda: one.pull(image.by_tag, "cri"))
    # Without `ns` the registry is unknown, so only node 1's advertising decides.
    paths = [path.partition("?")[0] for path in _blobs(image)]
    last = None
    while last is None or time.monotonic() < last + 4:
        assert all(_status(two, path) == 404 for path in paths)
        if last is None and pull.done():
            last = time.monotonic()
    pull.result()
    assert one.holds(image)
    assert _status(one, manifest_path(image.repository, image.tag)) == 404
    assert _status(one, _blobs(image)[0]) == 404


def test_withholds_filtered_tags(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"registry-filters": ":hidden$,^absent/[a-z]{2,3}/"})
    shown, hidden = lab.push("lab/app", tag="shown"), lab.push("lab/app", tag="hidden")
    lab.share(shown, [one])
    one.pull(hidden.by_tag, "cri")
    # By digest it is shared, because it has no tag then.
    path = manifest_path(hidden.repository, hidden.digest)
    eventually(lambda: _status(two, path) == 200, "node 2 finds the hidden image by digest")
    for node in nodes:
        assert _status(node, manifest_path(hidden.repository, hidden.tag)) == 404
        assert _status(node, manifest_path(shown.repository, shown.tag)) == 200


@pytest.mark.every_containerd
def test_withholds_content_of_filtered_images_by_its_digest(lab: Lab, spegel_binary: Path):
    """However a request names it: a client may know the digest, and claim any image or none."""
    one, two = nodes = lab.add_nodes(2)
    secret, shown = lab.push("secret/db"), lab.push("lab/app")
    lab.add_spegels(nodes, spegel_binary, {"registry-filters": f"^{registry.NAME}/secret/"})
    one.pull(secret.by_tag, "cri")
    lab.share(shown, [one])
    withheld = set(secret.digests()) - set(shown.digests())
    assert withheld
    for digest in withheld:
        for kind in ("manifests", "blobs"):
            for repository in (secret.repository, shown.repository):
                for query in ("", f"?ns={registry.NAME}", "?ns=docker.io"):
                    for headers in ({}, MIRRORED):
                        path = f"/v2/{repository}/{kind}/{digest}{query}"
                        statuses = [_status(node, path, headers) for node in nodes]
                        assert statuses == [404, 404], f"{path} {headers}"
    # What a shared image refers to as well is shared.
    again = f"{registry.NAME}/lab/copy:1"
    one.containerd.tag(secret.by_tag, again)
    for digest in secret.manifest().blobs:
        eventually(lambda: _status(two, blob_path("lab/copy", digest)) == 200, "node 2 finds the copy's blobs")


def test_shares_digests_without_tags(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"resolve-tags": "false"})
    image = lab.push("lab/app")
    one.pull(image.by_tag)
    path = manifest_path(image.repository, image.digest)
    eventually(lambda: _status(two, path) == 200, "node 2 finds the image by digest")
    for node in nodes:
        assert _status(node, manifest_path(image.repository, image.tag)) == 404


@pytest.mark.every_containerd
def test_collected_content_is_withdrawn(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image, other = lab.push("lab/app"), lab.push("lab/other")
    lab.share(image, [one])
    lab.share(other, [one])
    one.containerd.remove_all_images()
    paths = [manifest_path(image.repository, image.tag), *_blobs(image), *_blobs(other)]
    eventually(lambda: all(_status(two, path) == 404 for path in paths), "node 2 no longer finds the image", timeout=10)
    # It is also no longer advertised, although the collection sends no event.
    eventually(lambda: _advertised_keys(one) == 0, "node 1 advertises nothing", timeout=10)


@pytest.mark.every_containerd
def test_node_starts_without_containerd(lab: Lab, spegel_binary: Path):
    """Its content is shared from the folder, and the rest when containerd is available."""
    one, two = nodes = lab.add_nodes(2)
    image = lab.push("lab/app")
    one.pull(image.by_tag)
    one.containerd.process.kill()
    # Without a filter of registries. With one, content of unknown origin is not advertised.
    lab.prepare_spegels(nodes, spegel_binary, {"mirrored-registries": None})
    for node in nodes:
        node.spegel.start()
    two.spegel.wait_until_ready()
    for path in _blobs(image):
        eventually(lambda: _status(two, path) == 200, "node 2 gets the blobs of node 1", timeout=15)
    time.sleep(3)
    assert one.spegel.process.is_running
    assert len(_warnings(one)) == 1 and "content store" in _warnings(one)[0], _warnings(one)
    answer = one.spegel.request("GET", "/readyz")
    assert answer.status == 503 and b"containerd" in answer.body

    one.containerd.start()
    one.containerd.wait_until_ready()
    one.spegel.wait_until_ready()
    eventually(lambda: two.sees(image), "node 2 finds the image of node 1", timeout=15)
    assert len(_warnings(one)) == 1, _warnings(one)


@pytest.mark.every_containerd
def test_containerd_is_down_for_a_while(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    first, second = lab.push("lab/app", tag="1"), lab.push("lab/app", tag="2")
    lab.share(first, [one])
    one.containerd.process.stop()
    for _ in range(15):
        time.sleep(1)
        assert one.spegel.process.is_running
        assert all(_status(two, path) == 200 for path in _blobs(first))
    assert len(_warnings(one)) == 1, _warnings(one)
    one.containerd.start()
    one.containerd.wait_until_ready()
    one.pull(second.by_tag)
    # The maximum delay between two retries is 10 s.
    eventually(lambda: one.serves(second), "Spegel on node1 serves the new image", timeout=20)
    lab.wait_until_seen(second)
    assert len(_warnings(one)) == 1, _warnings(one)


def _restart(node: Node, settings: Settings) -> None:
    node.containerd.process.stop()
    node.containerd.configure(settings)
    node.containerd.start()
    node.containerd.wait_until_ready()


@pytest.mark.every_containerd
def test_warns_once_about_containerd_that_is_not_set_up(lab: Lab, spegel_binary: Path):
    [node] = lab.add_nodes(1)
    _restart(node, Settings(config_path=False, discard_unpacked_layers=True))
    lab.prepare_spegels([node], spegel_binary)
    node.spegel.start()
    warning = eventually(lambda: _warnings(node), "a warning", timeout=15)
    time.sleep(1)
    assert len(_warnings(node)) == 1, _warnings(node)
    table = "io.containerd.grpc.v1.cri" if lab.installation.major < 2 else "io.containerd.cri.v1.images"
    discard = f'"{table}".containerd' if lab.installation.major < 2 else f'"{table}"'
    config_path = node.containerd.registry_configuration
    assert f'[plugins."{table}".registry] config_path = "{config_path}"' in warning[0]
    assert f"[plugins.{discard}] discard_unpacked_layers = false" in warning[0]
    assert node.spegel.process.is_running
    node.spegel.process.stop()

    code, output = node.spegel.run_to_failure({"strict": "true", "log-level": "error"}, timeout=30)
    assert code == 1, output
    assert warning[0].partition("containerd is not set up")[2] in output
    # With a correct set-up there is no warning.
    _restart(node, Settings())
    node.spegel.log.write_text("")
    node.spegel.options["strict"] = "true"
    node.spegel.start()
    node.spegel.wait_until_ready()
    time.sleep(2)
    assert not _warnings(node)


@pytest.mark.every_containerd
def test_warns_about_foreign_content_folder(lab: Lab, spegel_binary: Path):
    one, two = lab.add_nodes(2)
    for node in (one, two):
        node.pull(lab.push(f"lab/{node.name}").by_tag)
    lab.prepare_spegels([one], spegel_binary, {"containerd-content-path": str(two.containerd.content_path)})
    one.spegel.start()
    warning = eventually(lambda: _warnings(one), "a warning", timeout=15)
    assert str(two.containerd.content_path) in warning[0]
    assert f"containerd's own path is {one.containerd.content_path}" in warning[0]


def test_containerd_without_kubernetes_is_fine(lab: Lab, spegel_binary: Path):
    [node] = lab.add_nodes(1)
    _restart(node, Settings(cri=False, config_path=False))
    lab.prepare_spegels([node], spegel_binary, {"strict": "true"})
    node.spegel.start()
    node.spegel.wait_until_ready()
    time.sleep(2)
    assert node.spegel.process.is_running
    assert not _warnings(node)


def test_error_names_invalid_filter(lab: Lab, spegel_binary: Path):
    [node] = lab.add_nodes(1)
    lab.prepare_spegels([node], spegel_binary)
    code, output = node.spegel.run_to_failure({"registry-filters": "^docker.io/(a"}, timeout=15)
    assert code == 64, output
    assert "^docker.io/(a" in output and len(output.splitlines()) == 1


def test_content_folder_vanishes_and_returns(lab: Lab, spegel_binary: Path):
    """The node reads through containerd's socket meanwhile, and says so."""
    [node] = lab.add_nodes(1)
    lab.prepare_spegels([node], spegel_binary)
    link = node.directory / "content"
    link.symlink_to(node.directory / "later")
    node.spegel.options["containerd-content-path"] = str(link)
    node.spegel.start()
    # containerd has never pulled: its folder is not there yet.
    node.spegel.wait_until_ready()

    def readiness() -> str:
        answer = node.spegel.request("GET", "/readyz")
        assert answer.status == 200, answer
        return answer.body.decode()

    def point_to(target: Path) -> None:
        (node.directory / "next").symlink_to(target)
        (node.directory / "next").rename(link)

    image = lab.push("lab/app")
    node.pull(image.by_tag)
    point_to(node.containerd.content_path)
    eventually(lambda: node.serves(image) and "socket" not in readiness(), "it reads files", timeout=30)
    point_to(node.directory / "nowhere")
    eventually(lambda: "reading content through containerd's socket" in readiness(), "it says so", timeout=30)
    assert node.serves(image)
    point_to(node.containerd.content_path)
    eventually(lambda: "socket" not in readiness(), "the folder is used again", timeout=30)
    log = node.spegel.log.read_text()
    assert "content folder unusable" in log and "content folder usable again" in log
