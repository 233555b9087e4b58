"""What pods see of a node by its host port, with and without masquerading, as network plugins differ.

A node of Kubernetes is a host here, which routes for its pods: namespaces of their own behind it. Spegel runs in one pod;
the host port is a translation of the destination, as the CNI plugin `portmap` makes it.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.network import Host, Namespace
from harness.process import eventually, run
from harness.spegel import METRICS_PORT, REGISTRY_PORT, blob_path

HOST_PORT = 30020


class Pod:
    """A namespace behind a node, with an address of the node's pod network."""

    def __init__(self, node: Host, name: str, address: str, gateway: str):
        self.address = address
        self.namespace = Namespace(f"{node.namespace.name}-{name}")
        inside = self.namespace
        inside.ip("link", "set", "lo", "up")
        inside.ip("link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", node.namespace.name)
        inside.ip("address", "add", f"{address}/24", "dev", "eth0")
        inside.ip("link", "set", "eth0", "up")
        node.namespace.ip("link", "set", name, "up", "master", "cni0")
        inside.ip("route", "add", "default", "via", gateway)

    def status(self, address: str, port: int, path: str) -> int:
        """The status of a request from this pod; 0 without an answer."""
        done = subprocess.run([
            "nsenter", f"--net={self.namespace.path}", "curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}",
            f"http://{address}:{port}{path}"], capture_output=True, text=True, timeout=20)
        return int(done.stdout)


class PodNetwork:
    """The pod network of a node: a bridge with pods, and a host port that leads to one of them."""

    def __init__(self, host: Host, number: int):
        self.host = host
        self.prefix = f"10.77.{number}"
        self.gateway = f"{self.prefix}.1"
        self.pods: list[Pod] = []
        inside = host.namespace
        inside.ip("link", "add", "cni0", "type", "bridge")
        inside.ip("address", "add", f"{self.gateway}/24", "dev", "cni0")
        inside.ip("link", "set", "cni0", "up")
        self._run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.route_localnet=1")

    def add_pod(self, name: str) -> Pod:
        pod = Pod(self.host, name, f"{self.prefix}.{len(self.pods) + 2}", self.gateway)
        self.pods.append(pod)
        return pod

    def forward(self, pod: Pod, port: int) -> None:
        """The host port, for clients elsewhere and on the node itself."""
        for chain in ("PREROUTING", "OUTPUT"):
            self._iptables("-A", chain, "-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "--dport", str(HOST_PORT),
                           "-j", "DNAT", "--to-destination", f"{pod.address}:{port}")

    def masquerade(self) -> None:
        """Hides pods behind the node: those of the node at its host port, and what leaves the pod network."""
        self._iptables("-A", "POSTROUTING", "-s", f"{self.prefix}.0/24", "!", "-d", f"{self.prefix}.0/24",
                       "-j", "MASQUERADE")
        self._iptables("-A", "POSTROUTING", "-s", f"{self.prefix}.0/24", "-m", "conntrack", "--ctstate", "DNAT",
                       "-j", "MASQUERADE")

    def close(self) -> None:
        for pod in self.pods:
            pod.namespace.delete()

    def _iptables(self, *arguments: str) -> None:
        self._run("iptables", "-w", "-t", "nat", *arguments)

    def _run(self, *arguments: str) -> None:
        run(["nsenter", f"--net={self.host.namespace.path}", *arguments])


@pytest.fixture
def networks(lab: Lab) -> Iterator[list[PodNetwork]]:
    made: list[PodNetwork] = []
    yield made
    for network in made:
        network.close()


@pytest.mark.parametrize("masquerades", [True, False], ids=["masquerading", "routed"])
def test_pod_at_host_port(
    lab: Lab, networks: list[PodNetwork], spegel_binary: Path, masquerades: bool,
):
    one, two = nodes = lab.add_nodes(2)
    networks += [PodNetwork(one.host, 1), PodNetwork(two.host, 2)]
    for network, other in (networks, reversed(networks)):
        # Routes between the pods of the nodes.
        network.host.namespace.ip("route", "add", f"{other.prefix}.0/24", "via", other.host.address)
        if masquerades:
            network.masquerade()
    spegel_pod = networks[0].add_pod("spegel")
    same, elsewhere = networks[0].add_pod("same"), networks[1].add_pod("elsewhere")
    networks[0].forward(spegel_pod, REGISTRY_PORT)

    image = lab.push("lab/secret")
    one.pull(image.by_tag)
    [layer] = image.manifest().layers[:1]
    path = blob_path(image.repository, layer)
    lab.prepare_spegels([one], spegel_binary, {"allow-from": "192.0.2.0/24"})
    # The pod's network in place of the node's.
    one.spegel.launcher = ["nsenter", f"--net={spegel_pod.namespace.path}"]

    def restart() -> None:
        if one.spegel.process:
            one.spegel.process.stop()
        one.spegel.start()
        eventually(lambda: same.status(spegel_pod.address, REGISTRY_PORT, "/readyz") == 200, "Spegel is ready", 20)

    def seen_by(client: Pod | Host, address: str, port: int) -> str:
        """The address that the registry sees: it refuses all, and logs them."""
        # One that has named a client does not repeat that for a while.
        restart()
        before = len(one.spegel.log.read_text())
        if isinstance(client, Pod):
            assert client.status(address, port, path) == 403
        else:
            assert _status(client, address, port, path) == 403
        pattern = r"address not allowed[^\n]*?(\d+\.\d+\.\d+\.\d+)"
        found = eventually(
            lambda: re.search(pattern, one.spegel.log.read_text()[before:]), "the registry names the client", 15)
        return found[1]

    # containerd is on the node: its address at the pod network is the node's end of it.
    containerd = seen_by(one.host, one.host.address, HOST_PORT)
    assert containerd in (networks[0].gateway, one.host.address)
    # Without a host port in between there is the pod's own address.
    assert seen_by(same, spegel_pod.address, REGISTRY_PORT) == same.address
    at_host_port = {
        "same": seen_by(same, one.host.address, HOST_PORT), "elsewhere": seen_by(elsewhere, one.host.address, HOST_PORT)}
    if masquerades:
        # They cannot be told from the nodes, so `--allow-from` for the nodes lets them in.
        assert at_host_port == {"same": networks[0].gateway, "elsewhere": two.host.address}
    else:
        assert at_host_port == {"same": same.address, "elsewhere": elsewhere.address}

    # By default all of them, and machines outside, read content without credentials. /debug/ answers the pod only.
    del one.spegel.options["allow-from"]
    restart()
    eventually(lambda: same.status(spegel_pod.address, REGISTRY_PORT, path) == 200, "Spegel serves the layer", 20)
    for pod in (same, elsewhere):
        assert pod.status(one.host.address, HOST_PORT, path) == 200
        assert pod.status(spegel_pod.address, METRICS_PORT, "/metrics") == 200
        assert pod.status(spegel_pod.address, METRICS_PORT, "/debug/api/status") == 403
        assert pod.status(spegel_pod.address, METRICS_PORT, "/debug/web/") == 403
    assert _status(two.host, one.host.address, HOST_PORT, path) == 200
    assert spegel_pod.status("127.0.0.1", METRICS_PORT, "/debug/api/status") == 200


def _status(host: Host, address: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.sock = host.connect(address, port, 10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
