"""Blobs: served by a node and by nginx; relayed by a node, HAProxy and nginx from one nginx; by two nodes."""

import sys

from ..containerd import Containerd, reason_against
from ..measuring import interleave, repeated, transfer
from ..processes import HAProxy, Nginx, Node, Process
from ..settings import FILES, REGISTRY
from .. import machine, store

PIPE_SIZES = [64 << 10, 256 << 10, 1 << 20]
QUERY = "?ns=bench.local"
# One transfer of 1 GiB takes a fifth of a second of CPU, and two of them differ by half of that.
REPEATS = {"1 GiB": 4}


def path(digest: str) -> str:
    return f"/v2/bench/blobs/{digest}{QUERY}"


def run(runs: int) -> dict:
    provider = Node("provider", 1)
    mirror = Node("mirror", 2, bootstrap=1)
    before_nginx = Node("mirror-before-nginx", 3, registry=FILES, bootstrap=1)
    files, proxy, haproxy = Nginx("nginx-files", 1), Nginx("nginx-proxy", 4), HAProxy("haproxy", 5)
    everything: list[Process] = [provider, mirror, before_nginx, files, proxy, haproxy]
    # If TCP sends by timers for the other programs, the same for nodes.
    comparable = [
        Node("provider-comparable", 8, arguments=machine.comparable()),
        Node("mirror-comparable", 9, bootstrap=8, arguments=machine.comparable()),
        Node("mirror-before-nginx-comparable", 10, registry=FILES, bootstrap=1, arguments=machine.comparable()),
    ] if machine.pacing() else []
    everything += comparable
    # A cluster of their own, because the mirror would choose among all providers of a blob.
    pair: list[Node] = []
    if reason := reason_against():
        print(f"Skipped the pair with a containerd each: {reason}.", file=sys.stderr)
    else:
        stores = [Containerd("containerd-provider", 6), Containerd("containerd-mirror", 7)]
        pair = [Node(f"{store.name}-node", number, bootstrap=6, containerd=store) for number, store in enumerate(stores, 6)]
        everything += [*stores, *pair]

    provider.prepare()
    large = [store.large_blob(provider.store, 1 << 30)]
    middle = [store.large_blob(provider.store, 128 << 20) for _ in range(8)]
    small = [store.large_blob(provider.store, 1 << 20) for _ in range(1000)]
    for node in (mirror, before_nginx, *comparable[1:]):
        node.prepare()
    workloads = {
        "1 GiB": (large, 1),
        "8 x 128 MiB, 8 at a time": (middle, 8),
        "1,000 x 1 MiB, 8 at a time": (small, 8),
    }
    target = f"{files.address}:{FILES}"

    def alternative(entry: Process, port: int, processes: dict[str, Process], digests: list[str], connections: int):
        task = {
            "address": [entry.address, port], "paths": [path(digest) for digest in digests], "connections": connections
        }
        return lambda: transfer(processes, task)

    try:
        provider.start()
        files.start(files=(FILES, provider.store))
        if comparable:
            comparable[0].store = provider.store
        for node in (*comparable[:1], mirror, before_nginx, *comparable[1:]):
            node.start()
        for node in (mirror, before_nginx, *comparable[1:]):
            node.wait_for_records(len(large + middle + small))
        if pair:
            for containerd in stores:
                containerd.start()
            stores[0].load(provider.store, large + middle + small)
            for node in pair:
                node.start()
            pair[1].wait_for_records(len(large + middle + small))
        proxy.start(relays=[(FILES, target)])
        pipe_sizes = {}
        for size in PIPE_SIZES:
            haproxy.start([(FILES, target)], size)
            once = alternative(haproxy, FILES, {"relay": haproxy, "provider": files}, large, 1)
            once()
            pipe_sizes[size] = interleave({"haproxy": once}, 3)["haproxy"]["CPU relay"]["median"]
            haproxy.stop()
        best = min(pipe_sizes, key=pipe_sizes.get)
        haproxy.start([(FILES, target)], best)
        results = {}
        kinds = [
            ("nginx alone", files, FILES, {"provider": files}),
            ("Spegel alone", provider, REGISTRY, {"provider": provider}),
            ("HAProxy before nginx", haproxy, FILES, {"relay": haproxy, "provider": files}),
            ("nginx before nginx", proxy, FILES, {"relay": proxy, "provider": files}),
            ("Spegel before nginx", before_nginx, FILES, {"relay": before_nginx, "provider": files}),
            ("Spegel before Spegel", mirror, REGISTRY, {"relay": mirror, "provider": provider}),
        ]
        if comparable:
            one, two, three = comparable
            kinds += [
                (f"Spegel alone, {machine.pacing()}", one, REGISTRY, {"provider": one}),
                (f"Spegel before nginx, {machine.pacing()}", three, FILES, {"relay": three, "provider": files}),
                (f"Spegel before Spegel, {machine.pacing()}", two, REGISTRY, {"relay": two, "provider": one}),
            ]
        if pair:
            kinds.append(("the same, containerd", pair[1], REGISTRY, {"relay": pair[1], "provider": pair[0]}))
        for name, (digests, connections) in workloads.items():
            alternatives = {
                title: repeated(alternative(entry, port, processes, digests, connections), REPEATS.get(name, 1))
                for title, entry, port, processes in kinds
            }
            # The first run fills the page cache, and the provider verifies each blob.
            for once in alternatives.values():
                once()
            results[name] = interleave(alternatives, runs)
        return {"HAProxy's pipe": best, "HAProxy by pipe, CPU-s per GiB": pipe_sizes, "workloads": results}
    finally:
        for process in reversed(everything):
            process.stop()
