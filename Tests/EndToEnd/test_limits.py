"""Transfers above a limit are queued, and never sent to the upstream registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lab import Lab
from harness.spegel import METRICS_PORT


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
