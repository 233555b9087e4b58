"""Pods of the chart, run by a containerd's CRI as a kubelet would."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from formation import chart
from formation.kubelet import Kubelet, VolumeFailed
from harness.containerd import Installation
from harness.network import PREFIX, Network
from harness.process import eventually

_ADDRESS = "10.1.0.1"


class Node:
    """A machine with a containerd, and the chart's values for its folders."""

    def __init__(self, directory: Path):
        self.network = Network(directory)
        self.host = self.network.add_host("node1", _ADDRESS)
        self.host.shares_mounts = True
        self.directory = directory
        # One that `make test-e2e` has fetched, of version 2, if there is one.
        second = Path(os.environ.get("CONTAINERD2_DIR", chart.ROOT / ".cache/containerd-2"))
        folder = second if (second / "containerd").exists() else Path(shutil.which("containerd")).parent
        self.installation = Installation(folder / "containerd", folder / "ctr")
        self.kubelet = Kubelet(self.host, directory, self.installation, _ADDRESS)
        containerd = self.kubelet.containerd
        self.configuration = containerd.registry_configuration
        self.documents = chart.render({
            "service": {"registry": {"hostPort": 0}},
            "spegel": {
                "containerdSock": str(containerd.socket), "containerdContentPath": str(containerd.content_path),
                "containerdRegistryConfigPath": str(self.configuration),
                "persistence": {"enabled": True, "hostPath": str(directory / "data")},
            },
        })

    def daemonset(self, name: str) -> dict:
        return chart.find(self.documents, "DaemonSet", name)["spec"]["template"]["spec"]

    def answers(self, path: str, port: int) -> bool:
        """Whether a head is answered with 200."""
        connection = http.client.HTTPConnection(_ADDRESS, port, timeout=5)
        try:
            connection.sock = self.host.connect(_ADDRESS, port)
            connection.request("HEAD", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def close(self) -> None:
        self.kubelet.close()
        self.network.delete()


@pytest.fixture
def node() -> Iterator[Node]:
    if not shutil.which("containerd") or not shutil.which("runc"):
        pytest.fail("not installed: containerd, runc (scripts/install-test-tools installs them)", pytrace=False)
    # The path of a Unix socket has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-"))
    try:
        node = Node(directory)
        try:
            yield node
        finally:
            node.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_node_whose_containerd_has_never_pulled_gets_its_pod(node: Node):
    """A kubelet looks at the volumes before it pulls anything, when the content folder may not exist."""
    spec = node.daemonset("spegel")
    # containerd 1.6 creates it at its start.
    assert node.installation.major < 2 or not node.kubelet.containerd.content_path.exists()
    volumes = node.kubelet.prepare(spec)
    node.kubelet.load(Path(os.environ["SPEGEL_BIN"]))
    pod = node.kubelet.run("spegel", spec, volumes)
    eventually(lambda: node.answers("/readyz", 9090), "the node is ready", timeout=30)
    # It reads what containerd has put into the folder since.
    image = node.kubelet.containerd.content()
    assert image
    eventually(
        lambda: all(node.answers(f"/v2/spegel/blobs/{digest}", 5000) for digest in image), "it serves its own image",
        timeout=30)
    assert (node.configuration / "_default/hosts.toml").exists()
    assert node.kubelet.stop_container(pod, "registry", grace=30) < 15
    assert node.kubelet.status(pod, "registry").exit_code == 0, node.kubelet.output(pod, "registry")


def test_missing_folder_of_the_socket_is_an_error_of_the_kubelet(node: Node):
    """Such a node has no containerd there; a pod would not find one."""
    spec = node.daemonset("spegel")
    for volume in spec["volumes"]:
        if volume["name"] == "containerd-socket":
            volume["hostPath"]["path"] += "/missing"
    with pytest.raises(VolumeFailed, match="hostPath type check failed"):
        node.kubelet.prepare(spec)


def test_pods_of_an_uninstall_end_on_sigterm_as_process_one(node: Node):
    """The kernel ignores SIGTERM for process 1 without a handler, and the kubelet then waits for the time of grace."""
    node.kubelet.load(Path(os.environ["SPEGEL_BIN"]))
    running = []
    for name, spec in (
        ("spegel-cleanup", node.daemonset("spegel-cleanup")),
        # It finds no API server, and so waits until its own time is over.
        ("spegel-cleanup-wait", chart.find(node.documents, "Pod", "spegel-cleanup-wait")["spec"]),
    ):
        pod = node.kubelet.run(name, spec, node.kubelet.prepare(spec))
        running.append((pod, spec["containers"][0]["name"]))
    eventually(lambda: node.answers("/healthz", 8080), "the cleanup reports that it is done", timeout=20)
    for pod, container in running:
        assert node.kubelet.is_running(pod, container), node.kubelet.output(pod, container)
        assert node.kubelet.stop_container(pod, container, grace=30) < 10
        assert node.kubelet.status(pod, container).exit_code != 137, "it was killed after the time of grace"
