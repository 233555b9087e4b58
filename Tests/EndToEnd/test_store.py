"""A node with `--store`, an image layout: its folder may vanish, be replaced, or be a link that changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.process import Process, eventually

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Layout:
    """An image layout with one image of one layer."""

    def __init__(self, folder: Path, content: bytes, name: str = "docker.io/library/test:1", links: Path | None = None):
        self.folder = folder
        self.links = links
        (folder / "blobs/sha256").mkdir(parents=True)
        self.layer = self._add(content, "application/vnd.oci.image.layer.v1.tar")
        config = self._add(b"{}", "application/vnd.oci.image.config.v1+json")
        text = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [self.layer]})
        manifest = self._add(text.encode(), MANIFEST)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def _add(self, content: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        place = self.folder / "blobs/sha256" / digest
        if self.links:
            self.links.mkdir(exist_ok=True)
            (self.links / digest).write_bytes(content)
            place.symlink_to(self.links / digest)
        else:
            place.write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


class _Node:
    def __init__(self, binary: Path, folder: Path, directory: Path):
        self.port = _free_port()
        self.log = directory / "spegel.log"
        self.process = Process("spegel", [
            binary, "registry", f"--store={folder}", f"--registry-addr=127.0.0.1:{self.port}",
            f"--router-addr=127.0.0.1:{_free_port()}", f"--metrics-addr=127.0.0.1:{_free_port()}",
            f"--data-dir={directory / 'data'}", "--log-format=text"], self.log)

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            return 0, str(error).encode()

    def serves(self, layout: _Layout) -> bool:
        status, body = self.get(f"/v2/library/test/blobs/{layout.layer['digest']}?ns=docker.io")
        return status == 200 and len(body) == layout.layer["size"]

    def tag(self) -> int:
        return self.get("/v2/library/test/manifests/1?ns=docker.io")[0]

    def wait_until_ready(self, layout: _Layout) -> None:
        eventually(
            lambda: self.get("/readyz")[0] == 200 and self.serves(layout) and self.tag() == 200,
            "it is ready and serves", timeout=20)

    def wait_until_not_ready(self) -> None:
        answer = eventually(
            lambda: next((body for status, body in [self.get("/readyz")] if status == 503), None), "it is not ready")
        assert b"expected an OCI image layout" in answer, answer


@pytest.fixture
def start(spegel_binary: Path, tmp_path: Path) -> Iterator:
    with contextlib.ExitStack() as stack:
        def start(folder: Path) -> _Node:
            node = _Node(spegel_binary, folder, tmp_path)
            stack.callback(node.process.stop)
            return node

        yield start


def test_folder_is_removed_and_made_again(start, tmp_path: Path):
    folder = tmp_path / "store"
    first = _Layout(folder, b"first")
    node = start(folder)
    node.wait_until_ready(first)
    shutil.rmtree(folder)
    node.wait_until_not_ready()
    assert not node.serves(first) and node.tag() == 404
    second = _Layout(folder, b"second")
    node.wait_until_ready(second)
    assert not node.serves(first)


def test_folder_is_moved_away_for_a_while(start, tmp_path: Path):
    folder = tmp_path / "above/store"
    layout = _Layout(folder, b"first")
    node = start(folder)
    node.wait_until_ready(layout)
    for moved in (folder, folder.parent):
        moved.rename(tmp_path / "away")
        node.wait_until_not_ready()
        (tmp_path / "away").rename(moved)
        node.wait_until_ready(layout)
    warnings = [line for line in node.log.read_text().splitlines() if " warning " in line]
    # The log repeats a warning only after a while.
    assert 1 <= len(warnings) <= 2, warnings


def test_link_changes_to_another_version(start, tmp_path: Path):
    first, second = _Layout(tmp_path / "v1", b"first"), _Layout(tmp_path / "v2", b"second")
    link = tmp_path / "current"
    link.symlink_to("v1")
    node = start(link)
    node.wait_until_ready(first)
    (tmp_path / "next").symlink_to("v2")
    os.rename(tmp_path / "next", link)
    node.wait_until_ready(second)
    assert not node.serves(first)


def test_blobs_that_are_links_are_shared(start, tmp_path: Path):
    layout = _Layout(tmp_path / "store", b"linked", links=tmp_path / "cache")
    start(tmp_path / "store").wait_until_ready(layout)


def test_name_without_a_registry_is_no_image_of_one(start, tmp_path: Path):
    layout = _Layout(tmp_path / "store", b"first", name="foo/bar:1.0.0")
    node = start(tmp_path / "store")
    eventually(lambda: node.get("/readyz")[0] == 200 and node.serves(layout), "it serves digests", timeout=20)
    assert node.get("/v2/bar/manifests/1.0.0?ns=foo")[0] == 404
    assert "foo/bar:1.0.0" in node.log.read_text()


# `spegel pull --to`, with what is there already


@pytest.mark.parametrize("place", ["layer", "config"])
def test_pull_replaces_a_corrupt_file_of_the_right_size(start, spegel_binary: Path, tmp_path: Path, place: str):
    layout = _Layout(tmp_path / "store", b"content")
    node = start(tmp_path / "store")
    node.wait_until_ready(layout)

    def pull() -> str:
        done = subprocess.run(
            [spegel_binary, "pull", "docker.io/test:1", f"--to={tmp_path / 'copy'}",
             f"--address=http://127.0.0.1:{node.port}"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    pull()
    content = {"layer": b"content", "config": b"{}"}[place]
    file = tmp_path / "copy/blobs/sha256" / hashlib.sha256(content).hexdigest()
    file.write_bytes(b"x" * len(content))
    output = pull()
    assert file.read_bytes() == content and "there already" in output
    assert output.count("there already") == 1
