"""What real containerds ask before, while and after Spegel is installed, for configurations as they are on nodes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clients import clean_up
from harness.resolver import LOCAL_PORT, Registries, Resolver
from posted import CASES, OWN, UNREADABLE, Case

_MIRROR = f"http://127.0.0.1:{LOCAL_PORT}"
_MIRROR6 = f"http://[::1]:{LOCAL_PORT}"


@pytest.fixture(scope="module")
def resolvers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Resolver]]:
    """A containerd of each version that is there: 1.6, 1.7, 2.x."""
    from conftest import all_installations

    found: list[Resolver] = []
    registries = Registries()
    try:
        for installation in all_installations():
            found.append(Resolver(installation, tmp_path_factory.mktemp("resolver") / "containerd", registries))
        yield found
    finally:
        for resolver in found:
            resolver.close()
        registries.close()


def _spegel(binary: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary, "configuration", f"--containerd-registry-config-path={folder}", "--dial-timeout=0",
         f"--containerd-sock={folder}/none.sock", "--log-level=info", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def _configure(binary: Path, folder: Path, *arguments: str) -> None:
    done = _spegel(binary, folder, *arguments)
    assert done.returncode == 0, done.stderr


def _write(folder: Path, case: Case) -> None:
    folder.mkdir()
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, target in case.links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    for name, mode in case.modes.items():
        (folder / name).chmod(mode)
    # Times of long ago, so that a change shows.
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789), follow_symlinks=False)


def tree(folder: Path) -> dict[str, tuple]:
    """All that must come back: content, mode, owner, time and target of a link."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (
            oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return found


def _image(case: Case) -> str:
    return f"{case.registry}/team/app:1"


def _plain(hosts: list[str]) -> list[str]:
    """IPv6 addresses in the one form; containerd sends a `Host` as it was written."""
    return [host.replace(f"//::1:{LOCAL_PORT}", f"//[::1]:{LOCAL_PORT}") for host in hosts]


@pytest.mark.parametrize("name", CASES)
def test_hosts_before_while_and_after(spegel_binary: Path, tmp_path: Path, resolvers: list[Resolver], name: str):
    case = CASES[name]
    folder = tmp_path / "certs.d"
    _write(folder, case)
    original = tree(folder)

    def ask(expected) -> None:
        for resolver in resolvers:
            found = _plain(resolver.hosts(folder, _image(case)))
            assert found == expected(resolver.installation.major), f"containerd {resolver.installation.version}"

    ask(case.hosts_before)
    # Another registry is mirrored: nothing changes for this one.
    _configure(spegel_binary, folder, f"--mirror-targets={_MIRROR}", "--mirrored-registries=https://quay.io")
    ask(case.hosts_before)
    # All are mirrored, and the hosts until now follow.
    for _ in range(2):
        _configure(spegel_binary, folder, f"--mirror-targets={_MIRROR}", "--prepend-existing=true")
        ask(lambda _: [_MIRROR, *case.hosts_meant])
    # By an IPv6 address.
    _configure(spegel_binary, folder, f"--mirror-targets={_MIRROR6}", "--prepend-existing=true")
    ask(lambda _: [_MIRROR6, *(host for host in case.hosts_meant if host != _MIRROR6)])
    # All are mirrored, and only the registry itself follows.
    _configure(spegel_binary, folder, f"--mirror-targets={_MIRROR}")
    ask(lambda _: [_MIRROR, case.hosts_meant[-1]])
    clean_up(spegel_binary, folder)
    assert tree(folder) == original
    ask(case.hosts_before)


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_containerd_cannot_read(
    spegel_binary: Path, tmp_path: Path, resolvers: list[Resolver], name: str,
):
    folder = tmp_path / "certs.d"
    case = Case({"registry.corp:5000/hosts.toml": UNREADABLE[name]}, [OWN])
    _write(folder, case)
    original = tree(folder)
    refused = _spegel(spegel_binary, folder, f"--mirror-targets={_MIRROR}", "--prepend-existing=true")
    assert refused.returncode == 1 and "registry.corp:5000/hosts.toml, line " in refused.stderr
    assert tree(folder)["registry.corp:5000/hosts.toml"] == original["registry.corp:5000/hosts.toml"]
    done = _spegel(spegel_binary, folder, f"--mirror-targets={_MIRROR}")
    assert done.returncode == 0 and "existing hosts.toml malformed" in done.stderr
    for resolver in resolvers:
        assert resolver.hosts(folder, _image(case)) == [_MIRROR, OWN], resolver.installation.version
    clean_up(spegel_binary, folder)
    assert tree(folder) == original
    shutil.rmtree(folder)
