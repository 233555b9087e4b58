"""Clients other than containerd, with folders of their own: podman, skopeo, buildah, Docker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from .containerd import Installation
from .network import Host
from .process import Process, eventually

#: The tools that read registries.conf, in the form of CRI-O's library.
TOOLS = ("podman", "buildah", "skopeo")
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


def clean_up(binary: Path, folder: Path, *flags: str) -> None:
    """Runs `spegel cleanup` until it has restored the folder of containerd's registry configuration."""
    process = subprocess.Popen(
        [binary, "cleanup", "--addr=127.0.0.1:0", f"--containerd-registry-config-path={folder}", "--log-format=text",
         *flags],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "restore in" in line or "restored containerd's" in line:
                break
        else:
            raise ClientFailed("".join(lines))
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


class ClientFailed(Exception):
    """A client could not do what it was asked; the text is its error."""


def in_own_etc(containers: Path, command: Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
    """A command that finds a folder at /etc/containers."""
    bind_and_execute = 'mount --bind "$0" /etc/containers && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", bind_and_execute, containers, *command]


def write_policy(containers: Path) -> None:
    """Makes a folder for /etc/containers that accepts images without a signature."""
    (containers / "registries.conf.d").mkdir(parents=True, exist_ok=True)
    (containers / "policy.json").write_text(json.dumps(_POLICY))


class ContainersTools:
    """podman, buildah and skopeo on a host, with images of their own."""

    def __init__(self, host: Host, directory: Path):
        self._host = host
        self._directory = directory
        self.etc = directory / "etc-containers"
        # podman wants a short path.
        self._runs = tempfile.mkdtemp(prefix="spegel-")
        weakref.finalize(self, shutil.rmtree, self._runs, ignore_errors=True)
        write_policy(self.etc)

    @property
    def drop_ins(self) -> Path:
        return self.etc / "registries.conf.d"

    def pull(self, tool: str, name: str) -> str:
        """Pulls an image, and returns the digest of its manifest, or of its index if it has one."""
        storage = [f"--root={self._directory / tool}", f"--runroot={self._runs}/{tool}", "--storage-driver=vfs"]
        if tool == "skopeo":
            target = self._directory / "skopeo"
            shutil.rmtree(target, ignore_errors=True)
            self._run(["skopeo", "copy", "--all", "--preserve-digests", f"docker://{name}", f"oci:{target}"])
            [manifest] = json.loads((target / "index.json").read_text())["manifests"]
            return manifest["digest"]
        self._run([tool, *storage, "pull", "--quiet", name])
        if tool == "buildah":
            return json.loads(self._run([tool, *storage, "images", "--json"]))[0]["digest"]
        return self._run([tool, *storage, "image", "inspect", "--format={{.Digest}}", name]).strip()

    def _run(self, command: Sequence[str]) -> str:
        return _run(self._host.command(in_own_etc(self.etc, command)))


class Docker:
    """A dockerd on a host, with a containerd of its own."""

    def __init__(
        self, installation: Installation, host: Host, directory: Path, *, programs: Path | None = None,
        settings: dict | None = None,
    ):
        directory.mkdir()
        self._host = host
        self._directory = directory
        self.log = directory / "dockerd.log"
        self._programs = programs
        self._containerd_socket = directory / "containerd.sock"
        (directory / "containerd.toml").write_text(f"""\
version = 2
root = "{directory}/containerd"
state = "{directory}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
address = "{self._containerd_socket}"
[ttrpc]
address = "{self._containerd_socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"
""")
        self._configuration = directory / "daemon.json"
        self._configuration.write_text(json.dumps({
            "data-root": f"{directory}/root", "exec-root": f"{directory}/exec", "pidfile": f"{directory}/pid",
            "hosts": [f"unix://{directory}/docker.sock"], "containerd": str(self._containerd_socket),
            "iptables": False, "ip6tables": False, "bridge": "none", "ip-forward": False, **(settings or {})}))
        self._containerd = Process(
            "containerd of Docker",
            host.command([installation.containerd, "--config", directory / "containerd.toml"]),
            directory / "containerd.log")
        eventually(self._containerd_socket.exists, "Docker's containerd listens", timeout=20)
        self._process: Process | None = None
        self.start()

    @property
    def containerd_socket(self) -> Path:
        return self._containerd_socket

    @property
    def content_path(self) -> Path:
        return self._directory / "containerd" / "io.containerd.content.v1.content"

    def start(self) -> None:
        program = self._programs / "dockerd" if self._programs else "dockerd"
        self._process = Process(
            "dockerd", self._host.command([program, "--config-file", self._configuration]), self.log)
        eventually(self._is_serving, "dockerd answers", timeout=30)

    def run(self, *arguments: str | os.PathLike, env: dict[str, str] | None = None) -> str:
        """The output of a docker command."""
        program = self._programs / "docker" if self._programs else "/usr/bin/docker"
        return _run(
            self._host.command([program, f"--host=unix://{self._directory}/docker.sock", *arguments]), env)

    def _is_serving(self) -> bool:
        if not self._process.is_running:
            raise AssertionError(f"dockerd ended with {self._process.exit_code}")
        try:
            self.run("version")
        except ClientFailed:
            return False
        return True

    def close(self) -> None:
        if self._process:
            self._process.stop(20)
        self._containerd.stop()


def _run(command: Sequence[str | os.PathLike], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
        env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise ClientFailed(done.stderr.strip()[-2000:] or done.stdout[-2000:])
    return done.stdout
