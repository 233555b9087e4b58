"""`spegel configuration` writes containerd's hosts.toml files and keeps the previous ones."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness import registry
from harness.spegel import configure

_TARGET = "http://127.0.0.1:5000"
_BACKUP = "_backup"
_EXISTING = {
    "docker.io/hosts.toml": 'server = "https://registry-1.docker.io"\n[host."https://mirror.corp.example"]\n',
    "registry.lab:5000/hosts.toml":
        'server = "http://registry.lab:5000"\n[host."http://cache.lab:5000"]\ncapabilities = ["pull"]\n',
    "registry.lab:5000/ca.crt": "not really a certificate\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an administrator's files."""
    folder = tmp_path / "certs.d"
    for name, content in _EXISTING.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _hosts(folder: Path) -> dict:
    """The hosts.toml of the upstream registry, whose folder containerd finds under either name."""
    found = [folder / name / "hosts.toml" for name in ("registry.lab:5000", "registry.lab_5000_")]
    [file] = [path for path in found if path.exists()]
    return tomllib.loads(file.read_text())


def test_writes_mirror_of_registry(spegel_binary: Path, tmp_path: Path):
    folder = tmp_path / "certs.d"
    folder.mkdir()
    configure(spegel_binary, folder)
    hosts = _hosts(folder)
    assert hosts["server"] == registry.URL
    assert list(hosts["host"]) == [_TARGET]
    assert hosts["host"][_TARGET]["capabilities"] == ["pull", "resolve"]


def test_tags_may_be_left_to_the_registry(spegel_binary: Path, tmp_path: Path):
    configure(spegel_binary, tmp_path, {"resolve-tags": "false"})
    assert _hosts(tmp_path)["host"][_TARGET]["capabilities"] == ["pull"]


def test_backup_survives_second_run(spegel_binary: Path, folder: Path):
    configure(spegel_binary, folder)
    assert _files(folder / _BACKUP) == _EXISTING
    assert list(_hosts(folder)["host"]) == [_TARGET]
    written = _files(folder)
    # Nothing asked for a change of this one.
    assert written["docker.io/hosts.toml"] == _EXISTING["docker.io/hosts.toml"]

    configure(spegel_binary, folder)
    assert _files(folder) == written

    # A run with other settings must not take the files of the first run for an administrator's.
    configure(spegel_binary, folder, {"mirror-targets": "http://127.0.0.1:30020"})
    assert _files(folder / _BACKUP) == _EXISTING
    assert list(_hosts(folder)["host"]) == ["http://127.0.0.1:30020"]


def test_existing_hosts_are_kept_behind_the_mirror(spegel_binary: Path, folder: Path):
    for _ in range(2):
        configure(spegel_binary, folder, {"prepend-existing": "true"})
        assert _files(folder / _BACKUP) == _EXISTING
        hosts = _hosts(folder)
        assert hosts["server"] == registry.URL
        assert list(hosts["host"]) == [_TARGET, "http://cache.lab:5000"]
        assert hosts["host"]["http://cache.lab:5000"]["capabilities"] == ["pull"]
