"""What podman and skopeo ask before, while and after Spegel is installed, for registries.conf as it is on machines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clients import clean_up, in_own_etc, write_policy
from harness.resolver import LOCAL_PORT, Registries
from posted_registries import CASES, UNREADABLE, Case
from test_posted_hosts import tree


@pytest.fixture(scope="module")
def registries() -> Iterator[Registries]:
    registries = Registries()
    yield registries
    registries.close()


def _write(etc: Path, files: dict[str, str | bytes]) -> None:
    write_policy(etc)
    for name, content in files.items():
        (etc / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for path in [*etc.rglob("*"), etc]:
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))


def _ask(registries: Registries, etc: Path, storage: Path, image: str, tool: str) -> tuple[list[str], str]:
    """The hosts that a tool asks for an image that none of them has, and its error."""
    command = ["skopeo", "inspect", "--raw", f"docker://{image}"] if tool == "skopeo" else [
        "podman", f"--root={storage}/p", "--runroot=/run/spegel-posted", "--storage-driver=vfs", "pull", "--quiet", image]
    registries.asked.clear()
    done = subprocess.run(
        in_own_etc(etc, command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={**{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
             "HTTP_PROXY": registries.proxy, "HTTPS_PROXY": registries.proxy})
    assert done.returncode != 0, "no host has the image"
    asked = registries.asked
    # A request that fails is repeated.
    return [host for number, host in enumerate(asked) if not number or host != asked[number - 1]], done.stderr


def _configure(binary: Path, etc: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary, "configuration", "--format=registries.conf", f"--registries-conf-dir={etc}/registries.conf.d",
         f"--mirror-targets=http://127.0.0.1:{LOCAL_PORT}", *flags],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def _mirrored(image: str) -> str:
    """The registry of an image as a URL, and its place at the mirror."""
    host = image.split("/")[0] if "." in image.split("/")[0] else "registry.corp:5000"
    return f"https://{host}", f"http://127.0.0.1:{LOCAL_PORT}/v2/{host.replace(':', '_')}"


@pytest.mark.parametrize("name", CASES)
def test_hosts_before_while_and_after(spegel_binary: Path, tmp_path: Path, registries: Registries, name: str):
    case = CASES[name]
    etc = tmp_path / "etc"
    _write(etc, case.files)
    original = tree(etc)
    registry, mirror = _mirrored(case.image)

    def asked() -> list[str]:
        return _ask(registries, etc, tmp_path, case.image, case.tool)[0]

    assert asked() == case.before
    # Another registry is mirrored: nothing changes for this one.
    done = _configure(spegel_binary, etc, "--mirrored-registries=https://quay.io")
    assert done.returncode == 0, done.stderr
    assert asked() == case.before
    for _ in range(2):
        done = _configure(spegel_binary, etc, f"--mirrored-registries={registry}", "--prepend-existing=true")
        assert done.returncode == 0, done.stderr
        assert asked() == ([mirror, *case.before] if case.is_mirrored else case.before)
    # Only what stands for the registry itself follows.
    done = _configure(spegel_binary, etc, f"--mirrored-registries={registry}")
    assert done.returncode == 0, done.stderr
    if case.is_mirrored:
        assert asked()[0] == mirror and asked()[-1] == case.before[-1]
    clean_up(spegel_binary, tmp_path / "none", f"--registries-conf-dir={etc}/registries.conf.d")
    found = tree(etc)
    # The time of the folder where the file was is that of the clean-up.
    assert found.pop("registries.conf.d")[:3] == original.pop("registries.conf.d")[:3]
    assert found == original
    assert asked() == case.before


@pytest.mark.parametrize("name", UNREADABLE)
def test_files_that_these_tools_refuse(spegel_binary: Path, tmp_path: Path, registries: Registries, name: str):
    etc = tmp_path / "etc"
    _write(etc, UNREADABLE[name])
    original = tree(etc)
    hosts, error = _ask(registries, etc, tmp_path, "registry.corp:5000/team/app:1", "skopeo")
    assert hosts == [] and "regist" in error
    done = _configure(spegel_binary, etc, "--mirrored-registries=https://registry.corp:5000")
    assert done.returncode == 1 and "registries.conf" in done.stderr, done.stderr
    assert tree(etc) == original
