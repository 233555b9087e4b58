"""`spegel configuration` and `spegel cleanup`, killed at every system call that changes files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.clients import clean_up
from test_posted_hosts import tree

_CALLS = (
    "mkdir", "rename", "link", "unlink", "unlinkat", "rmdir", "fsync", "utimensat", "fchmod", "chmod", "write")
_FILES = {
    "docker.io/hosts.toml": '[host."https://z.corp"]\nca = "ca.crt"\n',
    "docker.io/ca.crt": "certificate",
    "ghcr.io/hosts.toml": 'server = "https://x.corp"\n',
    "cert.corp/client.cert": "certificate",
}


def make(folder: Path) -> Path:
    for name, content in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "docker.io").chmod(0o700)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, ns=(1_600_000_000_123_456_789,) * 2)
    return folder


def tree_without_root(folder: Path) -> dict[str, tuple]:
    """All but the time of the folder itself, which a killed run has changed and cannot give back."""
    found = tree(folder)
    del found["."]
    return found


def configure_command(binary: Path, folder: Path) -> list[str | Path]:
    return [
        binary, "configuration", f"--containerd-registry-config-path={folder}", "--mirror-targets=http://127.0.0.1:1",
        "--prepend-existing=true", f"--containerd-sock={folder}/none.sock"]


def is_in_force(folder: Path) -> bool:
    """Each registry has its hosts and its certificates, with the mirror or without."""
    return (
        "z.corp" in (folder / "docker.io/hosts.toml").read_text()
        and (folder / "docker.io/ca.crt").read_text() == "certificate"
        and "x.corp" in (folder / "ghcr.io/hosts.toml").read_text()
        and (folder / "cert.corp/client.cert").read_text() == "certificate")


@pytest.mark.parametrize("call", _CALLS)
def test_killed_run_loses_nothing(spegel_binary: Path, tmp_path: Path, call: str):
    for number in range(1, 100):
        folder = make(tmp_path / f"{call}-{number}")
        original = tree_without_root(folder)
        killed = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}", *configure_command(spegel_binary, folder)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert is_in_force(folder), f"{call} {number}"
        # The next run completes, or clean-up follows at once.
        if number % 2:
            subprocess.run(configure_command(spegel_binary, folder), check=True, capture_output=True, timeout=60)
            assert "127.0.0.1:1" in (folder / "docker.io/hosts.toml").read_text()
            assert sorted(path.name for path in folder.glob("_backup*")) == ["_backup", "_backup.manifest"]
        clean_up(spegel_binary, folder)
        assert tree_without_root(folder) == original, f"{call} {number}"
        if killed.returncode == 0:
            return
        assert killed.returncode in (-9, 137), killed.stderr
    pytest.fail("too many calls")


@pytest.mark.parametrize("call", ("mkdir", "rename", "fsync", "fchmod", "write"))
def test_killed_run_for_registries_conf_loses_nothing(spegel_binary: Path, tmp_path: Path, call: str):
    """The file is whole at any time: in its old form, in its new one, or not there yet."""
    for number in range(1, 40):
        folder = tmp_path / f"{call}-{number}" / "registries.conf.d"
        folder.mkdir(parents=True)
        (folder / "corp.conf").write_text('[[registry]]\nlocation = "docker.io"\ninsecure = true\n')
        original = tree_without_root(folder)
        command = [
            spegel_binary, "configuration", "--format=registries.conf", f"--registries-conf-dir={folder}",
            "--mirror-targets=http://127.0.0.1:1", "--mirrored-registries=https://docker.io"]
        forms = [None]
        if number % 2:
            subprocess.run([*command, "--tags=fresh"], check=True, capture_output=True, timeout=60)
            forms = [(folder / "zz-spegel.conf").read_text()]
        killed = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}", *command],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        file = folder / "zz-spegel.conf"
        found = file.read_text() if file.exists() else None
        if number % 3:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            forms.append(file.read_text())
            assert found in forms, f"{call} {number}"
            assert {path.name for path in folder.iterdir()} == {"corp.conf", "zz-spegel.conf"}
        clean_up(spegel_binary, tmp_path / "none", f"--registries-conf-dir={folder}")
        assert tree_without_root(folder) == original, f"{call} {number}"
        if killed.returncode == 0:
            return
        assert killed.returncode in (-9, 137), killed.stderr
    pytest.fail("too many calls")
