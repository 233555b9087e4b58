"""A node with the rights and mounts that the Helm chart gives its pods."""

from __future__ import annotations

from pathlib import Path

from harness.lab import Lab
from harness.node import Node
from harness.process import eventually

#: Root without capabilities and without a way to gain any. The folder of the socket, which contains the content folder
#: here, is mounted read-only.
_CONFINED = """
folder=$0
mount --make-rprivate / && mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder" || exit 9
exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs -- "$@"
"""


def _confine(node: Node) -> None:
    node.spegel.launcher = ["sh", "-c", _CONFINED, node.containerd.socket.parent]


def test_confined_node_shares_and_survives_restart_of_containerd(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.prepare_spegels(nodes, spegel_binary)
    for node in nodes:
        _confine(node)
        node.spegel.start()
    for node in nodes:
        node.spegel.wait_until_ready()
        status = Path(f"/proc/{node.spegel.process.pid}/status").read_text()
        for field in ("CapEff", "CapPrm", "CapBnd"):
            assert f"{field}:\t0000000000000000" in status, status
        assert "NoNewPrivs:\t1" in status

    first, second = lab.push("lab/app", tag="1"), lab.push("lab/app", tag="2")
    lab.share(first, [one])
    # The next socket is another one under the same name.
    one.containerd.process.stop()
    one.containerd.start()
    one.containerd.wait_until_ready()
    one.pull(second.by_tag)
    eventually(lambda: one.serves(second), "Spegel on node1 serves the new image", timeout=20)
    lab.wait_until_seen(second)
    for image in (first, second):
        assert two.sees(image)
