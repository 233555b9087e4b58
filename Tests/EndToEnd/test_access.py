"""Access control: who gets content from a node."""

from __future__ import annotations

import base64
import http.client
import os
import resource
import socket
import time
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.network import Host
from harness.node import CLIENTS, Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, REGISTRY_PORT, blob_path, manifest_path


class Secret:
    """A mounted Secret: links to files in the folder behind `..data`, all replaced at once."""

    def __init__(self, path: Path):
        self.path = path
        self._version = 0
        path.mkdir()
        for name in ("username", "password"):
            (path / name).symlink_to(f"..data/{name}")

    def set(self, username: str, password: str) -> None:
        self._version += 1
        folder = self.path / f"..version-{self._version}"
        folder.mkdir()
        (folder / "username").write_text(username)
        (folder / "password").write_text(password)
        link = self.path / "..data-new"
        link.symlink_to(folder.name)
        os.replace(link, self.path / "..data")


def _header(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _show(node: Node, header: str) -> None:
    """Makes the node's containerd, and the test, send credentials to its Spegel."""
    [file] = node.containerd.registry_configuration.glob("registry*/hosts.toml")
    if "authorization" not in file.read_text():
        text = f'[host."http://127.0.0.1:{REGISTRY_PORT}".header]\nauthorization = "{header}"\n'
        file.write_text(file.read_text() + text)
    node.spegel.headers = {"Authorization": header}


def _ask(host: Host, node: Node, path: str) -> int:
    """The status of a host's request to a node's registry."""
    connection = http.client.HTTPConnection(node.host.address, REGISTRY_PORT, timeout=10)
    connection.sock = host.connect(node.host.address, REGISTRY_PORT, 10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.every_containerd
@pytest.mark.parametrize("client", CLIENTS)
def test_image_is_shared_with_credentials(lab: Lab, spegel_binary: Path, client: str):
    secret = Secret(lab.directory / "basic-auth")
    secret.set("spegel", "a secret")
    one, two, three = nodes = lab.add_nodes(3)
    lab.add_spegels(nodes, spegel_binary, {"basic-auth-dir": str(secret.path)})
    for node in (one, two):
        _show(node, _header("spegel", "a secret"))
    three.spegel.headers = one.spegel.headers
    image = lab.push("lab/app", index=True)
    lab.share(image, [one], client)

    # A containerd without credentials is rejected, and pulls from the upstream registry.
    three.spegel.headers = {}
    assert three.spegel.request("GET", manifest_path(image.repository, image.tag)).status == 401
    three.pull(image.by_tag, client)
    assert three.holds(image)
    assert lab.registry.requests(three.host)

    lab.registry.stop()
    two.pull(image.by_tag, client)
    assert two.holds(image)


def test_credentials_are_changed_while_nodes_run(lab: Lab, spegel_binary: Path):
    secret = Secret(lab.directory / "basic-auth")
    secret.set("spegel", "old")
    one, two = nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"basic-auth-dir": str(secret.path)})
    for node in nodes:
        _show(node, _header("spegel", "old"))
    image = lab.push("lab/app")
    lab.share(image, [one])

    def answers(node: Node, password: str) -> int:
        return node.spegel.request("GET", "/v2/", {"Authorization": _header("spegel", password)}).status

    assert answers(one, "new") == 401
    secret.set("spegel", "new")
    for node in nodes:
        eventually(lambda: answers(node, "new") == 200, f"{node.name} accepts the new secret", timeout=15)
        assert answers(node, "old") == 200, "the old secret stays valid for a while"
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


@pytest.mark.parametrize("files", [["username"], ["password"], []], ids=["no-password", "no-username", "neither"])
def test_incomplete_secret_is_an_error(lab: Lab, spegel_binary: Path, tmp_path: Path, files: list[str]):
    [node] = nodes = lab.add_nodes(1)
    lab.prepare_spegels(nodes, spegel_binary)
    for name in files:
        (tmp_path / name).write_text("x")
    code, text = node.spegel.run_to_failure({"basic-auth-dir": str(tmp_path)}, timeout=10)
    assert code == 1
    assert f"{tmp_path} has no file" in text


