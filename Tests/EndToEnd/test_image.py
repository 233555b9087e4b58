"""The container image of `make image`: its content, and that it runs under a real containerd and runc."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import registry
from harness.containerd import snapshotter
from harness.lab import Lab
from harness.process import eventually, run
from harness.spegel import ROUTER_PORT, configure

_ROOT = Path(__file__).parents[2]
_LAYOUT = _ROOT / ".build/image"
_ARCHIVE = _ROOT / ".build/image.tar"


@pytest.fixture(scope="module")
def image() -> dict:
    """The image's manifest."""
    if not _ARCHIVE.exists():
        pytest.fail("image not found: run `make image`", pytrace=False)
    index = json.loads((_LAYOUT / "index.json").read_text())
    return json.loads(_blob(index["manifests"][0]).read_text())


def _blob(descriptor: dict) -> Path:
    return _LAYOUT / "blobs" / descriptor["digest"].replace(":", "/")


def _entries(image: dict) -> list[tarfile.TarInfo]:
    entries = []
    for layer in image["layers"]:
        with tarfile.open(_blob(layer)) as tar:
            entries += tar.getmembers()
    return entries


def test_contains_only_the_program(image: dict) -> None:
    files = {entry.name for entry in _entries(image) if entry.isfile()}
    assert {"spegel", "etc/ssl/certs/ca-certificates.crt", "usr/share/doc/spegel/sbom.spdx.json"} <= files
    documents = {name for name in files if name.startswith("usr/share/doc/spegel/")}
    assert files - documents == {"spegel", "etc/ssl/certs/ca-certificates.crt"}
    assert all(entry.uid == entry.gid == 0 and not entry.mode & 0o7022 for entry in _entries(image))
    assert sum(layer["size"] for layer in image["layers"]) <= 25_000_000


def test_dockerfile_builds_in_a_folder_whose_path_is_not_in_the_program() -> None:
    """scripts/image rejects a program that contains the path of its build folder."""
    [folder] = re.findall(r"^WORKDIR (\S+)$", (_ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert folder.encode() not in (_ROOT / ".build/release/spegel").read_bytes()


def test_lists_its_packages(image: dict) -> None:
    config = json.loads(_blob(image["config"]).read_text())
    labels = config["config"]["Labels"]
    version = run([_ROOT / ".build/release/spegel", "version"]).split()[-1]
    assert labels["org.opencontainers.image.version"] == version
    with tarfile.open(_blob(image["layers"][1])) as tar:
        parts = json.load(tar.extractfile("usr/share/doc/spegel/sbom.spdx.json"))
    names = {part["name"] for part in parts["packages"]}
    assert {"spegel", "swift", "swift-nio", "grpc-swift-2", "glibc", "ca-certificates"} <= names
    assert "benchmark" not in names and "swift-subprocess" not in names
    assert all(part["versionInfo"] not in ("", "unknown") for part in parts["packages"])


def test_is_reproducible(image: dict) -> None:
    digests = set()
    for _ in range(2):
        run([_ROOT / "scripts/image"], timeout=120)
        digests.add(hashlib.sha256(_ARCHIVE.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_runs_under_runc(lab: Lab, spegel_binary: Path, image: dict) -> None:
    first, second = lab.add_nodes(2)
    lab.add_spegels([first], spegel_binary)
    pushed = lab.push("from/a/container")
    first.pull(pushed.by_tag)

    containerd = second.containerd
    run(containerd.ctr("images", "import", "--snapshotter", snapshotter(), _ARCHIVE))
    name = json.loads((_LAYOUT / "index.json").read_text())["manifests"][0]["annotations"]["io.containerd.image.name"]
    assert name in containerd.names()
    mounts = {containerd.socket.parent: "/run/containerd", containerd.content_path: "/content"}
    flags = ["--snapshotter", snapshotter(), "--net-host", "--read-only", "--runc-root", second.directory / "runc"]
    for source, target in mounts.items():
        flags += ["--mount", f"type=bind,src={source},dst={target},options=rbind:ro"]
    # A folder of its own for the identity, like the chart's emptyDir.
    data = second.directory / "data"
    data.mkdir()
    flags += ["--mount", f"type=bind,src={data},dst=/var/lib/spegel,options=rbind:rw"]
    configure(spegel_binary, containerd.registry_configuration)
    log = second.directory / "container.log"
    with log.open("wb") as output:
        client = subprocess.Popen(
            containerd.ctr(
                "run", "--rm", *flags, name, "spegel", "/spegel", "registry",
                f"--mirrored-registries={registry.URL}", "--containerd-content-path=/content",
                "--containerd-registry-config-path=/run/containerd/certs.d",
                f"--static-bootstrap-peers=/ip4/{first.host.address}/tcp/{ROUTER_PORT}"),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        lab.prepare_spegels([second], spegel_binary)

        def is_ready() -> bool:
            assert client.poll() is None, log.read_text()
            try:
                return second.spegel.request("GET", "/readyz").status == 200
            except OSError:
                return False

        eventually(is_ready, "the container is ready", timeout=30)
        lab.registry.stop()
        second.pull(pushed.by_tag)
        assert second.holds(pushed)
        run(containerd.ctr("tasks", "kill", "--signal", "SIGTERM", "spegel"))
        assert client.wait(30) == 0, log.read_text()
    finally:
        if client.poll() is None:
            subprocess.run(containerd.ctr("tasks", "kill", "--signal", "SIGKILL", "spegel"), check=False)
            client.wait(20)
