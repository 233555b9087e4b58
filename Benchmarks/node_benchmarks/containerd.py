"""A containerd to share, with blobs in its content store. It runs as root only."""

import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

from .processes import Process
from .store import CONFIG, LAYER, MANIFEST, blob

NAMESPACE = "k8s.io"


def reason_against() -> str | None:
    """The reason why containerd cannot run here, or `None`."""
    if os.geteuid() != 0:
        return "containerd needs root"
    return None if shutil.which("containerd") and shutil.which("ctr") else "containerd is not installed"


class Containerd(Process):
    def __init__(self, name: str, number: int):
        super().__init__(name, number)
        self.socket = self.folder / "containerd.sock"
        self.content = self.folder / "root/io.containerd.content.v1.content"

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        told = subprocess.check_output(["containerd", "--version"], text=True)
        major = int(re.search(r"\bv?(\d+)\.\d+\.\d+", told)[1])
        (self.folder / "config.toml").write_text(f"""\
version = {3 if major >= 2 else 2}
root = "{self.folder}/root"
state = "{self.folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri", "io.containerd.internal.v1.restart"]
[grpc]
address = "{self.socket}"
[ttrpc]
address = "{self.socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{self.folder}/opt"
""")
        self.launch(["containerd", "--config", self.folder / "config.toml"])
        self.wait_for(lambda: self.ctr("version").returncode == 0, "answer")

    def ctr(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["ctr", "--address", self.socket, "--namespace", NAMESPACE, *arguments], capture_output=True, **options
        )

    def load(self, layout: pathlib.Path, digests: list[str]) -> None:
        """Makes blobs of a layout the layers of one image, and imports it."""
        small = self.folder / "small"
        (small / "blobs/sha256").mkdir(parents=True)
        config = {**blob(small, b'{"architecture":"amd64","os":"linux"}'), "mediaType": CONFIG}
        layers = [
            {"mediaType": LAYER, "digest": digest, "size": (layout / "blobs/sha256" / digest[7:]).stat().st_size}
            for digest in digests
        ]
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        manifest = {**blob(small, json.dumps(document).encode()), "mediaType": MANIFEST}
        manifest["annotations"] = {"io.containerd.image.name": "bench.local/blobs:1"}
        index = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
        importing = subprocess.Popen(
            ["ctr", "--address", self.socket, "--namespace", NAMESPACE, "images", "import", "--no-unpack", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )
        with importing.stdin, tarfile.open(fileobj=importing.stdin, mode="w|") as archive:
            for name, data in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            for folder in (small, layout):
                for digest in [config["digest"], manifest["digest"]] if folder == small else digests:
                    archive.add(folder / "blobs/sha256" / digest[7:], f"blobs/sha256/{digest[7:]}")
        self._import_ended(importing)

    def empty(self) -> None:
        """Removes all images with their content."""
        self.ctr("images", "rm", "--sync", "bench.local/blobs:1")

    def _import_ended(self, importing: subprocess.Popen) -> None:
        if importing.wait(120) != 0:
            sys.exit(f"{self.name} did not import the blobs; see {self.folder}/log")
