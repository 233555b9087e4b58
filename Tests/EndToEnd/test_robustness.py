"""No client and no stranger can bring a node down or make it leak resources."""

from __future__ import annotations

import concurrent.futures
import os
import random
import socket
import struct
import time

import pytest

from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import REGISTRY_PORT, ROUTER_PORT, blob_path

_ABORTS = 200
_WORKERS = 8
_NOISE_SECONDS = float(os.environ.get("SPEGEL_E2E_NOISE_SECONDS", "30"))


def _possessions(node: Node) -> dict[str, int]:
    """The open descriptors of a node's Spegel, and the connections from or to the Spegel's ports."""
    ports = (f":{REGISTRY_PORT} ", f":{ROUTER_PORT} ")
    connections = [line for line in node.host.sockets() if any(port in line + " " for port in ports)]
    return {"descriptors": node.spegel.process.descriptors(), "connections": len(connections)}


def _settled(node: Node, before: dict[str, int]) -> None:
    """Waits until a node has no more open resources than before."""
    last: dict[str, int] = {}

    def is_settled() -> bool:
        last.update(_possessions(node))
        return all(last[kind] <= before[kind] for kind in before)

    try:
        eventually(is_settled, "settled", timeout=30, interval=0.25)
    except AssertionError:
        sockets = "\n".join(node.host.sockets())
        pytest.fail(f"{node.name} had {before} before and still has {last} 30 s after:\n{sockets}", pytrace=False)


def _download(node: Node, path: str, limit: int | None = None, reset: bool = False) -> int:
    """Downloads from the node's mirror, or leaves after `limit` bytes: in order, or with a reset."""
    received = 0
    with node.host.connect("127.0.0.1", REGISTRY_PORT, timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n".encode())
        while limit is None or received < limit:
            chunk = connection.recv(65536)
            if not chunk:
                break
            if not received:
                assert chunk.startswith(b"HTTP/1.1 200"), chunk[:200]
            received += len(chunk)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return received


@pytest.mark.parametrize("through", ["mirror", "holder"])
def test_aborted_downloads_leak_nothing(lab: Lab, nodes: list[Node], through: str):
    one, two, three = nodes
    image = lab.push("lab/big", layer_sizes=(30_000_000,))
    lab.share(image, [one])
    lab.registry.stop()
    [layer] = image.manifest().layers
    path = blob_path(image.repository, layer)
    asked = {"mirror": two, "holder": one}[through]

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as workers:
        # Resources that a node keeps open on purpose, such as idle connections to peers, are open before.
        for received in workers.map(lambda _: _download(asked, path), range(_WORKERS)):
            assert received > image.manifest().blobs[layer]
        time.sleep(1)
        before = {node.name: _possessions(node) for node in (one, two)}

        # From no part of the response to a good part of it.
        limits = [(0, 1, 100_000, 3_000_000)[number % 4] for number in range(_ABORTS)]
        resets = [number % 3 == 0 for number in range(_ABORTS)]
        list(workers.map(lambda limit, reset: _download(asked, path, limit, reset), limits, resets))

    for node in (one, two):
        _settled(node, before[node.name])
    three.pull(image.by_tag)
    assert three.holds(image)


def _noise(generator: random.Random) -> list[bytes]:
    """The input of one stranger: random bytes, or a valid start."""
    rubbish = generator.randbytes(generator.choice((1, 3, 64, 1500, 70_000)))
    multistream = b"\x13/multistream/1.0.0\n"
    beginnings: list[list[bytes]] = [
        [],
        [b"GET /v2/"],
        [b"GET /v2/lab/app/manifests/1?ns="],
        [b"GET /v2/lab/app/blobs/sha256:" + b"0" * 64 + b" HTTP/1.1\r\nRange: bytes="],
        [b"POST /v2/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"],
        [multistream],
        [multistream, b"\x07/noise\n"],
        [multistream, b"\x07/noise\n", b"\x00\x20" + generator.randbytes(32)],
        [multistream, b"\x0b/tls/1.0.0\n", b"\x16\x03\x01"],
        [b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"],
    ]
    return [*generator.choice(beginnings), rubbish]


def _pester(node: Node, port: int, seed: str, until: float) -> int:
    """Opens connections in sequence and sends noise on each; returns their number."""
    generator = random.Random(seed)
    connections = 0
    while time.monotonic() < until:
        try:
            with node.host.connect("127.0.0.1", port, timeout=1) as connection:
                connection.settimeout(generator.choice((0.01, 0.1, 0.5)))
                for part in _noise(generator):
                    connection.sendall(part)
                    if generator.random() < 0.5:
                        connection.recv(4096)
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        connections += 1
    return connections


def test_survives_random_bytes_at_both_ports(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    lab.registry.stop()
    run = random.SystemRandom().getrandbits(64)
    print(f"seed: {run}")
    pid, before = one.spegel.process.pid, _possessions(one)

    until = time.monotonic() + _NOISE_SECONDS
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as workers:
        strangers = [
            workers.submit(_pester, one, (REGISTRY_PORT, ROUTER_PORT)[number % 2], f"{run}/{number}", until)
            for number in range(_WORKERS)]
        connections = [stranger.result() for stranger in strangers]
    print(f"connections: {connections}")
    assert min(connections) > _NOISE_SECONDS

    assert one.spegel.process.is_running and one.spegel.process.pid == pid
    assert one.spegel.is_ready()
    assert one.spegel.process.resident_bytes() < 256 << 20
    two.pull(image.by_tag)
    assert two.holds(image)
    _settled(one, {kind: count + 4 for kind, count in before.items()})
