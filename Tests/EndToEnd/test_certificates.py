"""Docker's certificate folders, which containerd honours, with a registry that demands a client's certificate."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clients import clean_up
from harness.containerd import PullFailed
from harness.images import Image
from harness.lab import Lab
from harness.node import CLIENTS, Node
from harness.process import Process, eventually, run
from harness.spegel import configure
from test_posted_hosts import tree

pytestmark = pytest.mark.every_containerd(with_1_7=True)

_PORT = 5443
_NAME = f"registry.lab:{_PORT}"


class _Authority:
    """A certificate authority, with a certificate for the registry and one for clients."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.crt"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=Corp CA", "-keyout", folder / "ca.key", "-out", self.ca)
        self._issue("server", "subjectAltName=DNS:registry.lab")
        self._issue("client", "extendedKeyUsage=clientAuth")

    def _issue(self, name: str, extension: str) -> None:
        (self.folder / f"{name}.ext").write_text(extension + "\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.csr")
        self._openssl(
            "x509", "-req", "-in", self.folder / f"{name}.csr", "-CA", self.ca, "-CAkey", self.folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", self.folder / f"{name}.ext",
            "-out", self.folder / f"{name}.crt")

    def _openssl(self, *arguments) -> None:
        run(["openssl", *arguments])


class _SecureRegistry:
    """The lab's registry once more, behind TLS."""

    def __init__(self, lab: Lab, authority: _Authority, demands_client: bool):
        clients = f"clientcas: [{authority.ca}]" if demands_client else ""
        configuration = authority.folder / "registry.yml"
        configuration.write_text(f"""\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {lab.directory}/registry/storage}}}}
http:
  addr: ":{_PORT}"
  tls:
    certificate: {authority.folder}/server.crt
    key: {authority.folder}/server.key
    {clients}
""")
        self._process = Process(
            "secure docker-registry", lab.registry.host.command(["docker-registry", "serve", configuration]),
            authority.folder / "registry.log")

        def is_serving() -> bool:
            try:
                lab.registry.host.connect("127.0.0.1", _PORT).close()
            except OSError:
                return False
            return True

        eventually(is_serving, "the registry accepts connections")

    def stop(self) -> None:
        self._process.stop()


@pytest.fixture(params=["client's certificate", "authority only"])
def secure(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[tuple[_Authority, _SecureRegistry, bool]]:
    authority = _Authority(tmp_path / "authority")
    demands_client = request.param == "client's certificate"
    registry = _SecureRegistry(lab, authority, demands_client)
    yield authority, registry, demands_client
    registry.stop()


def _name(image: Image) -> str:
    return f"{_NAME}/{image.repository}:{image.tag}"


def _pull(node: Node, image: Image) -> None:
    """Pulls with both clients, from nothing."""
    for client in CLIENTS:
        node.containerd.remove_all_images()
        node.pull(_name(image), client)


def test_certificates_before_while_and_after(
    spegel_binary: Path, lab: Lab, secure: tuple[_Authority, _SecureRegistry, bool],
):
    authority, registry, demands_client = secure
    nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, {"mirrored-registries": None})
    first, second = lab.push("team/first"), lab.push("team/second")
    with pytest.raises(PullFailed):
        nodes[0].pull(_name(first))
    originals = {}
    for node in nodes:
        certs = node.containerd.registry_configuration
        clean_up(spegel_binary, certs)
        shutil.rmtree(certs)
        folder = certs / _NAME
        folder.mkdir(parents=True)
        shutil.copy(authority.ca, folder / "ca.crt")
        if demands_client:
            shutil.copy(authority.folder / "client.crt", folder / "client.cert")
            shutil.copy(authority.folder / "client.key", folder / "client.key")
            (folder / "client.key").chmod(0o600)
        originals[node] = tree(certs)
    # Before
    _pull(nodes[0], first)
    nodes[0].containerd.remove_all_images()
    # While, with all registries mirrored, and with this one by its name
    for options in ({"mirrored-registries": None}, {"mirrored-registries": f"https://{_NAME}"}):
        for node in nodes:
            configure(spegel_binary, node.containerd.registry_configuration, options)
        # The mirror has nothing: the registry wants to see the certificates.
        _pull(nodes[0], second)
        path = f"/v2/{second.repository}/manifests/{second.tag}?ns={_NAME}"
        eventually(lambda: nodes[1].spegel.request("HEAD", path).status == 200, "the tag is found")
        # The mirror has all, and serves it while the registry is down.
        registry.stop()
        _pull(nodes[1], second)
        registry = _SecureRegistry(lab, authority, demands_client)
        for node in nodes:
            node.containerd.remove_all_images()
        eventually(lambda: nodes[1].spegel.request("HEAD", path).status == 404, "the tag is withdrawn", timeout=20)
    # After
    for node in nodes:
        clean_up(spegel_binary, node.containerd.registry_configuration)
        assert tree(node.containerd.registry_configuration) == originals[node]
    _pull(nodes[0], first)
    registry.stop()
