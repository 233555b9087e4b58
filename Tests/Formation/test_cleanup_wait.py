"""The last hook of `helm uninstall` waits for every node that the cleanup must reach.

There is no DaemonSet controller and no kubelet: the tests write the state that these would report.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator

import pytest

from conftest import Lab
from formation import chart
from formation.cluster import ADDRESS, PORT, collection
from harness.process import Process, eventually, tail

NAME = "spegel-cleanup"


class Uninstall:
    """The objects of the hooks in the cluster, and the wait pod's program on a host."""

    def __init__(self, lab: Lab, *, values: dict | None = None, without: tuple[str, ...] = ()):
        self.lab = lab
        self.host = lab.host("wait")
        self.log = lab.directory / "wait.log"
        self.process: Process | None = None
        lab.cluster.create({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": lab.namespace}})
        documents = chart.render(values, namespace=lab.namespace)
        hooks = [each for each in documents if "helm.sh/hook" in each["metadata"].get("annotations", {})]
        [self.pod] = [each for each in hooks if each["kind"] == "Pod"]
        self.daemonset = chart.find(hooks, "DaemonSet", NAME)
        for hook in hooks:
            if hook["kind"] not in ("Pod", *without):
                lab.cluster.create(hook)
        self.account = lab.directory / "account"
        self.account.mkdir()
        shutil.copy(lab.cluster.authority.certificate, self.account / "ca.crt")
        (self.account / "namespace").write_text(lab.namespace)
        account = self.pod["spec"]["serviceAccountName"]
        (self.account / "token").write_text(lab.cluster.token(lab.namespace, account))

    def report(self, desired: int, ready: int = 0) -> None:
        """Writes what the DaemonSet controller has counted."""
        current = self.lab.cluster.request("GET", f"{collection(self.daemonset)}/{NAME}").body
        current["status"] = {
            "desiredNumberScheduled": desired, "currentNumberScheduled": desired, "numberMisscheduled": 0,
            "numberReady": ready, "observedGeneration": current["metadata"]["generation"]}
        path = f"{collection(self.daemonset)}/{NAME}/status"
        assert self.lab.cluster.request("PUT", path, current).status == 200

    def add_pod(self, node: str, status: dict) -> None:
        template = self.daemonset["spec"]["template"]
        pod = {
            "apiVersion": "v1", "kind": "Pod", "spec": {**template["spec"], "nodeName": node},
            "metadata": {
                "name": f"{NAME}-{node}", "namespace": self.lab.namespace, "labels": template["metadata"]["labels"]}}
        # No controller of taints and priorities runs.
        pod["spec"].pop("priorityClassName", None)
        self.lab.cluster.create(pod)
        self.set_status(node, status)

    def set_status(self, node: str, status: dict) -> None:
        path = f"/api/v1/namespaces/{self.lab.namespace}/pods/{NAME}-{node}"
        pod = self.lab.cluster.request("GET", path).body
        pod["status"] = {"phase": "Pending", **status}
        answer = self.lab.cluster.request("PUT", f"{path}/status", pod)
        assert answer.status == 200, answer

    def start(self, *more: str, process_one: bool = False) -> None:
        arguments = [each for each in self.pod["spec"]["containers"][0]["args"] if not each.startswith("--timeout")]
        folder = "/run/secrets/kubernetes.io/serviceaccount"
        script = f'mount -t tmpfs tmpfs /run && mkdir -p {folder} && mount --bind "{self.account}" {folder} && '
        launcher = ["unshare", "--pid", "--fork", "--kill-child"] if process_one else []
        command = self.host.command([
            *launcher, "sh", "-c", script + 'exec "$0" "$@"', os.environ["SPEGEL_BIN"], *arguments, "--period=200ms",
            *(more or ("--timeout=60s",))])
        self.process = Process("cleanup-wait", command, self.log, env={
            "KUBERNETES_SERVICE_HOST": ADDRESS, "KUBERNETES_SERVICE_PORT": str(PORT)})

    def waits_for(self, text: str) -> None:
        eventually(lambda: text in self.log.read_text(), f"the log says '{text}'", timeout=20)
        assert self.process.is_running, tail(self.log)

    def close(self) -> None:
        if self.process:
            self.process.stop()


@pytest.fixture
def uninstall(bare_lab: Lab) -> Iterator[Uninstall]:
    with contextlib.closing(Uninstall(bare_lab)) as uninstall:
        yield uninstall


READY = {"phase": "Running", "podIP": "10.1.9.1", "conditions": [{"type": "Ready", "status": "True"}]}


def test_waits_for_a_node_whose_pod_has_no_address(uninstall: Uninstall):
    """A kubelet that stands still: two of three nodes are done, and the third has no address to ask."""
    uninstall.report(desired=3, ready=2)
    for node in ("n1", "n2"):
        uninstall.add_pod(node, READY)
    uninstall.add_pod("n3", {})
    uninstall.start()
    uninstall.waits_for("1 of 3 nodes are not done (n3: its pod has no address yet)")
    uninstall.set_status("n3", {"containerStatuses": [{
        "name": "cleanup", "image": "x", "imageID": "", "ready": False, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff"}}}]})
    uninstall.waits_for("n3: its pod has no address yet, ImagePullBackOff")
    uninstall.set_status("n3", READY)
    assert uninstall.process.wait(20) == 0, tail(uninstall.log)


def test_waits_for_nodes_without_a_pod(uninstall: Uninstall):
    uninstall.report(desired=3)
    uninstall.add_pod("n1", READY)
    uninstall.start()
    uninstall.waits_for("2 of 3 nodes are not done")
    # The count of the controller is enough: it changes when nodes leave.
    uninstall.report(desired=3, ready=3)
    assert uninstall.process.wait(20) == 0, tail(uninstall.log)


def test_waits_until_the_nodes_are_counted(uninstall: Uninstall):
    uninstall.start()
    uninstall.waits_for("has not counted the nodes")
    uninstall.report(desired=0)
    assert uninstall.process.wait(20) == 0, tail(uninstall.log)


def test_asks_a_pod_that_kubernetes_does_not_report_as_ready_yet(uninstall: Uninstall):
    lab = uninstall.lab
    host = lab.host("n1")
    uninstall.report(desired=1)
    uninstall.add_pod("n1", {"podIP": host.address})
    uninstall.start()
    uninstall.waits_for("n1: ")
    folder = lab.directory / "certs.d"
    folder.mkdir()
    cleanup = Process("cleanup", host.command([
        os.environ["SPEGEL_BIN"], "cleanup", "--addr=:8080", f"--containerd-registry-config-path={folder}",
    ]), lab.directory / "cleanup.log")
    try:
        assert uninstall.process.wait(20) == 0, tail(uninstall.log)
    finally:
        cleanup.stop()


def test_timeout_names_the_nodes_and_what_to_do(uninstall: Uninstall):
    uninstall.report(desired=2, ready=1)
    uninstall.add_pod("n1", READY)
    uninstall.add_pod("n2", {})
    uninstall.start("--timeout=1s")
    assert uninstall.process.wait(20) == 1
    last = uninstall.log.read_text().splitlines()[-1]
    assert "n2: its pod has no address yet" in last and "n1" not in last
    assert "helm install" in last and "helm uninstall" in last


def test_missing_right_is_named(bare_lab: Lab):
    with contextlib.closing(Uninstall(bare_lab, without=("RoleBinding",))) as uninstall:
        uninstall.start("--timeout=1s")
        assert uninstall.process.wait(20) == 1
        assert "get on daemonsets" in uninstall.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_ends_on_a_signal_as_process_one(uninstall: Uninstall, number: signal.Signals):
    """The kernel ignores signals to process 1 that it does not handle, and the kubelet would wait for its grace period."""
    uninstall.start(process_one=True)
    uninstall.waits_for("has not counted the nodes")
    [child] = _children(uninstall.process.pid)
    os.kill(child, number)
    # The kubelet's grace period is 30 s. A busy kernel takes seconds to remove namespaces.
    uninstall.process.wait(15)


def test_ends_on_a_signal_while_it_resolves_a_name(uninstall: Uninstall):
    """Half-way: a name server that does not answer."""
    resolver = uninstall.lab.directory / "resolv.conf"
    resolver.write_text("nameserver 10.1.9.9\noptions timeout:30\n")
    command = uninstall.host.command([
        "unshare", "--pid", "--fork", "--kill-child", "sh", "-c",
        f'mount --bind "{resolver}" /etc/resolv.conf && exec "$0" "$@"', os.environ["SPEGEL_BIN"], "cleanup-wait",
        "--probe-endpoint=silent.example:8080", "--log-level=debug"])
    uninstall.process = Process("cleanup-wait", command, uninstall.log)
    [child] = eventually(lambda: _spegels(uninstall.process.pid), "it runs")
    eventually(lambda: int(_status(child, "Threads")) > 2, "it has begun")
    os.kill(child, signal.SIGTERM)
    uninstall.process.wait(15)


def _status(pid: int, field: str) -> str:
    with open(f"/proc/{pid}/status") as status:
        [value] = re.findall(rf"^{field}:\s*(.*)$", status.read(), re.MULTILINE)
    return value


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(word) for word in children.read().split()]


def _spegels(pid: int) -> list[int]:
    return [child for child in _children(pid) if _status(child, "Name").startswith("spegel")]
