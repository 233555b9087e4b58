"""`spegel configuration` and `spegel cleanup`, killed at every system call that changes files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from test_posted_hosts import _clean_up, tree

_CALLS = (
    "mkdir", "rename", "link", "unlink", "unlinkat", "rmdir", "fsync", "utimensat", "fchmod", "chmod", "write")
_FILES = {
    "docker.io/hosts.toml": '[host."https://z.corp"]\nca = "ca.crt"\n',
    "docker.io/ca.crt": "certificate",
    "ghcr.io/hosts.toml": 'server = "https://x.corp"\n',
    "cert.corp/client.cert": "certificate",
}


def _make(folder: Path) -> Path:
    for name, content in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "docker.io").chmod(0o700)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, ns=(1_600_000_000_123_456_789,) * 2)
    return folder


def _tree(folder: Path) -> dict[str, tuple]:
    """All but the time of the folder itself, which a killed run has changed and cannot give back."""
    found = tree(folder)
    del found["."]
    return found


def _configure(binary: Path, folder: Path) -> list[str | Path]:
    return [
        binary, "configuration", f"--containerd-registry-config-path={folder}", "--mirror-targets=http://127.0.0.1:1",
        "--prepend-existing=true", f"--containerd-sock={folder}/none.sock"]


def _is_in_force(folder: Path) -> bool:
    """Each registry has its hosts and its certificates, with the mirror or without."""
    return (
        "z.corp" in (folder / "docker.io/hosts.toml").read_text()
        and (folder / "docker.io/ca.crt").read_text() == "certificate"
        and "x.corp" in (folder / "ghcr.io/hosts.toml").read_text()
        and (folder / "cert.corp/client.cert").read_text() == "certificate")


@pytest.mark.parametrize("call", _CALLS)
def test_killed_run_loses_nothing(spegel_binary: Path, tmp_path: Path, call: str):
    for number in range(1, 100):
        folder = _make(tmp_path / f"{call}-{number}")
        original = _tree(folder)
        killed = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}", *_configure(spegel_binary, folder)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert _is_in_force(folder), f"{call} {number}"
        # The next run completes, or clean-up follows at once.
        if number % 2:
            subprocess.run(_configure(spegel_binary, folder), check=True, capture_output=True, timeout=60)
            assert "127.0.0.1:1" in (folder / "docker.io/hosts.toml").read_text()
            assert sorted(path.name for path in folder.glob("_backup*")) == ["_backup", "_backup.manifest"]
        _clean_up(spegel_binary, folder)
        assert _tree(folder) == original, f"{call} {number}"
        if killed.returncode == 0:
            return
        assert killed.returncode in (-9, 137), killed.stderr
    pytest.fail("too many calls")
