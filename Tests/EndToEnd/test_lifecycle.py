"""How a node ends, and how it rejects invalid settings."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, REGISTRY_PORT, ROUTER_PORT, blob_path, flags


_STOPPING = [
    signal.SIGTERM, signal.SIGINT,
    pytest.param(signal.SIGHUP, marks=pytest.mark.skipif(
        signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="this run ignores SIGHUP, as under nohup"))]


@pytest.mark.parametrize("number", _STOPPING, ids=lambda number: number.name)
def test_signal_ends_node(nodes: list[Node], number: signal.Signals):
    process = nodes[0].spegel.process
    process.signal(number)
    assert process.wait(timeout=5) == 0
    assert "shutting down" in nodes[0].spegel.log.read_text()


def test_node_ignores_the_end_of_its_terminal_under_nohup(lab: Lab, nodes: list[Node]):
    [node] = nodes[:1]
    node.spegel.process.stop()
    node.spegel.launcher = ["nohup"]
    node.spegel.start()
    node.spegel.wait_until_ready()
    node.spegel.process.signal(signal.SIGHUP)
    time.sleep(1)
    assert node.spegel.process.is_running


@pytest.mark.parametrize("arguments", [
    ["registry"], ["cleanup", "--addr=127.0.0.1:0"], ["cleanup-wait", "--probe-endpoint=localhost:1", "--timeout=1s"],
    ["status", "--address=http://127.0.0.1:1"], ["pull", "alpine"],
], ids=lambda arguments: arguments[0])
def test_few_descriptors_are_an_error_with_advice(spegel_binary: Path, tmp_path: Path, arguments: list[str]):
    done = subprocess.run(
        ["prlimit", "--nofile=12:12", spegel_binary, *arguments], cwd=tmp_path, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "expected at least 64 file descriptors, found a limit of 12" in done.stderr and "ulimit" in done.stderr
    # A soft limit is raised.
    done = subprocess.run(
        ["prlimit", "--nofile=12:1024", spegel_binary, "status", "--address=http://127.0.0.1:1"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=20)
    assert "descriptors" not in done.stderr


def test_node_completes_transfer_before_it_ends(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image = lab.push("lab/big", layer_sizes=(10_000_000,))
    lab.share(image, [one])
    [layer] = image.manifest().layers
    one.host.shape(80)
    with two.host.connect(one.host.address, REGISTRY_PORT, timeout=20) as connection:
        path = blob_path(image.repository, layer)
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: holder\r\nX-Spegel-Mirrored: true\r\nConnection: close\r\n\r\n".encode())
        received = len(connection.recv(65536))
        one.spegel.process.signal(signal.SIGTERM)
        while chunk := connection.recv(65536):
            received += len(chunk)
    assert received > image.manifest().blobs[layer]
    assert one.spegel.process.wait(timeout=5) == 0


def test_node_survives_restart_of_containerd(lab: Lab, nodes: list[Node]):
    """A node survives a restart of its containerd, and learns what changed meanwhile."""
    one, two, _ = nodes
    first, second = lab.push("lab/app", tag="1"), lab.push("lab/app", tag="2")
    lab.share(first, [one])
    one.containerd.process.kill()
    time.sleep(1)
    assert one.spegel.process.is_running
    one.containerd.start()
    one.containerd.wait_until_ready()
    one.pull(second.by_tag)
    eventually(lambda: one.serves(second), "Spegel on node1 serves the new image", timeout=15)
    lab.wait_until_seen(second)
    lab.registry.stop()
    for image in (first, second):
        two.pull(image.by_tag)
        assert two.holds(image)


_MISTAKES = {
    "unknown flag": ({"registry-adr": ":5000"}, "registry-adr"),
    "registry address": ({"registry-addr": "nonsense"}, "nonsense"),
    "registry port": ({"registry-addr": ":99999"}, "99999"),
    "router address": ({"router-addr": "10.1.0.1"}, "10.1.0.1"),
    "address of another host": ({"registry-addr": "10.99.0.1:5000"}, "10.99.0.1"),
    "bootstrap kind": ({"bootstrap-kind": "telepathy"}, "telepathy"),
    "bootstrap peer": ({"static-bootstrap-peers": "/ip4/10.1.0.999/tcp/5001"}, "10.1.0.999"),
    "mirrored registry": ({"mirrored-registries": "ftp://registry.lab"}, "ftp://registry.lab"),
    "resolve timeout": ({"mirror-resolve-timeout": "soon"}, "soon"),
    "resolve retries": ({"mirror-resolve-retries": "many"}, "many"),
    "log level": ({"log-level": "loud"}, "loud"),
    "containerd socket": ({"containerd-sock": "/nonexistent/containerd.sock"}, "/nonexistent/containerd.sock"),
    "data folder": ({"data-dir": "/dev/null/data"}, "/dev/null/data"),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_error_names_mistake(lab: Lab, spegel_binary: Path, mistake: str):
    options, culprit = _MISTAKES[mistake]
    [node] = lab.add_nodes(1)
    lab.prepare_spegels([node], spegel_binary)
    code, output = node.spegel.run_to_failure({"log-level": "error", **options}, timeout=15)
    assert code in (1, 64), output
    _assert_clear(output, culprit)


def test_error_names_port_in_use(nodes: list[Node], tmp_path: Path):
    spegel = nodes[0].spegel
    free = {"registry-addr": ":6000", "router-addr": ":6001", "metrics-addr": ":6090"}
    ports = {"registry-addr": REGISTRY_PORT, "router-addr": ROUTER_PORT, "metrics-addr": METRICS_PORT}
    for flag, port in ports.items():
        options = {"log-level": "error", "data-dir": str(tmp_path / "data"), **free, flag: f":{port}"}
        code, output = spegel.run_to_failure(options, timeout=15)
        assert code in (1, 64), output
        _assert_clear(output, str(port))
    assert nodes[0].spegel.is_ready()


def test_error_names_unknown_command(spegel_binary: Path):
    code, output = _run_to_failure([spegel_binary, "telepathy"])
    assert code in (1, 64), output
    _assert_clear(output, "telepathy")


@pytest.mark.parametrize("mistake", [
    {"containerd-registry-config-path": "/dev/null/certs.d"},
    {"mirror-targets": "nonsense"},
    {"mirrored-registries": "ftp://registry.lab"},
    {"resolve-tags": "perhaps"},
], ids=lambda mistake: next(iter(mistake)))
def test_error_names_mistake_of_configuration(spegel_binary: Path, tmp_path: Path, mistake: dict[str, str]):
    [culprit] = mistake.values()
    code, output = _run_to_failure([spegel_binary, "configuration", *flags({
        "log-level": "error",
        "containerd-registry-config-path": str(tmp_path),
        "mirrored-registries": "http://registry.lab:5000",
        "mirror-targets": "http://127.0.0.1:5000",
        **mistake,
    })])
    assert code in (1, 64), output
    _assert_clear(output, culprit)
    assert not list(tmp_path.iterdir()), "nothing is written before all settings are valid"


def _run_to_failure(command: list[str | os.PathLike]) -> tuple[int, str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=15)
    return done.returncode, done.stdout


def _assert_clear(output: str, culprit: str) -> None:
    """One line names the mistake; one or two lines about help may follow."""
    help_starts = ("Usage:", "See '", "Help:")
    lines = [line for line in output.splitlines() if line.strip() and not line.strip().startswith(help_starts)]
    assert len(lines) == 1, output
    assert culprit in lines[0]
    assert "Fatal error" not in output
