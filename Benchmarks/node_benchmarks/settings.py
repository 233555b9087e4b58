"""Paths and addresses."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SPEGEL_BIN", ROOT / ".build/release/spegel"))
WORK = ROOT / ".cache/bench"
RESULTS = ROOT / ".cache/bench-results.json"
DOCUMENT = ROOT / "docs/performance.md"
FIGURES = ROOT / "docs/performance"

# All programs listen on addresses of their own in this network of the loopback device.
NETWORK = "127.0.30"
REGISTRY, ROUTER, METRICS = 16000, 16001, 16002
# A mirror asks a provider at the port of its own registry. One that listens here asks nginx instead of a node.
FILES = 16010


def address(number: int) -> str:
    return f"{NETWORK}.{number}"
