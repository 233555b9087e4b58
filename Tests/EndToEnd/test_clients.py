"""Clients other than containerd pull what containerd nodes hold while the upstream registry is down."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import registry
from harness.clients import TOOLS, ClientFailed, ContainersTools, Docker, clean_up
from harness.images import Image
from harness.lab import Lab
from harness.node import Node
from harness.process import eventually, run
from harness.spegel import METRICS_PORT, Spegel

_HUB = "docker.io/library/app:1"


def _configure(binary: Path, tools: ContainersTools, *flags: str) -> str:
    return run([
        binary, "configuration", "--format=registries.conf", f"--registries-conf-dir={tools.drop_ins}",
        f"--mirrored-registries={registry.URL}", "https://docker.io", "--mirror-targets=http://127.0.0.1:5000", *flags])


@pytest.fixture
def lab_with_holder(spegel_binary: Path, lab: Lab) -> Iterator[tuple[Lab, Image]]:
    """A node that holds an image, also as one of Docker Hub, and one where clients pull. The registry is down."""
    nodes = lab.add_nodes(2)
    lab.add_spegels(
        nodes, spegel_binary, {"mirrored-registries": f"{registry.URL},https://docker.io", "default-registry": "docker.io"})
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    nodes[0].containerd.tag(image.by_tag, _HUB)
    eventually(lambda: _status(nodes[1].spegel, f"/v2/library/app/manifests/1?ns=docker.io") == 200, "the tag is found")
    lab.registry.stop()
    yield lab, image


def _status(spegel: Spegel, path: str, method: str = "HEAD") -> int:
    return spegel.request(method, path).status


@pytest.mark.parametrize("tool", TOOLS)
def test_containers_tools(spegel_binary: Path, lab_with_holder: tuple[Lab, Image], tmp_path: Path, tool: str):
    lab, image = lab_with_holder
    tools = ContainersTools(lab.nodes[1].host, tmp_path)
    name = image.by_tag
    with pytest.raises(ClientFailed):
        tools.pull(tool, name)
    _configure(spegel_binary, tools)
    before = lab.nodes[1].host.received_bytes()
    digests = {image.digest, *image.manifest_digests()}
    assert tools.pull(tool, name) in digests
    assert lab.nodes[1].host.received_bytes() - before > image.manifest().total_bytes
    # By digest, and as an image of Docker Hub by its short name.
    assert tools.pull(tool, f"{registry.NAME}/{image.repository}@{image.digest}") in digests
    assert tools.pull(tool, "docker.io/app:1") in digests


def test_fresh_tags_of_containers_tools(spegel_binary: Path, lab: Lab, tmp_path: Path):
    nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary)
    old = lab.push("team/app")
    lab.share(old, nodes[:1])
    old.folder.rename(old.folder.with_name("old"))
    new = lab.push("team/app", layer_sizes=(700_000, 20_000))
    tools = ContainersTools(nodes[1].host, tmp_path)
    _configure(spegel_binary, tools)
    assert tools.pull("skopeo", new.by_tag) == old.digest
    _configure(spegel_binary, tools, "--tags=fresh")
    assert tools.pull("skopeo", new.by_tag) == new.digest
    # A digest comes from the mirror, and a tag too in an outage.
    lab.registry.stop()
    assert tools.pull("skopeo", f"{registry.NAME}/{old.repository}@{old.digest}") == old.digest
    assert tools.pull("skopeo", new.by_tag) == old.digest


def test_containers_tools_need_all_of_an_image(spegel_binary: Path, lab: Lab, tmp_path: Path):
    """Unlike containerd, they do not go to the registry for a layer that no node has; docs/distributions.md says so."""
    nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary)
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    layer = image.manifest().layers[0]
    run(nodes[0].containerd.ctr("content", "rm", layer))
    path = f"/v2/{image.repository}/blobs/{layer}?ns={registry.NAME}"
    eventually(lambda: _status(nodes[1].spegel, path) == 404, "the layer is withdrawn")
    tools = ContainersTools(nodes[1].host, tmp_path)
    _configure(spegel_binary, tools)
    with pytest.raises(ClientFailed, match=layer):
        tools.pull("skopeo", image.by_tag)
    nodes[1].pull(image.by_tag)


def test_clean_up_gives_the_configuration_back(spegel_binary: Path, lab_with_holder: tuple[Lab, Image], tmp_path: Path):
    lab, image = lab_with_holder
    tools = ContainersTools(lab.nodes[1].host, tmp_path)
    (tools.etc / "registries.conf").write_text('unqualified-search-registries = ["registry.lab:5000"]\n')
    _configure(spegel_binary, tools)
    check = [spegel_binary, "configuration", "--check", "--format=registries.conf",
             f"--registries-conf-dir={tools.drop_ins}"]
    node = lab.nodes[1].host
    done = subprocess.run(node.command(check), capture_output=True, text=True, timeout=30)
    assert "mirrors for registry.lab:5000, docker.io" in done.stdout and "http://127.0.0.1:5000 answers" in done.stdout
    assert done.returncode == 0, done.stdout
    # The entry for short names stays in force.
    assert tools.pull("skopeo", image.by_tag) == image.digest
    clean_up(spegel_binary, tmp_path / "none", f"--registries-conf-dir={tools.drop_ins}")
    assert [path.name for path in tools.drop_ins.iterdir()] == []
    done = subprocess.run(node.command(check), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "zz-spegel.conf" in done.stdout


def test_docker_asks_its_mirror_without_a_registry(lab_with_holder: tuple[Lab, Image], tmp_path: Path):
    lab, image = lab_with_holder
    node = lab.nodes[1]
    docker = Docker(
        lab.installation, node.host, tmp_path / "docker",
        settings={"registry-mirrors": ["http://127.0.0.1:5000"], "storage-driver": "vfs"})
    try:
        docker.run("pull", "--quiet", "app:1")
        [found] = json.loads(docker.run("image", "inspect", "app:1"))
        assert any(digest.endswith(image.digest) for digest in found["RepoDigests"])
        docker.run("image", "rm", "app:1")
        docker.run("pull", "--quiet", f"app@{image.digest}")
        # BuildKit in dockerd, which sends the registry as well.
        (tmp_path / "Dockerfile").write_text(f"FROM app:1\nLABEL built=yes\n")
        docker.run("build", "--quiet", "--tag=built", tmp_path, env={"DOCKER_BUILDKIT": "1"})
        # Another registry is never asked for at the mirror.
        with pytest.raises(ClientFailed):
            docker.run("pull", "--quiet", image.by_tag)
    finally:
        docker.close()


def test_metrics_have_bounded_labels(lab_with_holder: tuple[Lab, Image]):
    lab, image = lab_with_holder
    spegel = lab.nodes[1].spegel
    for number in range(50):
        _status(spegel, f"/v2/registry{number}.example/app/blobs/{image.digest}", "GET")
    assert _status(spegel, f"/v2/registry.lab_5000/{image.repository}/manifests/{image.tag}", "GET") == 200
    page = spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
    names = {line.split('registry="')[1].split('"')[0] for line in page.splitlines() if 'registry="' in line}
    assert registry.NAME in names and len(names) < 6


@pytest.mark.every_containerd(with_1_7=True)
def test_docker_with_images_in_containerd_is_a_source(spegel_binary: Path, lab: Lab, tmp_path: Path):
    """dockerd keeps images in containerd's namespace `moby` when its feature containerd-snapshotter is on."""
    programs = os.environ.get("DOCKER_DIR")
    if not programs:
        pytest.skip("expected a folder with docker and dockerd 23 or later in DOCKER_DIR, found none")
    nodes = lab.add_nodes(2)
    image = lab.push("team/app")
    docker = Docker(
        lab.installation, nodes[0].host, tmp_path / "docker", programs=Path(programs),
        settings={"features": {"containerd-snapshotter": True}, "insecure-registries": [registry.NAME]})
    try:
        lab.prepare_spegels(nodes, spegel_binary)
        nodes[0].spegel.options.update({
            "containerd-sock": str(docker.containerd_socket), "containerd-namespace": "moby",
            "containerd-content-path": str(docker.content_path)})
        lab.start_spegels(nodes)
        docker.run("pull", "--quiet", image.by_tag)
        eventually(lambda: nodes[1].sees(image), "the image in Docker is found")
        lab.registry.stop()
        assert nodes[1].pull(image.by_tag).received_bytes > image.manifest().total_bytes
        # What Docker removes is withdrawn.
        docker.run("image", "rm", image.by_tag)
        path = f"/v2/{image.repository}/manifests/{image.tag}?ns={registry.NAME}"
        eventually(
            lambda: nodes[0].spegel.request("HEAD", path, {"X-Spegel-Mirrored": "true"}).status == 404,
            "the tag is withdrawn")
    finally:
        docker.close()


@pytest.mark.parametrize("containerd_store", [False, True], ids=["graph drivers", "images in containerd"])
def test_docker_asks_with_either_store(lab_with_holder: tuple[Lab, Image], tmp_path: Path, containerd_store: bool):
    """With its images in containerd, a newer dockerd names the registry in the query, otherwise it names none."""
    programs = os.environ.get("DOCKER_DIR")
    if not programs:
        pytest.skip("expected a folder with docker and dockerd 23 or later in DOCKER_DIR, found none")
    lab, image = lab_with_holder
    settings = {"features": {"containerd-snapshotter": True}} if containerd_store else {"storage-driver": "vfs"}
    docker = Docker(
        lab.installation, lab.nodes[1].host, tmp_path / "docker", programs=Path(programs),
        settings={"registry-mirrors": ["http://127.0.0.1:5000"], **settings})
    try:
        docker.run("pull", "--quiet", "app:1")
        [found] = json.loads(docker.run("image", "inspect", "app:1"))
        assert any(digest.endswith(image.digest) for digest in found["RepoDigests"])
    finally:
        docker.close()
