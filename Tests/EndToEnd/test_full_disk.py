"""`spegel configuration` and `spegel cleanup` on a disk that becomes full at any point of their work."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clients import ClientFailed, clean_up
from harness.process import run
from test_killed_configuration import configure_command, is_in_force, make, tree_without_root
from test_posted_hosts import tree

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Enough pages or files for a whole run.
_ENOUGH = 60


class _Disk:
    """A small file system whose free space a test sets."""

    def __init__(self, folder: Path, kind: str):
        folder.mkdir()
        self.folder = folder
        self._kind = kind
        self._filler = folder / "filler"
        run(["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=300", "tmpfs", folder])

    def leave(self, count: int) -> None:
        """Leaves room for some pages, or some files."""
        self.free()
        self._filler.mkdir()
        status = os.statvfs(self.folder)
        if self._kind == "space":
            with open(self._filler / "pages", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, (status.f_bfree - count) * status.f_frsize)
        else:
            for number in range(status.f_ffree - count):
                (self._filler / str(number)).touch()

    def free(self) -> None:
        if self._filler.exists():
            for path in self._filler.iterdir():
                path.unlink()
            self._filler.rmdir()

    def close(self) -> None:
        run(["umount", "--lazy", self.folder])


@pytest.fixture(params=["space", "files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Disk]:
    disk = _Disk(tmp_path / "disk", request.param)
    yield disk
    disk.close()


def _run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def test_full_disk_loses_nothing(spegel_binary: Path, disk: _Disk):
    failures = 0
    for room in range(_ENOUGH):
        folder = make(disk.folder / f"certs-{room}")
        original = tree_without_root(folder)
        disk.leave(room)
        done = _run(configure_command(spegel_binary, folder))
        assert is_in_force(folder), f"room for {room}"
        if done.returncode:
            failures += 1
            assert done.returncode == 1 and "No space left on device" in done.stderr, done.stderr
        disk.free()
        # The next run completes, or clean-up follows at once.
        if room % 2:
            assert _run(configure_command(spegel_binary, folder)).returncode == 0
            assert "127.0.0.1:1" in (folder / "docker.io/hosts.toml").read_text()
            assert sorted(path.name for path in folder.glob("_backup*")) == ["_backup", "_backup.manifest"]
        clean_up(spegel_binary, folder)
        assert tree_without_root(folder) == original, f"room for {room}"
        run(["rm", "-r", folder])
        if not done.returncode and room > 2:
            break
    assert 2 < failures < _ENOUGH - 1, failures


def test_full_disk_during_the_clean_up(spegel_binary: Path, disk: _Disk):
    for room in range(8):
        folder = make(disk.folder / f"certs-{room}")
        original = tree_without_root(folder)
        assert _run(configure_command(spegel_binary, folder)).returncode == 0
        # What an administrator changed meanwhile has to be backed up first.
        (folder / "quay.io").mkdir()
        (folder / "quay.io/hosts.toml").write_text('server = "https://y.corp"\n')
        disk.leave(room)
        try:
            clean_up(spegel_binary, folder)
        except ClientFailed as failure:
            assert "No space left on device" in str(failure)
        assert is_in_force(folder), f"room for {room}"
        assert "y.corp" in (folder / "quay.io/hosts.toml").read_text()
        disk.free()
        clean_up(spegel_binary, folder)
        found = tree_without_root(folder)
        assert found.pop("quay.io/hosts.toml") and found.pop("quay.io")
        assert found == original, f"room for {room}"
        run(["rm", "-r", folder])


def test_full_disk_and_registries_conf(spegel_binary: Path, disk: _Disk):
    folder = disk.folder / "registries.conf.d"
    folder.mkdir()
    (folder / "corp.conf").write_text('[[registry]]\nlocation = "docker.io"\n')
    original = tree(folder)
    del original["."]
    command = [
        spegel_binary, "configuration", "--format=registries.conf", f"--registries-conf-dir={folder}",
        "--mirror-targets=http://127.0.0.1:1", "--mirrored-registries=https://docker.io"]
    failures = 0
    for room in range(_ENOUGH):
        disk.leave(room)
        done = _run(command)
        found = tree(folder)
        del found["."]
        if done.returncode == 0:
            break
        failures += 1
        assert "No space left on device" in done.stderr and found == original
    assert failures
    # Full again: the file is whole, in its old form.
    written = (folder / "zz-spegel.conf").read_bytes()
    disk.leave(0)
    done = _run([*command, "--tags=fresh"])
    assert done.returncode == 1 and (folder / "zz-spegel.conf").read_bytes() == written
    disk.free()
    assert _run([*command, "--tags=fresh"]).returncode == 0
    clean_up(spegel_binary, disk.folder / "none", f"--registries-conf-dir={folder}")
    found = tree(folder)
    del found["."]
    assert found == original
