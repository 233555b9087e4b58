"""How a node reaches the API server, and what it may do there."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Lab
from formation.cluster import ADDRESS, PORT, lease_path
from formation.node import Node
from formation.pki import Authority
from harness.process import eventually
from test_election import wait_for_leader


def test_the_chart_grants_what_is_needed_and_nothing_more(lab: Lab):
    cluster, namespace = lab.cluster, lab.namespace
    token = cluster.token(namespace, "spegel")

    def status(method: str, path: str, body: dict | None = None) -> int:
        return cluster.request(method, path, body, token=token).status

    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x"}, "spec": {}}
    assert status("POST", lease_path(namespace), lease) == 201
    read = cluster.request("GET", lease_path(namespace, "x"), token=token)
    assert read.status == 200
    assert status("PUT", lease_path(namespace, "x"), read.body) == 200
    refused = [
        ("GET", lease_path(namespace)), ("DELETE", lease_path(namespace, "x")), ("GET", lease_path("default", "x")),
        ("GET", f"/api/v1/namespaces/{namespace}/pods"), ("GET", f"/api/v1/namespaces/{namespace}/secrets"),
        ("GET", "/api/v1/nodes"), ("GET", "/api/v1/namespaces"),
    ]
    for method, path in refused:
        assert status(method, path) == 403, f"{method} {path}"


def test_a_missing_role_is_told_and_can_be_added(bare_lab: Lab):
    lab = bare_lab
    lab.install_rights("ServiceAccount")
    [node] = lab.started_pods(1)
    eventually(lambda: "forbidden to get the Lease" in node.log.read_text(), "the reason in the log", timeout=20)
    line = next(line for line in node.log.read_text().splitlines() if "forbidden to get" in line)
    for word in (lab.namespace, "Role", "get, create and update", "coordination.k8s.io"):
        assert word in line
    eventually(node.readiness, "it serves what it holds")
    lab.install_rights("Role", "RoleBinding")
    wait_for_leader(lab, [node], timeout=40)


def test_a_rotated_token_is_used(lab: Lab):
    node = lab.pod()
    lab.give_token(node, lab.cluster.token(lab.namespace, "spegel", secret="one"))
    node.start()
    wait_for_leader(lab, [node])
    lab.give_token(node, lab.cluster.token(lab.namespace, "spegel", secret="two"))
    lab.cluster.request("DELETE", f"/api/v1/namespaces/{lab.namespace}/secrets/one")
    # The API server remembers for ten seconds which tokens are good.
    time.sleep(12)
    before = lab.cluster.lease(lab.namespace)
    time.sleep(6)
    after = lab.cluster.lease(lab.namespace)
    assert after["renewTime"] > before["renewTime"] and after["acquireTime"] == before["acquireTime"]
    assert "suspended" not in node.log.read_text()
    # Without another one, the end of this one is noticed: so it was in use.
    lab.cluster.request("DELETE", f"/api/v1/namespaces/{lab.namespace}/secrets/two")
    eventually(lambda: "unauthorized at the API server" in node.log.read_text(), "the rejected token in the log", timeout=40)


def test_a_kubeconfig_with_a_token(lab: Lab):
    token = lab.directory / "token"
    token.write_text(lab.cluster.token(lab.namespace, "spegel"))
    node = _node_with_kubeconfig(lab, {"tokenFile": str(token)})
    node.start()
    wait_for_leader(lab, [node])


def test_a_kubeconfig_with_a_client_certificate(lab: Lab):
    certificate, key = lab.cluster.authority.issue_client(f"system:serviceaccount:{lab.namespace}:spegel")
    node = _node_with_kubeconfig(lab, {
        "client-certificate-data": _base64(certificate), "client-key-data": _base64(key)})
    node.start()
    wait_for_leader(lab, [node])


def test_an_api_server_of_another_authority_is_not_trusted(lab: Lab):
    node = lab.pod()
    other = Authority(lab.directory / "other", "another authority")
    (node.account / "ca.crt").write_bytes(other.certificate.read_bytes())
    node.start()
    eventually(lambda: "not signed by the expected authority" in node.log.read_text(), "the reason is told")
    eventually(node.readiness, "it serves what it holds")
    assert lab.cluster.lease(lab.namespace) is None


def test_a_refused_token_is_told(lab: Lab):
    node = lab.pod()
    lab.give_token(node, "nonsense")
    node.start()
    eventually(lambda: "unauthorized at the API server" in node.log.read_text(), "the reason in the log")


_MISTAKES = {
    "no pod": ({"bootstrap-kind": "kubernetes"}, "--kubeconfig"),
    "no kubeconfig": ({"bootstrap-kind": "kubernetes", "kubeconfig": "/nonexistent/config"}, "/nonexistent/config"),
    "no YAML": ({"bootstrap-kind": "kubernetes", "kubeconfig": "/etc/passwd"}, "/etc/passwd"),
    "unknown kind": ({"bootstrap-kind": "dns,telepathy"}, "telepathy"),
    "no URL": ({"bootstrap-kind": "http"}, "--http-bootstrap-peer"),
    "wrong URL": ({"http-bootstrap-peer": "10.1.0.1:5002"}, "10.1.0.1:5002"),
    "no certificate": (
        {"http-bootstrap-peer": "https://10.1.0.1/id", "http-bootstrap-ca": "/nonexistent/ca"}, "/nonexistent/ca"),
    "impossible deadline": (
        {"bootstrap-kind": "kubernetes", "leader-election-renew-deadline": "20s"}, "renew deadline"),
    "wrong namespace": ({"bootstrap-kind": "kubernetes", "leader-election-namespace": "A/B"}, "A/B"),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_a_mistake_is_one_clear_line(bare_lab: Lab, mistake: str):
    options, culprit = _MISTAKES[mistake]
    node = bare_lab.node()
    done = subprocess.run(
        node.command({"log-level": "error", **options}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=15)
    assert done.returncode in (1, 64), done.stdout
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1 and culprit in lines[0], done.stdout


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _node_with_kubeconfig(lab: Lab, user: dict) -> Node:
    """A node that is no pod."""
    file = lab.directory / "kubeconfig"
    # JSON is what a kubeconfig may be as well; the unit tests read YAML.
    lines = [
        "apiVersion: v1", "kind: Config", "current-context: lab", "clusters:", "- name: lab", "  cluster:",
        f"    server: https://{ADDRESS}:{PORT}",
        f"    certificate-authority-data: {_base64(lab.cluster.authority.certificate)}",
        "contexts:", "- name: lab", f"  context: {{cluster: lab, user: node, namespace: {lab.namespace}}}",
        "users:", "- name: node", f"  user: {json.dumps(user)}",
    ]
    file.write_text("\n".join(lines) + "\n")
    return lab.node(bootstrap_kind="kubernetes", kubeconfig=str(file))
