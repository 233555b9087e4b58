"""A peer fails while it serves a blob: another peer takes over without the client noticing."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable

import pytest

from harness.lab import Lab
from harness.node import CLIENTS, Node
from harness.process import eventually
from harness.spegel import blob_path

_LAYER = 60_000_000
_ENOUGH = 15_000_000


def _kill(node: Node) -> None:
    node.spegel.process.kill()


def _freeze(node: Node) -> None:
    node.spegel.process.signal(signal.SIGSTOP)


def _unplug(node: Node) -> None:
    node.host.unplug()


_FAILURES = {"killed": _kill, "frozen": _freeze, "unplugged": _unplug}


class _Holders:
    """Nodes 1 and 3 hold an image with one big layer, behind slow links; the upstream registry is down."""

    def __init__(self, lab: Lab, nodes: list[Node]):
        one, self.puller, three = nodes
        self.holders = [one, three]
        self.image = lab.push("lab/big", layer_sizes=(_LAYER, 20_000))
        lab.share(self.image, self.holders)
        lab.registry.stop()
        for holder in self.holders:
            holder.host.shape(150)  # the layer takes more than 3 s

    def fail_in_mid_blob(self, transfer: Callable[[], object], fail: Callable[[Node], None]):
        """Starts a transfer to node 2, makes the serving holder fail, and returns the result."""
        start = self.puller.host.received_bytes()
        sent = {holder: holder.host.sent_bytes() for holder in self.holders}
        result = self.puller.in_background(transfer)
        eventually(
            lambda: result.done() or self.puller.host.received_bytes() - start > _ENOUGH,
            "the blob is in transfer", interval=0.01)
        assert not result.done(), f"completed before the failure: {result.exception() or result.result()}"
        serving = max(self.holders, key=lambda holder: holder.host.sent_bytes() - sent[holder])
        [other] = [holder for holder in self.holders if holder is not serving]
        served_before = other.host.sent_bytes()
        fail(serving)

        value = result.result()
        assert other.host.sent_bytes() - served_before > _LAYER // 4, "the other node sent the rest"
        received = self.puller.host.received_bytes() - start
        assert received < 1.3 * _LAYER, "the transfer resumed where it had stopped"
        return value


@pytest.mark.parametrize("failure", _FAILURES)
def test_response_continues_after_serving_node_failed(lab: Lab, nodes: list[Node], failure: str):
    """For a client that does not retry: the whole blob comes in one response."""
    holders = _Holders(lab, nodes)
    layer = holders.image.manifest().layers[0]
    path = blob_path(holders.image.repository, layer)
    mirror = holders.puller.spegel
    answer = holders.fail_in_mid_blob(lambda: mirror.request("GET", path, timeout=60), _FAILURES[failure])
    assert answer.status == 200
    assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == layer


@pytest.mark.parametrize(
    ("failure", "client"), [*(("killed", client) for client in CLIENTS), ("unplugged", "ctr")])
def test_pull_succeeds_although_serving_node_fails(lab: Lab, nodes: list[Node], failure: str, client: str):
    holders = _Holders(lab, nodes)
    name = holders.image.by_tag
    holders.fail_in_mid_blob(lambda: holders.puller.pull(name, client, timeout=90), _FAILURES[failure])
    assert holders.puller.holds(holders.image)
