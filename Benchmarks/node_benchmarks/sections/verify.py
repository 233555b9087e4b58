"""The cost for a mirror to hash all relayed content, compared with hashing alone."""

import hashlib
import time

from ..measuring import interleave, repeated, transfer
from ..processes import Node
from ..settings import REGISTRY
from .. import store
from .throughput import REPEATS, path


def hash_a_gibibyte() -> dict[str, float]:
    """SHA-256 alone, of bytes in the processor's cache."""
    data, digest = bytes(64 << 10), hashlib.sha256()
    begin = time.thread_time()
    for _ in range(16 << 10):
        digest.update(data)
    return {"CPU": time.thread_time() - begin}


def run(runs: int) -> dict:
    provider = Node("provider", 1)
    mirrors = {
        "auto": Node("mirror", 2, bootstrap=1),
        "always": Node("mirror-that-verifies", 3, bootstrap=1, arguments=["--verify=always"]),
    }
    provider.prepare()
    digest = store.large_blob(provider.store, 1 << 30)

    def alternative(mirror: Node):
        task = {"address": [mirror.address, REGISTRY], "paths": [path(digest)], "connections": 1}
        return repeated(lambda: transfer({"relay": mirror, "provider": provider}, task), REPEATS["1 GiB"])

    try:
        provider.start()
        for mirror in mirrors.values():
            mirror.prepare()
            mirror.start()
            mirror.wait_for_records(1)
        alternatives = {name: alternative(mirror) for name, mirror in mirrors.items()}
        for once in alternatives.values():
            once()
        return interleave({**alternatives, "SHA-256 alone": hash_a_gibibyte}, runs)
    finally:
        for process in (*mirrors.values(), provider):
            process.stop()
