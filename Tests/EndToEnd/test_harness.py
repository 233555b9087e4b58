"""The lab itself, without a Spegel: the assumptions of the other tests."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.containerd import PullFailed
from harness.images import FOREIGN, NATIVE, build
from harness.lab import Lab
from harness.node import CLIENTS
from harness.process import run


@pytest.mark.every_containerd
@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("client", CLIENTS)
def test_node_pulls_from_source_registry(lab: Lab, client: str, by: str):
    [node, other] = lab.add_nodes(2)
    image = lab.push("lab/app", index=True)
    pull = node.pull(image.name(by), client)
    assert node.holds(image)
    requests = lab.registry.requests(node.host)
    assert all(any(request.path.endswith(digest) for request in requests) for digest in image.digests())
    total = image.size + image.manifest().total_bytes
    assert sum(request.size for request in requests if request.method == "GET") == total
    assert pull.received_bytes > total
    assert not lab.registry.requests(other.host)
    assert not other.containerd.content()


@pytest.mark.every_containerd
@pytest.mark.parametrize("client", CLIENTS)
def test_pull_fails_fast_while_registry_is_stopped(lab: Lab, client: str):
    [node] = lab.add_nodes(1)
    image = lab.push("lab/app")
    lab.registry.stop()
    start = time.monotonic()
    with pytest.raises(PullFailed, match="refused"):
        node.pull(image.by_tag, client)
    assert time.monotonic() - start < 5
    lab.registry.start()
    node.pull(image.by_tag, client)
    assert node.holds(image)


def test_node_holds_only_the_platform_it_pulled(lab: Lab):
    [node] = lab.add_nodes(1)
    image = lab.push("lab/multi", architectures=(NATIVE, FOREIGN))
    node.pull(image.by_tag)
    assert node.holds(image, NATIVE)
    assert not node.holds(image, FOREIGN)
    node.pull(image.by_tag, architecture=FOREIGN)
    assert node.holds(image, FOREIGN)


def test_removed_images_leave_no_content(lab: Lab):
    [node] = lab.add_nodes(1)
    image = lab.push("lab/app")
    node.pull(image.by_tag, "cri")
    assert node.holds(image)
    node.containerd.remove_all_images()
    assert not node.containerd.names()
    assert not node.containerd.content()


def test_shaped_link_bounds_a_pull(lab: Lab):
    [node] = lab.add_nodes(1)
    image = lab.push("lab/big", layer_sizes=(10_000_000,))
    node.host.shape(100)
    pull = node.pull(image.by_tag)
    assert pull.seconds > 0.7, "10 MB take 0.8 s at 100 Mbit/s"


def test_unplugged_host_is_silent(lab: Lab):
    [one, other] = lab.add_nodes(2)
    with pytest.raises(ConnectionRefusedError):
        other.host.connect(one.host.address, 5000)
    one.host.unplug()
    with pytest.raises(TimeoutError):
        other.host.connect(one.host.address, 5000, timeout=1)
    one.host.plug()
    with pytest.raises(ConnectionRefusedError):
        other.host.connect(one.host.address, 5000)


def test_images_are_reproducible(tmp_path: Path):
    first, second = (build(tmp_path / folder, "registry.lab:5000", "lab/app", index=True) for folder in "ab")
    assert first.digests() == second.digests()
    assert first.digest != build(tmp_path / "c", "registry.lab:5000", "lab/other", index=True).digest


def test_lab_removes_everything(lab: Lab):
    nodes = lab.add_nodes(2)
    processes = [node.containerd.process for node in nodes]
    prefix = lab.network.prefix
    assert prefix in run(["ip", "netns", "list"])
    lab.close()
    assert prefix not in run(["ip", "netns", "list"])
    assert not any(process.is_running for process in processes)
    assert not lab.directory.exists()
    assert str(lab.directory) not in Path("/proc/self/mountinfo").read_text()
