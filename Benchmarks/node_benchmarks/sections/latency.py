"""Small answers through a mirror, compared with nginx's proxy_pass to the same provider: wrk with 1, 16 and 256 clients."""

from .. import machine
from ..measuring import interleave, load
from ..processes import Nginx, Node
from ..settings import REGISTRY

CLIENTS = [1, 16, 256]
QUERY = "?ns=bench.local"
SECONDS = 1


def run(runs: int) -> dict:
    provider, mirror, proxy = (
        Node("provider", 1, arguments=machine.comparable()),
        Node("mirror", 2, bootstrap=1, arguments=machine.comparable()),
        Nginx("nginx-proxy", 4),
    )
    manifests = provider.prepare(images=1000)
    mirror.prepare()
    keys = [f"/v2/bench/manifests/{manifest['digest']}{QUERY}" for manifest in manifests]
    missing = f"/v2/bench/manifests/sha256:{'0' * 63}1{QUERY}"
    cases = {
        "manifest, one key": (keys[:1], 200),
        "manifest, 1,000 keys": (keys, 200),
        "configuration, one key": ([f"/v2/bench/blobs/{manifests[0]['config']}{QUERY}"], 200),
        "404, one key": ([missing], 404),
        "404, ever new keys": (f"/v2/bench/manifests/sha256:DIGEST{QUERY}", 404),
    }
    try:
        provider.start()
        mirror.start()
        mirror.wait_for_peers(1)
        mirror.wait_for_records(len(keys))
        proxy.start(relays=[(REGISTRY, f"{provider.address}:{REGISTRY}")], logs=True)
        results: dict[str, dict] = {}
        for name, (paths, status) in cases.items():
            results[name] = {}
            for clients in CLIENTS:

                def once(process, paths=paths, clients=clients, status=status):
                    counts = load((process.address, REGISTRY), clients, SECONDS, paths)
                    above = counts.pop("above 399")
                    wrong = above if status == 200 else counts["requests"] - above
                    return {**counts, "wrong": wrong + counts.pop("broken")}

                for process in (mirror, proxy):
                    load((process.address, REGISTRY), clients, SECONDS, paths)
                results[name][str(clients)] = interleave(
                    {"Spegel": lambda: once(mirror), "nginx": lambda: once(proxy)}, runs
                )
        return results
    finally:
        for process in (proxy, mirror, provider):
            process.stop()
