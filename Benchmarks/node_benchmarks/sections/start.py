"""The size of the program, and the time until a node is ready."""

import subprocess

from ..measuring import Series
from ..processes import Node
from ..settings import BINARY, WORK


def run(runs: int) -> dict:
    stripped = WORK / "stripped"
    subprocess.run(["strip", "-o", stripped, BINARY], check=True)
    size = stripped.stat().st_size / 1e6
    stripped.unlink()

    provider, other = Node("provider", 1), Node("other", 2, bootstrap=1)
    provider.prepare(images=100)
    other.prepare()
    alone, joining = [], []
    try:
        for _ in range(runs):
            provider.stop()
            alone.append(provider.start() * 1000)
        for _ in range(runs):
            other.stop()
            joining.append(other.start() * 1000)
    finally:
        other.stop()
        provider.stop()
    return {"binary MB": size, "alone ms": Series.summary(alone), "joining ms": Series.summary(joining)}
