"""A pair of nodes in the states in which a pull mostly finds them, beside the one that throughput is measured in.

- warm: the provider has checked the blob, and the mirror's client is a new one.
- both just started: both nodes have started with the blob there already, and have had the time to hash it while idle.
- just committed: the provider's containerd has taken the blob while the node ran. containerd checked it.
- asked again: the same client asks after its node's store had the blob and lost it, as after a removal of the image.
- both just started, asked at once: for information. Then the provider hashes the blob beside the first transfer.
"""

import os
import sys

from ..containerd import Containerd, reason_against
from ..measuring import interleave, transfer
from ..processes import Node
from ..settings import REGISTRY
from .. import store
from .throughput import path

SIZE = 1 << 30
# The client that comes back. All others have addresses of their own.
RETURNING = "127.99.0.1"
# 1 GiB takes 16 s at 64 MiB/s, and longer beside other work: then the node is not idle.
PATIENCE = 300


class Pair:
    def __init__(self, number: int, name: str, containerd: bool = False):
        self.stores = [Containerd(f"containerd-{name}-{role}", number + place) for place, role in enumerate(("provider", "mirror"))] \
            if containerd else [None, None]
        self.provider = Node(f"provider-{name}", number, containerd=self.stores[0])
        self.mirror = Node(f"mirror-{name}", number + 1, bootstrap=number, containerd=self.stores[1])
        for node in (self.provider, self.mirror):
            node.prepare()

    def start(self) -> None:
        self.provider.start()
        self.mirror.start()

    def transfer(self, digest: str, source: str | None = None) -> dict:
        task = {"address": [self.mirror.address, REGISTRY], "paths": [path(digest)], "connections": 1}
        if source:
            task["source"] = source
        return transfer({"relay": self.mirror, "provider": self.provider}, task)

    def wait_until_known(self, digest: str) -> None:
        """Until the mirror finds the blob."""
        self.mirror.wait_for(lambda: self.mirror.head(path(digest)) == 200, "find the blob")

    def stop(self) -> None:
        for process in (self.mirror, self.provider, *self.stores):
            if process:
                process.stop()


def run(runs: int) -> dict:
    pair = Pair(1, "layout")
    committed = None
    if reason := reason_against():
        print(f"Skipped what containerd has just committed: {reason}.", file=sys.stderr)
    else:
        committed = Pair(3, "containerd", containerd=True)
    digest = store.large_blob(pair.provider.store, SIZE)
    file = pair.provider.store / "blobs/sha256" / digest[7:]

    def restart(waits: bool) -> None:
        pair.stop()
        pair.start()
        pair.wait_until_known(digest)
        if waits:
            pair.provider.wait_for(lambda: pair.provider.checked() > 0, "check its content", PATIENCE)

    def just_started() -> dict:
        restart(waits=True)
        return pair.transfer(digest)

    def asked_at_once() -> dict:
        restart(waits=False)
        return pair.transfer(digest)

    def warm() -> dict:
        restart(waits=True)
        pair.transfer(digest)
        return pair.transfer(digest)

    def asked_again() -> dict:
        restart(waits=True)
        pair.transfer(digest, RETURNING)
        here = pair.mirror.store / "blobs/sha256" / digest[7:]
        os.link(file, here.with_name("new"))
        here.with_name("new").rename(here)
        pair.mirror.wait_for(lambda: pair.mirror.metrics()["spegel_held_contents"] == 1, "hold the blob")
        here.unlink()
        pair.mirror.wait_for(lambda: pair.mirror.metrics()["spegel_held_contents"] == 0, "lose the blob")
        return pair.transfer(digest, RETURNING)

    def just_committed() -> dict:
        new = store.large_blob(committed.provider.store, SIZE)
        committed.stores[0].load(committed.provider.store, [new])
        (committed.provider.store / "blobs/sha256" / new[7:]).unlink()
        committed.wait_until_known(new)
        values = committed.transfer(new)
        committed.stores[0].empty()
        return values

    alternatives = {
        "warm": warm, "both just started": just_started, "asked again": asked_again,
        "both just started, asked at once": asked_at_once,
    }
    if committed:
        alternatives["just committed"] = just_committed
    try:
        pair.start()
        if committed:
            for containerd in committed.stores:
                containerd.start()
            committed.start()
        return interleave(alternatives, runs)
    finally:
        pair.stop()
        if committed:
            committed.stop()
