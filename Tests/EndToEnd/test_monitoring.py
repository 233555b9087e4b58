"""A node's metrics, health, logs, the API of the page and settings."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from harness import registry
from harness.lab import Lab
from harness.node import Node
from harness.process import eventually
from harness.spegel import METRICS_PORT, REGISTRY_PORT, blob_path, manifest_path


def _metrics(node: Node) -> dict[str, float]:
    """The samples of a node by name with labels."""
    answer = node.spegel.request("GET", "/metrics", port=METRICS_PORT)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _debug(node: Node, path: str):
    answer = node.spegel.request("GET", path, port=METRICS_PORT)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", (path, answer.body)
    return json.loads(answer.body)


def test_metrics(lab: Lab, nodes: list[Node]):
    one, two, three = nodes
    image = lab.push("lab/app", layer_sizes=(300_000,))
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    assert two.holds(image)
    size = sum(image.manifest().blobs.values())
    name = f'{{registry="{registry.NAME}"}}'

    got = eventually(
        lambda: (found := _metrics(two)).get(f"spegel_peer_received_bytes_total{name}", 0) >= size and found,
        "node2 has counted what it received")
    hits = f'spegel_mirror_requests_total{{registry="{registry.NAME}",cache="hit",source="internal"}}'
    assert got[hits] >= 3
    assert got[f"spegel_client_sent_bytes_total{name}"] >= size
    assert got['spegel_lookups_total{outcome="found"}'] >= 3
    assert got['spegel_resolve_duration_seconds_count{router="libp2p"}'] >= 3
    assert got["spegel_mirror_last_success_timestamp_seconds"] > got["process_start_time_seconds"] > 1.6e9
    assert got['http_request_duration_seconds_count{handler="/v2/*",method="GET",code="200"}'] >= 3
    assert got['http_requests_inflight{handler="/v2/*"}'] == 0
    assert got["spegel_peers_connected"] == got["spegel_routing_table_peers"] == 2
    assert got["spegel_store_connected"] == got["spegel_ready"] == 1
    assert got["process_resident_memory_bytes"] > 1e6 and got["process_open_fds"] > 5
    # The names of go-libp2p and of Prometheus' client for Go.
    opened = [value for name, value in got.items() if name.startswith("libp2p_swarm_connections_opened_total{")]
    system = [got[f'libp2p_rcmgr_connections{{dir="{dir}",scope="system"}}'] for dir in ("inbound", "outbound")]
    assert sum(opened) >= sum(system) >= 2
    assert got['libp2p_identify_identify_total{dir="inbound"}'] >= 2
    assert got['libp2p_identify_identify_total{dir="outbound"}'] >= 2
    dialled = [value for node in nodes for name, value in _metrics(node).items()
               if name.startswith("libp2p_swarm_handshake_latency_seconds_count{")]
    assert sum(dialled) >= 2
    assert got["process_network_receive_bytes_total"] > size < got["process_network_transmit_bytes_total"]
    sent = eventually(
        lambda: (found := _metrics(one)).get(f"spegel_peer_sent_bytes_total{name}", 0) >= size and found,
        "node1 has counted what it sent")
    assert sent["spegel_advertised_keys"] >= 4
    assert sent[f"spegel_advertised_image_tags{name}"] == 1

    # No text of a request becomes a label.
    before = len(_metrics(three))
    for number in range(60):
        three.spegel.request(("GET", "HEAD", "BREW")[number % 3], f"/v2/x/manifests/{number}?ns=r{number}.example")
        three.spegel.request("GET", f"/path{number}")
    after = _metrics(three)
    assert not [name for name in after if "example" in name or "BREW" in name or "path" in name]
    assert len(after) < before + 200

    for node in nodes:
        page = node.spegel.request("GET", "/metrics", port=METRICS_PORT).body
        checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=30)
        assert checked.returncode == 0 and not checked.stdout + checked.stderr, (checked.stdout, checked.stderr)


def test_debug_api(lab: Lab, nodes: list[Node]):
    one, two, _ = nodes
    image = lab.push("lab/app")
    lab.share(image, [one])
    digest = image.manifest_digests()[0]
    tag = f"{registry.NAME}/{image.repository}:{image.tag}"

    status = _debug(one, "/debug/api/status")
    peers = status["peers"]["list"]
    assert {peer["peer"] for peer in peers} == {node.spegel.peer_id() for node in nodes[1:]}
    assert all(peer["connected"] and peer["inRoutingTable"] and peer["addresses"] for peer in peers)
    for peer in peers:
        assert peer["bucket"] >= 0 and peer["idleMilliseconds"] >= 0, peer
        assert {connection["muxer"] for connection in peer["connections"]} == {"/yamux/1.0.0"}, peer
    for key in (digest, tag):
        [held] = _debug(one, f"/debug/api/resolve?reference={quote(key)}&follow=false")["contents"]
        assert held["heldHere"] and held["advertised"] and held["digest"] == digest and held["size"] > 100
        [resolved] = _debug(two, f"/debug/api/resolve?reference={quote(key)}&follow=false")["contents"]
        assert resolved["key"] == key and not resolved["heldHere"]
        assert [holder["peer"] for holder in resolved["holders"]] == [one.spegel.peer_id()]
        assert all(holder["addresses"] and holder["registries"] for holder in resolved["holders"])
        lookup = resolved["lookup"]
        assert lookup["outcome"] in ("local", "found") and lookup["milliseconds"] < 5000
    assert status["node"]["peer"] == one.spegel.peer_id() and status["node"]["ready"]
    assert status["node"]["stalls"] == [] and status["router"]["ready"] and status["router"]["handledMessages"] > 0
    assert status["store"]["contents"] >= 3 and status["peers"]["connected"] == 2

    assert one.spegel.request("GET", "/debug/api/resolve", port=METRICS_PORT).status == 400
    assert one.spegel.request("GET", "/debug/api/status").status == 404, "not on the registry's port"
    for path in ("state", "peers", f"content?key={quote(tag)}", f"resolve?key={quote(tag)}"):
        assert one.spegel.request("GET", f"/debug/{path}", port=METRICS_PORT).status == 404, path
    one.spegel.process.stop()
    one.spegel.options["debug-web-enabled"] = "false"
    one.spegel.start()
    one.spegel.wait_until_ready()
    assert one.spegel.request("GET", "/debug/api/status", port=METRICS_PORT).status == 404
    assert one.spegel.request("GET", "/metrics", port=METRICS_PORT).status == 200


def test_lone_node_is_ready_and_reports_it(lab: Lab, spegel_binary: Path):
    [node] = lab.add_nodes(1)
    lab.add_spegels([node], spegel_binary)
    for port in (REGISTRY_PORT, METRICS_PORT):
        answer = node.spegel.request("GET", "/readyz", port=port)
        assert answer.status == 200 and b"alone" in answer.body
        assert node.spegel.request("GET", "/livez", port=port).status == 200


def test_drain_and_second_signal(lab: Lab, nodes: list[Node]):
    """The first SIGTERM lets transfers end and changes /readyz; the second ends the process at once."""
    one, two, _ = nodes
    image = lab.push("lab/big", layer_sizes=(20_000_000,))
    lab.share(image, [one])
    [layer] = image.manifest().layers
    one.host.shape(20)
    with two.host.connect(one.host.address, REGISTRY_PORT, timeout=20) as connection:
        path = blob_path(image.repository, layer)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Spegel-Mirrored: true\r\n\r\n".encode())
        assert connection.recv(65536)
        one.spegel.process.signal(signal.SIGTERM)
        answer = eventually(
            lambda: (found := one.spegel.request("GET", "/readyz", port=METRICS_PORT)).status == 503 and found,
            "node1 is no longer ready")
        assert b"shutting down" in answer.body
        eventually(lambda: not _listens(one), "node1 accepts no more connections")
        assert one.spegel.process.is_running
        one.spegel.process.signal(signal.SIGTERM)
        assert one.spegel.process.wait(timeout=5) == 128 + signal.SIGTERM
    assert "stopping at once" in one.spegel.log.read_text()


def _listens(node: Node) -> bool:
    try:
        node.spegel.request("GET", "/livez")
        return True
    except OSError:
        return False


def test_log_lines(lab: Lab, spegel_binary: Path):
    nodes = lab.add_nodes(2)
    # Lines are JSON by default, without a terminal.
    lab.add_spegels(nodes, spegel_binary, {"log-format": None})
    one, two = nodes
    image = lab.push("lab/app")
    lab.share(image, [one])
    lab.registry.stop()
    two.pull(image.by_tag)
    two.spegel.request("GET", manifest_path('x"\\%0a%1b', "1"))
    assert two.spegel.process.stop() == 0

    lines = [json.loads(line) for line in two.spegel.log.read_text().splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        datetime.fromisoformat(line["time"].removesuffix("Z"))
        assert line["level"] in ("DEBUG", "INFO"), line
    mirrored = [line for line in lines if line["msg"] == "mirrored request" and line["outcome"] == "complete"]
    layer = image.manifest().layers[0]
    # The lab has sent HEAD requests before.
    [line] = [line for line in mirrored if line["key"] == layer and line["bytes"] > 0]
    assert line["registry"] == registry.NAME and line["repository"] == image.repository
    assert line["peer"] == one.spegel.peer_id() and line["address"] == f"{one.host.address}:{REGISTRY_PORT}"
    assert line["bytes"] == image.manifest().blobs[layer] and line["duration"].endswith("ms")


def test_prints_settings_with_their_sources(spegel_binary: Path, tmp_path: Path):
    file = tmp_path / "spegel.yaml"
    file.write_text('# for all nodes\nrouter-addr: ":6001"\nmirrored-registries:\n  - https://docker.io\nmirror-targets: []\n')

    def printed(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [spegel_binary, "registry", "--print-config", *arguments], capture_output=True, text=True, timeout=15,
            env={"PATH": os.environ["PATH"], **environment})
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = printed("--registry-addr=:7000", CONFIG=str(file), ROUTER_ADDR=":8001", METRICS_ADDR=":8090")
    assert 'registry-addr: ":7000"  # flag\n' in text
    assert 'router-addr: ":8001"  # environment variable ROUTER_ADDR\n' in text
    assert f'mirrored-registries: ["https://docker.io"]  # file {file}\n' in text
    assert 'shutdown-grace: "25s"  # default\n' in text
    copy = tmp_path / "copy.yaml"
    copy.write_text(text)
    again = printed(f"--config={copy}")
    without_sources = [line.split("  # ")[0] for line in text.splitlines()]
    assert [line.split("  # ")[0] for line in again.splitlines()] == without_sources

    file.write_text("registry-adr: x\n")
    done = subprocess.run([spegel_binary, "registry", f"--config={file}"], capture_output=True, text=True, timeout=15)
    assert done.returncode == 64 and "did you mean 'registry-addr'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
