"""What clients get by a port of the host that leads to Spegel's pod, with a cluster key, for common kinds of networks.

The pods have a network as kindnet, Calico and AWS' plugin make it: a route for each pod, and a gateway that is the node.
"""

from __future__ import annotations

import base64
import http.client
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.network import Host
from harness.node import Node
from harness.process import eventually, run
from harness.spegel import REGISTRY_PORT, manifest_path

_PORT = 30020
_GATEWAY = "10.244.1.1"
_PODS = "10.244.1.0/24"

#: Which connections the node masquerades: none; those of its own pods by way of the port, as the plugin portmap does; all
#: by way of the port, as kube-proxy does for a node port with `externalTrafficPolicy: Cluster`.
_MASQUERADES = {
    "none": None,
    "portmap": ["-s", _PODS],
    "node-port": [],
}


def _in(host: Host, *command: str) -> str:
    return run(["nsenter", f"--net={host.namespace.path}", *command])


def _add_pod(lab: Lab, node: Node, name: str, address: str) -> Host:
    """A network namespace whose only neighbour is the node."""
    pod = Host(lab.network, name, address)
    lab.network.hosts.append(pod)
    inside, outside = pod.namespace, node.host.namespace
    inside.ip("link", "set", "lo", "up")
    inside.ip("link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", outside.name)
    inside.ip("address", "add", f"{address}/32", "dev", "eth0")
    inside.ip("link", "set", "eth0", "up")
    inside.ip("route", "add", _GATEWAY, "dev", "eth0", "scope", "link")
    inside.ip("route", "add", "default", "via", _GATEWAY)
    outside.ip("address", "add", f"{_GATEWAY}/32", "dev", name)
    outside.ip("link", "set", name, "up")
    outside.ip("route", "add", f"{address}/32", "dev", name)
    return pod


def _forward(node: Node, pod: Host, masquerades: list[str] | None) -> None:
    _in(node.host, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    match = ["-p", "tcp", "--dport", str(_PORT), "-m", "addrtype", "--dst-type", "LOCAL"]
    for chain in ("PREROUTING", "OUTPUT"):
        _in(node.host, "iptables", "-w", "-t", "nat", "-A", chain, *match,
            "-j", "DNAT", "--to-destination", f"{pod.address}:{REGISTRY_PORT}")
    if masquerades is not None:
        _in(node.host, "iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *masquerades, "-d", f"{pod.address}/32",
            "-m", "conntrack", "--ctstate", "DNAT", "-j", "MASQUERADE")


def _status(client: Host, address: str, port: int, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.sock = client.connect(address, port, 10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("password", [False, True], ids=["key", "key-and-password"])
@pytest.mark.parametrize("masquerades", _MASQUERADES)
def test_clients_of_the_host_port(lab: Lab, spegel_binary: Path, masquerades: str, password: bool):
    [node] = nodes = lab.add_nodes(1)
    pod = _add_pod(lab, node, "pod", "10.244.1.5")
    other = _add_pod(lab, node, "other", "10.244.1.6")
    _forward(node, pod, _MASQUERADES[masquerades])
    stranger = lab.registry.host
    key = lab.directory / "key"
    key.write_text(run([spegel_binary, "key"]))
    lab.prepare_spegels(nodes, spegel_binary)
    node.spegel.host = pod
    node.spegel.options["cluster-key-file"] = str(key)
    headers = {}
    if password:
        # As the chart has it: then no address is named.
        folder = lab.directory / "basic-auth"
        folder.mkdir()
        (folder / "username").write_text("spegel")
        (folder / "password").write_text("a secret")
        node.spegel.options["basic-auth-dir"] = str(folder)
        headers = {"Authorization": "Basic " + base64.b64encode(b"spegel:a secret").decode()}
        node.spegel.headers = headers
    else:
        node.spegel.options["allow-from"] = f"gateway,{node.host.address}"
    node.spegel.start()
    node.spegel.wait_until_ready()
    image = lab.push("lab/app")
    node.pull(image.by_tag)
    path = manifest_path(image.repository, image.tag)
    eventually(lambda: node.spegel.request("GET", path).status == 200, "Spegel serves the image")

    clients = {
        "the node": (node.host, node.host.address, _PORT),
        "a pod by the port": (other, node.host.address, _PORT),
        "a pod by the pod's address": (other, pod.address, REGISTRY_PORT),
        "another machine by the port": (stranger, node.host.address, _PORT),
    }
    found = {name: _status(*client, path, {}) for name, client in clients.items()}
    if password:
        assert set(found.values()) == {401}
        assert {_status(*client, path, headers) for client in clients.values()} == {200}
        return
    # Those that the node masquerades look like the node: docs/access.md says so.
    assert found == {
        "the node": 200,
        "a pod by the port": 403 if masquerades == "none" else 200,
        "a pod by the pod's address": 403,
        "another machine by the port": 200 if masquerades == "node-port" else 403,
    }
