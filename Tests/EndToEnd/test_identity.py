"""A node's identity is its key, which is in its data folder and survives a restart."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from pathlib import Path

from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, ROUTER_PORT


def test_identity_survives_restart(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    key = one.spegel.data_directory / "private.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before, peer_id = key.read_bytes(), one.spegel.peer_id()
    assert len({node.spegel.peer_id() for node in nodes}) == 3

    assert one.spegel.process.stop() == 0
    one.spegel.start()
    one.spegel.wait_until_ready()
    assert key.read_bytes() == before

    # Node 2 restarts and knows only node 1, by its old id. Any other id would fail the handshake.
    two.spegel.process.kill()
    two.spegel.options["static-bootstrap-peers"] = f"/ip4/{one.host.address}/tcp/{ROUTER_PORT}/p2p/{peer_id}"
    two.spegel.start()
    two.spegel.wait_until_ready()
    lab.wait_until_seen(image)
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)


def test_killed_node_comes_back(lab: Lab, nodes: list[Node]):
    """After a crash, the node's content is found again without a change in its containerd."""
    one, two, three = nodes
    image = lab.push("lab/app", index=True)
    lab.share(image, [one])
    for node in nodes:
        node.spegel.process.kill()
    for node in nodes:
        node.spegel.start()
    for node in nodes:
        node.spegel.wait_until_ready()
    lab.wait_until_seen(image)
    lab.registry.stop()
    three.pull(image.by_tag)
    assert three.holds(image)
    assert not two.containerd.content()


def _copy_identity(lab: Lab, nodes: list[Node], binary: Path) -> None:
    """Node 1 has run. Node 2 gets its data folder, as a machine that was made from node 1's image."""
    lab.prepare_spegels(nodes, binary)
    one, two = nodes[0].spegel, nodes[1].spegel
    one.options["node-name"] = "worker-1"
    one.start()
    one.wait_until_ready()
    assert one.process.stop() == 0
    shutil.copytree(one.data_directory, two.data_directory)
    assert one.peer_id() == two.peer_id()


def test_copied_data_folder_gets_new_identity(lab: Lab, spegel_binary: Path):
    one, two, three = nodes = lab.add_nodes(3)
    _copy_identity(lab, nodes, spegel_binary)
    key = two.spegel.key_fingerprint()
    two.spegel.options["node-name"] = "worker-2"
    lab.start_spegels(nodes)
    assert len({node.spegel.peer_id() for node in nodes}) == 3
    assert "data folder belongs to another machine, created a new identity" in two.spegel.log.read_text()
    kept = two.spegel.data_directory / "private.key.of-another-machine"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == key
    assert stat.S_IMODE((two.spegel.data_directory / "machine").stat().st_mode) == 0o600

    image = lab.push("lab/app")
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)

    # The new identity survives a restart.
    before = two.spegel.peer_id()
    assert two.spegel.process.stop() == 0
    two.spegel.start()
    two.spegel.wait_until_ready()
    assert two.spegel.peer_id() == before
    assert two.spegel.log.read_text().count("data folder belongs to another machine") == 1


def test_shared_identity_is_reported(lab: Lab, spegel_binary: Path):
    """Two machines that look alike in all their names."""
    one, two, three = nodes = lab.add_nodes(3)
    _copy_identity(lab, nodes, spegel_binary)
    two.spegel.options["node-name"] = "worker-1"
    for node in nodes:
        node.spegel.start()
    for node, other in [(one, two), (two, one)]:
        def reports() -> str | None:
            try:
                answer = node.spegel.request("GET", "/readyz", port=METRICS_PORT)
            except ConnectionRefusedError:
                return None
            text = answer.body.decode()
            return text if answer.status == 503 and "has the same identity" in text else None

        text = eventually(reports, f"{node.host.name} reports the shared identity", 40)
        assert other.host.address in text
        assert f"delete {node.spegel.data_directory}/private.key" in text
        assert node.spegel.request("GET", "/readyz").status == 503
        log = node.spegel.log.read_text()
        assert log.count("another node has the same identity, delete its private.key") == 1
        status = subprocess.run(
            node.host.command([spegel_binary, "status", "--address", f"127.0.0.1:{METRICS_PORT}"]),
            capture_output=True, text=True, timeout=30)
        assert status.returncode == 1 and "has the same identity" in status.stdout
        page = node.spegel.request("GET", "/debug/web/", port=METRICS_PORT).body.decode()
        assert "has the same identity" in page
        metrics = node.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
        assert 'spegel_router_handshakes_failed_total{reason="shared_identity"} 0' not in metrics
    # The third node talks to itself at times, and to no other node of its identity.
    assert three.spegel.is_ready()

    # What the nodes advise helps.
    assert two.spegel.process.stop() == 0
    (two.spegel.data_directory / "private.key").unlink()
    two.spegel.start()
    two.spegel.wait_until_ready()
    assert len({node.spegel.peer_id() for node in nodes}) == 3


def test_second_process_on_data_folder_gets_own_identity(lab: Lab, spegel_binary: Path):
    one, two = nodes = lab.add_nodes(2)
    lab.prepare_spegels(nodes, spegel_binary)
    two.spegel.options["data-dir"] = str(one.spegel.data_directory)
    one.spegel.start()
    one.spegel.wait_until_ready()
    key = one.spegel.key_fingerprint()
    lab.start_spegels([two])
    assert "another process uses the data folder, using a temporary identity" in two.spegel.log.read_text()
    assert one.spegel.key_fingerprint() == key
    image = lab.push("lab/app")
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)
