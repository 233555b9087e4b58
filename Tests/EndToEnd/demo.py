"""`make demo-containerd`: what the mirror is for, shown with three containerd nodes.

A node pulls an image from the source registry, which then goes away; the others still get it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from harness import registry
from harness.containerd import Installation, PullFailed
from harness.forwarder import Forwarder
from harness.lab import Lab, remove_stale_labs
from harness.node import Node
from harness.spegel import METRICS_PORT

_LAYERS = (32_000_000, 16_000_000, 4_000_000)
#: Where a browser on this machine sees the page of the second node; the nodes have networks of their own.
_PAGE = ("127.0.0.14", 19090)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    binary = Path(os.environ["SPEGEL_BIN"]).resolve()
    installation = Installation(Path(shutil.which("containerd")), Path(shutil.which("ctr")))
    remove_stale_labs()
    start = time.monotonic()
    lab = Lab(installation)
    try:
        _show(lab, binary, start)
        if sys.stdin.isatty() and sys.stdout.isatty():
            input(f"\nThe nodes go on until you press Enter: {_page_url()}")
    finally:
        lab.close()
    print("\nStopped everything, and removed the nodes.")


def _page_url() -> str:
    return f"http://{_PAGE[0]}:{_PAGE[1]}/debug/web/"


def _show(lab: Lab, binary: Path, start: float) -> None:
    nodes = lab.add_nodes(3)
    lab.add_spegels(nodes, binary)
    seen = nodes[1]
    Forwarder(_PAGE, lambda: seen.host.connect(seen.host.address, METRICS_PORT))
    with urllib.request.urlopen(_page_url(), timeout=10) as page:
        assert seen.host.address in page.read().decode(), "the page does not show its node"
    places = ", ".join(f"{node.name} ({node.host.address})" for node in nodes)
    print(f"Started a source registry and containerd {lab.installation.version} with a Spegel on {places}")
    print(f"in {time.monotonic() - start:.1f} s. Each containerd was told by 'spegel configuration' to ask its Spegel first:")
    hosts = nodes[0].containerd.registry_configuration / registry.NAME / "hosts.toml"
    print("".join(f"    {line}\n" for line in hosts.read_text().splitlines()), end="")
    done = _run(nodes[0], [
        binary, "configuration", "--check", f"--containerd-sock={nodes[0].containerd.socket}",
        f"--containerd-registry-config-path={nodes[0].containerd.registry_configuration}"])
    print(f"    $ spegel configuration --check\n    {done.stdout.splitlines()[-1]}")
    print(f"While this runs, {_page_url()} shows {seen.name}.")

    image = lab.push("demo/app", layer_sizes=_LAYERS)
    size = sum(image.manifest().blobs.values())
    print(f"\n1. {image.by_tag}, {_mb(size)} in {len(_LAYERS)} layers, is in the source registry alone.")
    _pull(lab, nodes, nodes[0], image.by_tag)
    lab.wait_until_seen(image)
    print("   All nodes can find it.")

    lab.registry.stop()
    print("\n2. The source registry goes away.")

    print(f"\n3. What {nodes[1].name} can get of it, layer by layer:")
    done = _run(nodes[1], [binary, "pull", image.by_tag])
    print("".join(f"   {line}\n" for line in ["$ spegel pull " + image.by_tag, *done.stdout.splitlines()]), end="")
    if done.returncode:
        raise AssertionError(done.stderr)

    print(f"\n4. {nodes[1].name} and {nodes[2].name} pull it, all the same.")
    for node in nodes[1:]:
        _pull(lab, nodes, node, image.by_tag)
        assert node.holds(image)

    missing = f"{registry.NAME}/demo/none:1"
    print(f"\n5. {nodes[2].name} pulls {missing}, which no node has.")
    begin = time.monotonic()
    try:
        nodes[2].pull(missing)
    except PullFailed as error:
        print(f"   failed after {time.monotonic() - begin:.2f} s: {str(error).splitlines()[-1][:240]}")
    else:
        raise AssertionError(f"{missing} was pulled, which no node has")


def _run(node: Node, command: list) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        node.host.command(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def _pull(lab: Lab, nodes: list[Node], node: Node, name: str) -> None:
    """Pulls with containerd, and says how long it took and who sent how much."""
    senders = {lab.registry.host.name: lab.registry.host, **{n.name: n.host for n in nodes if n is not node}}
    before = {sender: host.sent_bytes() for sender, host in senders.items()}
    pull = node.pull(name)
    sent = {sender: host.sent_bytes() - before[sender] for sender, host in senders.items()}
    shares = ", ".join(f"{_mb(count)} from {sender}" for sender, count in sent.items() if count > 100_000)
    print(f"   {node.name}: pulled in {pull.seconds:.2f} s, {shares}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        sys.exit(130)
    except AssertionError as error:
        print(f"demo-containerd: {error}", file=sys.stderr)
        sys.exit(1)
