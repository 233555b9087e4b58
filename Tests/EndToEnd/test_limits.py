"""Transfers above a limit are queued, and never sent to the upstream registry."""

from __future__ import annotations

import resource
import socket
import time
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.spegel import METRICS_PORT, REGISTRY_PORT


@pytest.mark.parametrize(
    "options",
    [{"max-uploads": "1"}, {"max-downloads": "1"}, {"upload-rate": "8MB"}, {"download-rate": "80Mbit/s"}],
    ids=lambda options: next(iter(options)))
def test_queues_pulls_above_limit(lab: Lab, spegel_binary: Path, options: dict[str, str]):
    one, two, three = nodes = lab.add_nodes(3)
    lab.add_spegels(nodes, spegel_binary, options)
    image = lab.push("lab/app", layer_sizes=(4_000_000, 3_000_000, 2_000_000))
    lab.share(image, [one])
    lab.registry.stop()
    pulls = [node.in_background(lambda node=node: node.pull(image.by_tag, "cri")) for node in (two, three)]
    for pull in pulls:
        pull.result(timeout=60)
    assert two.holds(image) and three.holds(image)
    metrics = one.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
    assert 'spegel_transfers_running{direction="upload"} 0' in metrics
    assert 'spegel_transfers_waiting{direction="upload"} 0' in metrics


#: More connections than each port has places for.
FLOODS = {REGISTRY_PORT: 4200, METRICS_PORT: 100}


@pytest.mark.parametrize("port", FLOODS, ids=["registry", "metrics"])
@pytest.mark.parametrize("kind", ["idle", "silent", "slow-header"])
def test_health_answers_beside_flood_of_connections(lab: Lab, spegel_binary: Path, port: int, kind: str):
    one, = nodes = lab.add_nodes(1)
    lab.add_spegels(nodes, spegel_binary)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    flood: list[socket.socket] = []
    try:
        for _ in range(FLOODS[port]):
            connection = one.host.connect("127.0.0.1", port, 10)
            flood.append(connection)
            if kind == "idle":
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            elif kind == "slow-header":
                connection.sendall(b"GET /livez HTTP/1.1\r\nHo")
        for path in ["/livez", "/readyz"] * 2:
            for health in FLOODS:
                start = time.monotonic()
                assert one.spegel.request("GET", path, port=health).status == 200
                # Far less than the 10 s after which a silent connection closes, and the chart's probes wait 3 s.
                assert time.monotonic() - start < 3
    finally:
        for connection in flood:
            connection.close()
