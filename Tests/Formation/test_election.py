"""Nodes that find each other through the leader that they elect."""

from __future__ import annotations

import re
import signal
import time


from conftest import Lab
from formation.node import ROUTER_PORT, Node, wait_until_joined, wait_until_sharing
from harness.process import eventually

#: A line of a log above info, as text or as JSON.
_LOUD = re.compile(r'^\S+ (notice|warning|error|critical) |"level": ?"(notice|warning|error|critical)"', re.MULTILINE)


def leader(lab: Lab, nodes: list[Node], **where: str) -> Node | None:
    """The running node that stands in the Lease."""
    spec = lab.cluster.lease(**{"namespace": lab.namespace, **where})
    holder = (spec or {}).get("holderIdentity", "")
    for node in nodes:
        if holder.startswith(f"/ip4/{node.address}/tcp/{ROUTER_PORT}/p2p/") and node.process.is_running:
            return node
    return None


def wait_for_leader(lab: Lab, nodes: list[Node], timeout: float = 20.0) -> Node:
    return eventually(lambda: leader(lab, nodes), "one of the nodes leads", timeout)


def test_three_nodes_elect_a_leader_and_join(lab: Lab):
    nodes = lab.started_pods(3)
    first = wait_for_leader(lab, nodes)
    wait_until_joined(nodes)
    wait_until_sharing(nodes)
    spec = lab.cluster.lease(lab.namespace)
    assert spec["leaseTransitions"] == 0 and spec["leaseDurationSeconds"] == 10
    assert re.fullmatch(rf"/ip4/{first.address}/tcp/5001/p2p/12D3Koo\w+", spec["holderIdentity"])
    time.sleep(5)
    renewed = lab.cluster.lease(lab.namespace)
    assert renewed["holderIdentity"] == spec["holderIdentity"], "the leader stays"
    assert renewed["renewTime"] > spec["renewTime"] and renewed["acquireTime"] == spec["acquireTime"]
    for node in nodes:
        assert not _LOUD.search(node.log.read_text()), "a healthy start logs nothing above info"


def test_a_killed_leader_is_followed_within_15_seconds(lab: Lab):
    nodes = lab.started_pods(3)
    first = wait_for_leader(lab, nodes)
    wait_until_joined(nodes)
    first.process.kill()
    begin = time.monotonic()
    others = [node for node in nodes if node is not first]
    eventually(lambda: leader(lab, others), "another node leads", timeout=15)
    print(f"another led after {time.monotonic() - begin:.1f} s")
    assert lab.cluster.lease(lab.namespace)["leaseTransitions"] == 1
    wait_until_sharing(others)
    # The one that was killed comes back with the same identity and finds the others through the new leader.
    first.start()
    wait_until_joined(nodes)
    wait_until_sharing(nodes)


def test_a_leader_that_ends_lets_go(lab: Lab):
    nodes = lab.started_pods(3)
    first = wait_for_leader(lab, nodes)
    wait_until_joined(nodes)
    first.process.signal(signal.SIGTERM)
    begin = time.monotonic()
    others = [node for node in nodes if node is not first]
    eventually(lambda: leader(lab, others), "another node leads", timeout=3)
    print(f"another led after {time.monotonic() - begin:.1f} s")
    assert first.process.wait(10) == 0


def test_the_last_node_leaves_a_free_lease(lab: Lab):
    [node] = lab.started_pods(1)
    wait_for_leader(lab, [node])
    assert node.process.stop(10) == 0
    spec = lab.cluster.lease(lab.namespace)
    assert not spec.get("holderIdentity") and spec["leaseDurationSeconds"] == 1


def test_an_api_server_that_is_away_for_a_minute_disturbs_no_node(lab: Lab):
    nodes = lab.started_pods(3)
    wait_for_leader(lab, nodes)
    wait_until_joined(nodes)
    wait_until_sharing(nodes)
    newcomer = lab.pod()
    api = lab.cluster.api
    # At first it is silent, then gone.
    api.signal(signal.SIGSTOP)
    for half in range(2):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            assert all(node.process.is_running and node.readiness() for node in nodes)
            for node in nodes:
                assert all(node.pulls(other.blob) for other in nodes), f"{node.name} pulls while the API server is away"
            time.sleep(2)
        if half == 0:
            api.kill()
            newcomer.start()
            eventually(lambda: "leader unknown" in newcomer.readiness(), "a new node is alone", timeout=20)
    lab.cluster.start_api()
    before = lab.cluster.lease(lab.namespace)["renewTime"]
    eventually(lambda: lab.cluster.lease(lab.namespace)["renewTime"] != before, "the election goes on", timeout=30)
    wait_for_leader(lab, nodes, timeout=30)
    wait_until_joined([*nodes, newcomer], timeout=60)
    wait_until_sharing([*nodes, newcomer])
    for node in nodes:
        warnings = [line for line in node.log.read_text().splitlines() if "leader election suspended" in line]
        assert 1 <= len(warnings) <= 10, "a failure is told when it is a new one, not with each try"


def test_name_namespace_and_timing_can_be_set(lab: Lab):
    other = f"{lab.namespace}-other"
    lab.cluster.create_namespace(other)
    for document in _rights_elsewhere(lab, other):
        lab.cluster.create(document)
    options = {
        "leader_election_name": "another", "leader_election_namespace": other,
        "leader_election_lease_duration": "4s", "leader_election_renew_deadline": "2s",
        "leader_election_retry_period": "1s",
    }
    nodes = [lab.pod(**options) for _ in range(2)]
    for node in nodes:
        node.start()
    where = {"namespace": other, "name": "another"}
    first = eventually(lambda: leader(lab, nodes, **where), "one leads", timeout=20)
    assert lab.cluster.lease(**where)["leaseDurationSeconds"] == 4
    assert lab.cluster.lease(lab.namespace) is None
    wait_until_joined(nodes)
    first.process.kill()
    others = [node for node in nodes if node is not first]
    eventually(lambda: leader(lab, others, **where), "the other leads", timeout=8)


def test_other_ways_are_used_while_the_api_server_is_away(lab: Lab):
    first = lab.node()
    first.start()
    second = lab.pod(static_bootstrap_peers=f"/ip4/{first.address}/tcp/{ROUTER_PORT}")
    second.options["bootstrap-kind"] = "kubernetes,static"
    second.environment["KUBERNETES_SERVICE_PORT"] = "1"
    second.start()
    wait_until_joined([first, second])
    eventually(lambda: "connection refused" in second.log.read_text(), "the reason is told")


def _rights_elsewhere(lab: Lab, namespace: str) -> list[dict]:
    """The chart's Role in another namespace, for the account of the nodes in theirs."""
    from formation import chart

    documents = [document for document in chart.rights(namespace) if document["kind"] != "ServiceAccount"]
    for document in documents:
        for subject in document.get("subjects", ()):
            subject["namespace"] = lab.namespace
    return documents