def test_only_named_addresses_are_served(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"allow-from": "192.0.2.0/24,fd00::/8"})
    image = lab.push("lab/app")
    one.pull(image.by_tag)
    eventually(lambda: one.serves(image), "node 1 serves the image")
    stranger = lab.registry.host
    path = blob_path(image.repository, sorted(image.manifest().blobs)[0])
    assert _ask(stranger, one, path) == 403
    assert _ask(stranger, one, "/readyz") == 200
    # The node itself, by any of its addresses; but no right follows from having joined the DHT.
    assert _ask(one.host, one, path) == 200
    assert _ask(two.host, one, path) == 403
    one.spegel.process.stop()
    one.spegel.options["allow-from"] = f"{stranger.address}/32,{two.host.address}/32"
    one.spegel.start()
    one.spegel.wait_until_ready()
    lab.wait_until_seen(image)
    assert _ask(stranger, one, path) == 200
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


def test_node_recovers_after_running_out_of_descriptors(lab: Lab, spegel_binary: Path):
    [node] = nodes = lab.add_nodes(1)
    lab.add_spegels(nodes, spegel_binary)
    pid = node.spegel.process.pid
    used = len(os.listdir(f"/proc/{pid}/fd"))
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 30, limits[1]))
    clients: list[socket.socket] = []
    try:
        for port in (REGISTRY_PORT, METRICS_PORT):
            clients += [node.host.connect("127.0.0.1", port, 10) for _ in range(60)]
        before = _cpu_seconds(pid)
        time.sleep(2)
        assert _cpu_seconds(pid) - before < 0.5, "it waits instead of spinning"
    finally:
        for client in clients:
            client.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    eventually(node.spegel.is_ready, "the node responds again", timeout=10)
    assert node.spegel.request("GET", "/readyz", port=METRICS_PORT).status == 200


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ask_debug(host: Host, node: Node, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(node.host.address, METRICS_PORT, timeout=10)
    connection.sock = host.connect(node.host.address, METRICS_PORT, 10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("has_password", [False, True], ids=["no password", "password"])
def test_debug_pages_answer_only_the_node_or_the_password(
    lab: Lab, spegel_binary: Path, tmp_path: Path, has_password: bool,
):
    one, two = nodes = lab.add_nodes(2)
    image = lab.push("lab/secret")
    options = {}
    if has_password:
        secret = Secret(tmp_path / "secret")
        secret.set("node", "right")
        options["basic-auth-dir"] = str(secret.path)
    lab.add_spegels(nodes, spegel_binary, options)
    one.pull(image.by_tag)
    paths = [("GET", path) for path in (
        "/debug/web/", "/debug/api/status", "/debug/api/events", "/debug/api/resolve?reference=lab/secret",
        "/debug/web/resolve?reference=lab/secret")] + [("POST", "/debug/api/pull?reference=lab/secret:1")]
    refused = 401 if has_password else 403
    for method, path in paths:
        for headers in ({}, {"Authorization": _header("node", "wrong")}):
            status, body = _ask_debug(two.host, one, method, path, headers)
            assert status == refused and b"sha256:" not in body and b"kubectl port-forward" in body, (path, status, body)
    for path in ("/metrics", "/livez", "/readyz"):
        assert _ask_debug(two.host, one, "GET", path, {})[0] == 200, path
    # By each of the node's own addresses.
    for host in (one.host.address, "127.0.0.1"):
        with one.host.connect(host, METRICS_PORT, 10) as connection:
            connection.sendall(f"GET /debug/api/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    if has_password:
        status, body = _ask_debug(two.host, one, "GET", "/debug/api/status", {"Authorization": _header("node", "right")})
        assert status == 200 and b"lab/secret" in body
