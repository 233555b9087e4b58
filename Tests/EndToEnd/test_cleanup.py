"""`spegel cleanup` restores containerd's registry configuration; `spegel cleanup-wait` waits for all nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from harness.spegel import configure

_EXISTING = {
    "docker.io/hosts.toml": b'server = "https://registry-1.docker.io"\n# as it was\n',
    "registry.lab:5000/hosts.toml": b'[host."http://cache.lab:5000"]\n',
    "registry.lab:5000/ca.crt": b"\x00not really a certificate\n",
}


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every entry of a folder with its mode and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Cleanup:
    """A running `spegel cleanup`."""

    def __init__(self, binary: Path, folder: Path, log: Path):
        self.port = _free_port()
        self.process = subprocess.Popen(
            [
                binary, "cleanup", f"--addr=127.0.0.1:{self.port}",
                f"--containerd-registry-config-path={folder}",
            ],
            stderr=log.open("wb"),
        )

    def wait_until_done(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end
                time.sleep(0.02)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def _wait(binary: Path, endpoint: str, timeout: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            binary, "cleanup-wait", f"--probe-endpoint={endpoint}", "--period=50ms", f"--timeout={timeout}",
        ],
        capture_output=True, text=True, timeout=60,
    )


@pytest.mark.parametrize("existing", [True, False], ids=["filled", "empty"])
def test_restores_the_folder(spegel_binary: Path, tmp_path: Path, existing: bool):
    folder = tmp_path / "certs.d"
    folder.mkdir()
    for name, content in _EXISTING.items() if existing else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        os.chmod(folder / name, 0o640)
    before = _tree(folder)
    configure(spegel_binary, folder)
    assert _tree(folder) != before

    cleanup = _Cleanup(spegel_binary, folder, tmp_path / "log")
    try:
        cleanup.wait_until_done()
        assert _tree(folder) == before
        done = _wait(spegel_binary, f"localhost:{cleanup.port}", "20s")
        assert done.returncode == 0, done.stderr
    finally:
        assert cleanup.stop() == 0
    # A second run changes nothing.
    again = _Cleanup(spegel_binary, folder, tmp_path / "log")
    try:
        again.wait_until_done()
        assert _tree(folder) == before
    finally:
        assert again.stop() == 0


def test_waiting_ends_with_a_reason(spegel_binary: Path):
    late = _wait(spegel_binary, f"127.0.0.1:{_free_port()}", "200ms")
    assert late.returncode == 1
    assert "not done on all nodes" in late.stderr and "127.0.0.1" in late.stderr
    unknown = _wait(spegel_binary, "name.invalid:1", "100ms")
    assert unknown.returncode == 1 and "name.invalid" in unknown.stderr
    wrong = _wait(spegel_binary, ":8080", "1s")
    assert wrong.returncode == 64 and "expected HOST:PORT" in wrong.stderr


def test_folder_that_is_not_writable_is_an_error(spegel_binary: Path, tmp_path: Path):
    folder = tmp_path / "certs.d"
    folder.write_text("a file where a folder should be")
    failed = subprocess.run(
        [
            spegel_binary, "cleanup", f"--addr=127.0.0.1:{_free_port()}",
            f"--containerd-registry-config-path={folder}",
        ],
        capture_output=True, text=True, timeout=60,
    )
    assert failed.returncode == 1 and str(folder) in failed.stderr
