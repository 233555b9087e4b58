"""Content that no node has, in a cluster of eight: each new layer of a pull costs this once. And a node's memory."""

import time

from ..measuring import Series, interleave, load
from ..processes import Node
from ..settings import REGISTRY

NODES = 8
IMAGES = 100
SETTLED = 12


def run(runs: int) -> dict:
    nodes = [Node(f"node{number}", number, bootstrap=1) for number in range(1, NODES + 1)]
    try:
        for node in nodes:
            node.prepare(images=IMAGES if node is nodes[0] else 0)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_for_peers(NODES - 1)
        # What a scrape brings into memory belongs to a node that is watched.
        for _ in range(SETTLED):
            for node in nodes:
                node.metrics()
            time.sleep(1)
        memory = [node.memory() for node in nodes]
        path = "/v2/bench/blobs/sha256:DIGEST?ns=bench.local"
        counts = interleave({"404": lambda: load((nodes[1].address, REGISTRY), 1, 1, path)}, runs)["404"]
        return {
            "p50 ms": counts["p50 ms"],
            "p99 ms": counts["p99 ms"],
            "wrong": sum(counts["requests"]["runs"]) - sum(counts["above 399"]["runs"]),
            "resident MB": Series.summary([taken["resident"] for taken in memory]),
            "anonymous MB": Series.summary([taken["anonymous"] for taken in memory]),
        }
    finally:
        for node in nodes:
            node.stop()
