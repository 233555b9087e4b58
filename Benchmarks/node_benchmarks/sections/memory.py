"""The memory of a node at rest, and at the peak of 256 concurrent transfers of a large blob."""

import json
import subprocess
import sys
import time

from ..measuring import HERE
from ..processes import HAProxy, Nginx, Node, Process
from ..settings import FILES, REGISTRY
from .. import store

TRANSFERS = 256
IDLE = 10
SECONDS = 3


def watch(processes: dict[str, Process], task: dict) -> dict:
    """The peak memory of each process in MB while a client runs a task."""
    for process in processes.values():
        process.reset_peak()
    client = subprocess.Popen(
        [sys.executable, "-I", HERE / "client.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    client.stdin.write(json.dumps(task))
    client.stdin.close()
    most: dict[str, dict] = {name: {"resident": 0, "anonymous": 0} for name in processes}
    end = time.monotonic() + 60
    while client.poll() is None and time.monotonic() < end:
        for name, process in processes.items():
            for kind, value in process.memory().items():
                most[name][kind] = max(most[name][kind], value)
        time.sleep(0.1)
    counts = json.loads(client.stdout.read())
    for name, process in processes.items():
        # The peaks of several processes may be at different times, and count shared pages twice.
        if len(process.pids) == 1:
            most[name]["resident"] = max(most[name]["resident"], process.peak())
    return {"processes": most, "bad": counts["bad"], "answers": counts["answers"]}


def run(_: int) -> dict:
    provider, mirror = Node("provider", 1), Node("mirror", 2, bootstrap=1)
    files, proxy, haproxy = Nginx("nginx-files", 1), Nginx("nginx-proxy", 4), HAProxy("haproxy", 5)
    provider.prepare(images=100)
    digest = store.large_blob(provider.store, 1 << 30)
    mirror.prepare()
    path = f"/v2/bench/blobs/{digest}?ns=bench.local"

    def task(process: Process, port: int, **more) -> dict:
        return {"address": [process.address, port], "paths": [path], "connections": TRANSFERS, "seconds": SECONDS, **more}

    try:
        provider.start()
        mirror.start()
        mirror.wait_for_peers(1)
        time.sleep(IDLE)
        idle = {"provider of 100 images": provider.memory(), "mirror": mirror.memory()}
        files.start(files=(FILES, provider.store))
        relays = [(FILES, f"{files.address}:{FILES}")]
        proxy.start(relays=relays)
        haproxy.start(relays, 1 << 20)
        results = {}
        for kind, more in (("read", {}), ("stalled", {"stall": 60})):
            results[kind] = {
                "Spegel": watch({"mirror": mirror, "provider": provider}, task(mirror, REGISTRY, **more)),
                "nginx": watch({"relay": proxy, "provider": files}, task(proxy, FILES, **more)),
                "HAProxy": watch({"relay": haproxy, "provider": files}, task(haproxy, FILES, **more)),
            }
        time.sleep(35)
        after = {"provider": provider.memory(), "mirror": mirror.memory()}
        return {"idle": idle, "transfers": results, "35 s later": after}
    finally:
        for process in (haproxy, proxy, files, mirror, provider):
            process.stop()
