"""A peer that fails while it serves a blob: another one takes over, and containerd does not notice."""

from __future__ import annotations

import signal

import pytest

from harness.lab import Lab
from harness.node import CLIENTS, Node
from harness.process import eventually

_LAYER = 60_000_000
_ENOUGH = 15_000_000


def _kill(node: Node) -> None:
    node.spegel.process.kill()


def _freeze(node: Node) -> None:
    node.spegel.process.signal(signal.SIGSTOP)


def _unplug(node: Node) -> None:
    node.host.unplug()


@pytest.mark.parametrize(
    ("failure", "client"), [(_kill, "ctr"), (_kill, "cri"), (_freeze, "ctr"), (_unplug, "ctr")],
    ids=["killed-ctr", "killed-cri", "frozen-ctr", "unplugged-ctr"])
def test_serving_node_fails_in_mid_blob(lab: Lab, nodes: list[Node], failure, client: str):
    assert client in CLIENTS
    one, two, three = nodes
    image = lab.push("lab/big", layer_sizes=(_LAYER, 20_000))
    lab.share(image, [one, three])
    lab.registry.stop()
    # 60 MB at 150 Mbit/s take more than 3 s.
    for holder in (one, three):
        holder.host.shape(150)
    received = two.host.received_bytes()
    sent = {holder: holder.host.sent_bytes() for holder in (one, three)}

    pull = two.start_pull(image.by_tag, client, timeout=90)
    eventually(
        lambda: two.host.received_bytes() - received > _ENOUGH or pull.done(), "the blob is under way", interval=0.01)
    assert not pull.done(), f"over before the failure: {pull.exception() or pull.result()}"
    serving = max(sent, key=lambda holder: holder.host.sent_bytes() - sent[holder])
    [other] = {one, three} - {serving}
    served_by_other = other.host.sent_bytes()
    failure(serving)

    result = pull.result()
    assert two.holds(image)
    rest = _LAYER - (two.host.received_bytes() - received)
    assert other.host.sent_bytes() - served_by_other > max(rest, _LAYER // 4), "the other node sent the rest"
    assert result.received_bytes < 1.3 * _LAYER, "the transfer went on where it had stopped"
