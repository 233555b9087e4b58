"""The cost of a relayed blob at the rate of a real link: few packets come at a time, and each piece costs a wakeup.

The mirror and its client are in a network namespace of their own, the provider in another one, behind a limit of rate.
"""

import json
import subprocess
import sys

from ..measuring import Series, transfer
from ..processes import Node
from ..settings import REGISTRY
from .. import machine, store
from .throughput import path

RATES = {"200 Mbit/s": (200, 100 << 20), "1 Gbit/s": (1000, 400 << 20)}
MIRROR, PROVIDER = "10.30.0.1", "10.30.0.2"


class FarNode(Node):
    """A node with an address of its own, perhaps in the namespace of another process."""

    def __init__(self, name: str, number: int, address: str, namespace: int | None = None):
        super().__init__(name, number)
        self.address = address
        self.bootstrap = PROVIDER
        self.namespace = namespace

    def launch(self, command: list, ready: tuple[str, int] | None = None) -> None:
        entered = ["nsenter", f"--net=/proc/{self.namespace}/ns/net"] if self.namespace else []
        super().launch([*entered, *command], ready)


def run(runs: int) -> dict:
    if reason := machine.reason_against_namespaces():
        print(f"Skipped the rate of a real link: {reason}.", file=sys.stderr)
        return {}
    # A namespace that ends with the process that is measured in.
    code = "import sys; sys.path.insert(0, sys.argv[1]); from node_benchmarks.sections import link; link.inside(int(sys.argv[2]))"
    root = str(machine.MODULES)
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", code, root, str(runs)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdout=subprocess.DEVNULL)


def inside(runs: int) -> None:
    ip("link", "set", "lo", "up")
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        entered = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        own = subprocess.check_output(["readlink", "/proc/self/ns/net"])
        while subprocess.check_output(["readlink", f"/proc/{holder.pid}/ns/net"]) == own:
            pass
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(holder.pid))
        ip("address", "add", f"{MIRROR}/24", "dev", "near")
        ip("link", "set", "near", "up")
        for arguments in (["link", "set", "lo", "up"], ["address", "add", f"{PROVIDER}/24", "dev", "far"],
                          ["link", "set", "far", "up"]):
            subprocess.run([*entered, "ip", *arguments], check=True)
        print(json.dumps(measure(runs, holder.pid, entered)))
    finally:
        holder.kill()
        holder.wait()


def measure(runs: int, namespace: int, entered: list[str]) -> dict:
    provider = FarNode("far-provider", 1, PROVIDER, namespace)
    mirror = FarNode("near-mirror", 2, MIRROR)
    for node in (provider, mirror):
        node.prepare()
    digests = {name: store.large_blob(provider.store, size) for name, (_, size) in RATES.items()}
    results = {}
    try:
        provider.start()
        mirror.start()
        mirror.wait_for_records(len(RATES))
        for name, (rate, _) in RATES.items():
            subprocess.run([
                *entered, "tc", "qdisc", "replace", "dev", "far", "root", "tbf", "rate", f"{rate}mbit", "burst", "256kb",
                "latency", "50ms"], check=True)
            task = {"address": [MIRROR, REGISTRY], "paths": [path(digests[name])], "connections": 1}
            values: dict[str, list[float]] = {}
            for number in range(runs + 1):
                # Another client each time: the same one again would have the blob verified.
                task["source"] = f"127.{100 + number}.0.1"
                measured = transfer({"relay": mirror, "provider": provider}, task)
                # The first run has the provider check the blob.
                for quantity, value in measured.items() if number else ():
                    values.setdefault(quantity, []).append(value)
            results[name] = {quantity: Series.summary(list_) for quantity, list_ in values.items()}
        return results
    finally:
        for node in (mirror, provider):
            node.stop()
