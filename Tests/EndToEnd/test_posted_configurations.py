"""What real containerds make of config.toml files as they are on nodes, beside what `--check` says of them.

A containerd is set up when a pull as a kubelet's reaches the mirror in the folder of the registry configuration.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from conftest import all_installations
from harness.containerd import Installation, snapshotter
from harness.cri import ImageService
from harness.process import Process, eventually
from harness.resolver import LOCAL_PORT, Registries
from posted_configurations import FORMS, Form

_MIRROR = f"http://127.0.0.1:{LOCAL_PORT}"
_ITEMS = ("containerd", "config.toml", "config_path")

#: The forms with which each version asks the mirror, as far as they are the same in all.
_SET_UP = {"version 2", "import", "kubeadm", "no plugin turned off", "empty mirrors beside config_path"}
_NOT_SET_UP = {"version only", "mirrors", "mirrors beside config_path", "as Docker's package has it", "another folder", "GKE"}


@pytest.fixture(scope="module")
def registries() -> Iterator[Registries]:
    registries = Registries()
    yield registries
    registries.close()


def _write(folder: Path, form: Form) -> Path:
    certs = folder / "certs.d"
    (certs / "_default").mkdir(parents=True)
    (certs / "_default" / "hosts.toml").write_text(f'[host."{_MIRROR}"]\ncapabilities = ["pull", "resolve"]\n')

    def filled(text: str) -> bytes:
        return text.replace("{certs}", str(certs)).replace("{folder}", str(folder)).encode()

    for name, text in {"config.toml": form.text, **form.others}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(filled(text))
    return folder / "config.toml"


def _check(binary: Path, folder: Path, socket: Path) -> dict[str, dict]:
    done = subprocess.run(
        [binary, "configuration", "--check", "--output=json", f"--containerd-sock={socket}",
         f"--containerd-config={folder}/config.toml", f"--containerd-registry-config-path={folder}/certs.d"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def _asks_mirror(socket: Path, registries: Registries) -> bool:
    """Whether a pull as a kubelet's reaches the mirror."""
    registries.asked.clear()
    images = ImageService(socket)
    try:
        images.pull("registry.corp:5000/team/app:1", 30)
        raise AssertionError("no host has the image")
    except grpc.RpcError:
        return _MIRROR in registries.asked
    finally:
        images.close()


def _run(installation: Installation, folder: Path, registries: Registries) -> Process:
    """A containerd with the file as it is; all else is on the command line."""
    home = folder / f"containerd-{installation.version}"
    home.mkdir()
    process = Process(
        "containerd",
        [installation.containerd, "--config", folder / "config.toml", "--address", home / "s", "--root", home / "root",
         "--state", home / "state"],
        home / "log", env={"HTTP_PROXY": registries.proxy, "HTTPS_PROXY": registries.proxy, "NO_PROXY": "127.0.0.1"})
    eventually(lambda: (home / "s").exists() or not process.is_running, "containerd listens or ends", timeout=20)
    return process


@pytest.mark.skipif(snapshotter() != "overlayfs", reason="the forms leave the snapshotter to containerd")
@pytest.mark.parametrize("name", FORMS)
def test_check_agrees_with_the_containerd(spegel_binary: Path, tmp_path: Path, registries: Registries, name: str):
    _write(tmp_path, FORMS[name])
    asks: dict[str, bool] = {}
    wrong: list[str] = []
    for installation in all_installations():
        process = _run(installation, tmp_path, registries)
        socket = tmp_path / f"containerd-{installation.version}" / "s"
        try:
            asks[installation.version] = process.is_running and _asks_mirror(socket, registries)
            checks = _check(spegel_binary, tmp_path, socket)
        finally:
            process.stop()
        found = {item: checks[item]["status"] for item in _ITEMS}
        if (set(found.values()) == {"ok"}) != asks[installation.version]:
            wrong.append(f"{installation.version} asks the mirror: {asks[installation.version]}, but {found}: " + str(
                [checks[item]["found"] for item in _ITEMS]))
    # With the socket out of reach, what no containerd does is never said to be right.
    checks = _check(spegel_binary, tmp_path, tmp_path / "none.sock")
    found = {item: checks[item]["status"] for item in _ITEMS[1:]}
    if set(found.values()) == {"ok"} and not any(asks.values()):
        wrong.append(f"without the socket: {found}, but no containerd asks the mirror")
    assert not wrong, "\n".join(wrong)
    if name in _SET_UP or name in _NOT_SET_UP:
        assert set(asks.values()) == {name in _SET_UP}, asks
