"""The functions that a node at work runs through, for the linker to put together.

A node under callgrind does what nodes do: it serves, relays, answers 404, is scraped, and rests. Code that is together takes
a tenth of the pages that it takes where the linker leaves it, so a node has less memory resident, and a request costs
fewer misses of the processor's caches.
"""

import http.client
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.request

from . import processes, store
from .processes import Node
from .settings import BINARY, METRICS, REGISTRY, ROOT, WORK

FILE = ROOT / "packaging/functions.order"
# Under callgrind a node is some fifty times slower.
PATIENCE = ["--mirror-resolve-timeout=2s", "--mirror-connect-timeout=5s", "--mirror-head-timeout=20s"]
REST = 70


def _wrapper(profile) -> str:
    """A program that starts a node under callgrind. Valgrind cannot read Swift's debug information."""
    program, script = WORK / "program", WORK / "under-callgrind"
    subprocess.run(["strip", "--strip-debug", "-o", program, BINARY], check=True)
    script.write_text(
        "#!/bin/sh\n"
        f"exec valgrind --tool=callgrind --callgrind-out-file={profile} --demangle=no --instr-atstart=no {program} \"$@\"\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def _ask(node: Node, paths: list[str], method: str = "GET", headers: dict[str, str] = {}) -> None:
    connection = http.client.HTTPConnection(node.address, REGISTRY, timeout=60)
    for path in paths:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    connection.close()


def _work(node: Node, manifests: list[dict], large: str, own: list[dict]) -> None:
    def path(kind: str, digest: str) -> str:
        return f"/v2/bench/{kind}/{digest}?ns=bench.local"

    missing = [path("blobs", f"sha256:{os.urandom(32).hex()}") for _ in range(40)]
    for _ in range(2):
        _ask(node, [path("manifests", manifest["digest"]) for manifest in manifests])
        _ask(node, [path("blobs", manifest["config"]) for manifest in manifests])
        _ask(node, [f"/v2/image{number}/manifests/1?ns=bench.local" for number in range(5)], "HEAD")
        _ask(node, missing)
        _ask(node, [path("blobs", large)])
        _ask(node, [path("blobs", large)], headers={"Range": "bytes=1000-5000000"})
        for headers in ({}, {"X-Spegel-Mirrored": "true"}):
            _ask(node, [path("manifests", manifest["digest"]) for manifest in own], headers=headers)
            _ask(node, [path("blobs", manifest["config"]) for manifest in own], headers=headers)
        _ask(node, ["/v2/", "/readyz", "/livez"])
        for page in ("metrics", "debug/api/status", "readyz", "livez"):
            urllib.request.urlopen(f"http://{node.address}:{METRICS}/{page}", timeout=60).read()


def _names(profile) -> set[str]:
    """The functions in all profiles, as the linker knows them."""
    names = set()
    for file in profile.parent.glob(profile.name + "*"):
        for line in file.read_text(errors="replace").splitlines():
            if match := re.match(r"c?fn=\(\d+\) (\S+)", line):
                # Callgrind numbers the levels of a recursion.
                names.add(re.sub(r"'\d+$", "", match.group(1)))
    return names


def _symbols() -> set[str]:
    output = subprocess.run(["nm", "--defined-only", BINARY], capture_output=True, text=True, check=True).stdout
    return {fields[2] for line in output.splitlines() if len(fields := line.split()) == 3 and fields[1] in "tTwW"}


def main() -> None:
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing. As root: apt-get install --no-install-recommends valgrind")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    profile = WORK / "profile"
    holder, node = Node("holder", 1, arguments=PATIENCE), Node("node", 2, bootstrap=1, arguments=PATIENCE)
    manifests, own = holder.prepare(images=40), node.prepare(images=20)
    large = store.large_blob(holder.store, 24 << 20)
    program = _wrapper(profile)
    try:
        holder.start()
        processes.BINARY, processes.PATIENCE = program, 120
        node.start()
        node.wait_for_peers(1)
        node.wait_for_records(40)
        process = str(node.process.pid)
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        subprocess.run(["callgrind_control", "-i", "on", process], **quiet)
        _work(node, manifests, large, own)
        time.sleep(REST)
        subprocess.run(["callgrind_control", "-d", process], **quiet)
    finally:
        node.stop()
        holder.stop()
    names = sorted(_names(profile) & _symbols())
    FILE.write_text("".join(f"{name}\n" for name in names))
    print(f"{len(names)} functions: {FILE.relative_to(ROOT)}")
    shutil.rmtree(WORK, ignore_errors=True)
