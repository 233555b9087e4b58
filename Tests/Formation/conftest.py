"""Fixtures: a control plane for all tests, and a lab for each.

SPEGEL_BIN     the Spegel under test
APISERVER_BIN  the kube-apiserver
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from formation import chart
from formation.cluster import ADDRESS, PORT, Cluster
from formation.dns import Dns
from formation.node import Node
from harness.network import Network, remove_stale_namespaces
from harness.process import tail

_TOOLS = ("dnsmasq", "etcd", "ip", "nsenter", "openssl", "prometheus", "promtool", "setpriv", "unshare")
_serial = itertools.count(1)
_lab = pytest.StashKey["Lab"]()


def pytest_configure() -> None:
    # SIGTERM takes the lab down like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if os.geteuid() != 0:
        pytest.exit("the formation tests create network namespaces: run them as root", returncode=3)
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    missing += [name for name in ("SPEGEL_BIN", "APISERVER_BIN") if not os.access(os.environ.get(name, ""), os.X_OK)]
    if missing:
        pytest.exit(f"not found: {', '.join(missing)} (scripts/test-formation sets up all)", returncode=3)
    remove_stale_namespaces()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Shows the last lines of every log after a failure."""
    report = yield
    if report.failed and _lab in item.stash:
        report.sections.extend(item.stash[_lab].report())
    return report


class Lab:
    """A Kubernetes namespace and nodes for one test."""

    def __init__(self, network: Network, cluster: Cluster, directory: Path):
        self.network = network
        self.cluster = cluster
        self.directory = directory
        self.nodes: list[Node] = []
        self.namespace = f"spegel-{next(_serial)}"
        self.binary = Path(os.environ["SPEGEL_BIN"]).resolve()
        self._closing = contextlib.ExitStack()

    def host(self, name: str):
        """A new host of this test; addresses are not reused."""
        number = next(_serial)
        return self.network.add_host(f"{name}{number}", f"10.1.0.{number}")

    def node(self, **options: str) -> Node:
        """A node with these flags that is not started; underscores stand for dashes."""
        host = self.host("node")
        flags = {name.replace("_", "-"): value for name, value in options.items()}
        node = Node(self.binary, host, self.directory / host.name, flags, {})
        self.nodes.append(node)
        self._closing.callback(node.close)
        return node

    def pod(self, **options: str) -> Node:
        """A node with the environment and files of a pod of the chart."""
        node = self.node(bootstrap_kind="kubernetes", **options)
        node.environment = {"KUBERNETES_SERVICE_HOST": ADDRESS, "KUBERNETES_SERVICE_PORT": str(PORT)}
        node.account = self.directory / f"{node.name}-account"
        node.account.mkdir()
        shutil.copy(self.cluster.authority.certificate, node.account / "ca.crt")
        (node.account / "namespace").write_text(self.namespace)
        self.give_token(node, self.cluster.token(self.namespace, "spegel"))
        return node

    def give_token(self, node: Node, token: str) -> None:
        """Replaces the token like the kubelet."""
        new = node.account / "token.new"
        new.write_text(token)
        new.rename(node.account / "token")

    def install_rights(self, *kinds: str) -> None:
        chart.install(self.cluster, self.namespace, kinds or ("ServiceAccount", "Role", "RoleBinding"))

    def started_pods(self, count: int) -> list[Node]:
        nodes = [self.pod() for _ in range(count)]
        for node in nodes:
            node.start()
        return nodes

    def dns(self) -> Dns:
        dns = Dns(self.host("dns"), self.directory / "dns")
        self._closing.callback(dns.close)
        return dns

    def report(self) -> list[tuple[str, str]]:
        logs = [("API server", tail(self.cluster.directory / "apiserver.log", 15))]
        return logs + [node.report() for node in self.nodes if node.process]

    def close(self) -> None:
        self._closing.close()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    directory = Path(tempfile.mkdtemp(prefix="spegel-formation-"))
    network = Network(directory)
    try:
        yield network
    finally:
        network.delete()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(network: Network) -> Iterator[Cluster]:
    directory = Path(tempfile.mkdtemp(prefix="spegel-cluster-"))
    cluster = Cluster(network, directory, Path(os.environ["APISERVER_BIN"]).resolve())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def bare_lab(request: pytest.FixtureRequest, network: Network, cluster: Cluster, tmp_path: Path) -> Iterator[Lab]:
    """A lab with an empty namespace."""
    lab = Lab(network, cluster, tmp_path)
    request.node.stash[_lab] = lab
    try:
        cluster.create_namespace(lab.namespace)
        yield lab
    finally:
        del request.node.stash[_lab]
        lab.close()


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    """A lab with the chart's service account and its rights in the namespace."""
    bare_lab.install_rights()
    return bare_lab
