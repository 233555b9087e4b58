"""A node's containerd with its own root, state, socket and registry configuration."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc

from .cri import ImageService
from .network import Host
from .process import Process, eventually, run

NAMESPACE = "k8s.io"


@dataclass(frozen=True)
class Installation:
    """The programs of one version of containerd."""

    containerd: Path
    ctr: Path

    @functools.cached_property
    def version(self) -> str:
        output = run([self.containerd, "--version"])
        found = re.search(r"\b\d+\.\d+\.\d+\S*", output)
        if not found:
            raise RuntimeError(f"{self.containerd} --version: expected a version, got {output!r}")
        return found[0]

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@functools.cache
def snapshotter() -> str:
    """overlayfs if the machine can mount it on the temporary folder, otherwise the snapshotter that copies."""
    with tempfile.TemporaryDirectory(prefix="spegel-overlay-") as folder:
        for name in ("lower", "upper", "work", "merged"):
            Path(folder, name).mkdir()
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        mount = ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", options, f"{folder}/merged"]
        return "overlayfs" if subprocess.run(mount, capture_output=True).returncode == 0 else "native"


@dataclass(frozen=True)
class Settings:
    """The settings of a containerd that a test may change."""

    config_path: bool = True
    discard_unpacked_layers: bool = False
    cri: bool = True
    sandbox_image: str = ""


class PullFailed(Exception):
    """containerd could not pull an image; the text is its error."""


class Containerd:
    """A containerd on a host, with a client for each of its two ways to pull."""

    def __init__(self, installation: Installation, host: Host, directory: Path):
        directory.mkdir()
        self.installation = installation
        self.root = directory / "root"
        self.socket = directory / "containerd.sock"
        self.registry_configuration = directory / "certs.d"
        self.registry_configuration.mkdir()
        self.log = directory / "containerd.log"
        self.process: Process | None = None
        self.images = ImageService(self.socket)
        self._host = host
        self._directory = directory
        self._configuration = directory / "config.toml"
        self.configure(Settings())

    def configure(self, settings: Settings) -> None:
        """Writes the configuration file, which takes effect at the next start."""
        self._configuration.write_text(_configuration(self.installation.major, self._directory, settings))

    @property
    def content_path(self) -> Path:
        return self.root / "io.containerd.content.v1.content"

    def start(self) -> None:
        command = self._host.command([self.installation.containerd, "--config", self._configuration])
        self.process = Process("containerd", command, self.log)

    def empty(self) -> None:
        """Restarts it without any content, including unfinished pulls."""
        if self.process.is_running:
            self.process.kill()
        for folder in (self.root, self._directory / "state"):
            shutil.rmtree(folder)
        self.start()

    def wait_until_ready(self) -> None:
        eventually(self._is_serving, f"containerd on {self._host.name} answers", timeout=20)

    def close(self) -> None:
        self.images.close()
        if self.process:
            self.process.stop()

    def pull_with_cri(self, name: str, timeout: float) -> None:
        try:
            self.images.pull(name, timeout)
        except grpc.RpcError as error:
            raise PullFailed(f"{error.code().name}: {error.details()}") from None

    def pull_with_ctr(self, name: str, timeout: float, architecture: str | None = None) -> None:
        platform = ["--platform", f"linux/{architecture}"] if architecture else []
        command = self.ctr(
            "images", "pull", "--snapshotter", snapshotter(), "--hosts-dir", self.registry_configuration,
            *platform, name)
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=timeout)
        except subprocess.TimeoutExpired:
            raise PullFailed(f"ctr images pull {name} timed out after {timeout:g} s") from None
        if done.returncode != 0:
            # Without progress bars.
            words = [line for line in done.stdout.splitlines() if line.startswith(("ctr:", "time="))]
            raise PullFailed("\n".join(words) or done.stdout[-1000:])

    def import_image(self, archive: Path, base_name: str) -> None:
        """Imports an archive, as on nodes without a registry: its content has no source."""
        run(self.ctr("images", "import", "--no-unpack", "--base-name", base_name, archive))

    def content(self) -> set[str]:
        """The digests of all its content."""
        return set(run(self.ctr("content", "ls", "--quiet")).split())

    def names(self) -> set[str]:
        """The names of all its images."""
        return set(run(self.ctr("images", "ls", "--quiet")).split())

    def remove_all_images(self) -> None:
        """Removes every image and waits until the garbage collector has removed the content."""
        names = self.names()
        if names:
            run(self.ctr("images", "rm", "--sync", *sorted(names)))
        eventually(lambda: not self.content(), f"containerd on {self._host.name} has removed the content")

    def tag(self, name: str, other: str) -> None:
        """Gives an image another name."""
        run(self.ctr("images", "tag", name, other))

    def ctr(self, *arguments: str | os.PathLike) -> list[str | os.PathLike]:
        """A ctr command for this containerd."""
        return self._host.command(
            [self.installation.ctr, "--address", self.socket, "--namespace", NAMESPACE, *arguments])

    def _is_serving(self) -> bool:
        if not self.process.is_running:
            raise AssertionError(f"containerd on {self._host.name} ended with {self.process.exit_code}")
        try:
            self.images.names(timeout=2)
        except grpc.RpcError as error:
            # Without its CRI plugin, the service is unknown.
            return error.code() == grpc.StatusCode.UNIMPLEMENTED
        return True


def _configuration(major: int, directory: Path, settings: Settings) -> str:
    """containerd's configuration file: version 2 of the format up to containerd 1.7, version 3 from 2.0 on."""

    def quoted(name: str) -> str:
        return json.dumps(str(directory / name))

    cri = "" if settings.cri else """
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime","""
    config_path = f"config_path = {quoted('certs.d')}" if settings.config_path else ""
    discard = json.dumps(settings.discard_unpacked_layers)
    sandbox = json.dumps(settings.sandbox_image)
    sandbox_image = f"sandbox_image = {sandbox}" if settings.sandbox_image else ""
    pinned = f"""[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {sandbox}""" if settings.sandbox_image else ""
    common = f"""\
root = {quoted("root")}
state = {quoted("state")}
disabled_plugins = [{cri}
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.restart", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = {quoted("containerd.sock")}
[ttrpc]
address = {quoted("containerd.sock.ttrpc")}
[debug]
level = "debug"
[plugins."io.containerd.internal.v1.opt"]
path = {quoted("opt")}
"""
    if major < 2:
        return "version = 2\n" + common + f"""\
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
{sandbox_image}
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = {quoted("cni")}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter()}"
discard_unpacked_layers = {discard}
[plugins."io.containerd.grpc.v1.cri".registry]
{config_path}
"""
    return "version = 3\n" + common + f"""\
[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter()}"
discard_unpacked_layers = {discard}
[plugins."io.containerd.cri.v1.images".registry]
{config_path}
{pinned}
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
conf_dir = {quoted("cni")}
[plugins."io.containerd.grpc.v1.cri"]
stream_server_address = "127.0.0.1"
stream_server_port = "0"
"""
