"""The requested content: blobs and images that the seed determines, each in a file named after its digest."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import random
from dataclasses import dataclass
from pathlib import Path

REGISTRY = "load.local"
REPOSITORY = "load/app"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class SizeClass:
    """Blobs of similar size: their number, and their share of 100 requests for blobs."""

    smallest: int
    largest: int
    count: int
    share: int


#: From 1 KiB to 32 MiB. Most requests are for small ones, most bytes are of large ones. A thousand concurrent transfers
#: share two cores, at about 600 MB/s. Larger ones would take minutes.
CLASSES = (
    SizeClass(1 << 10, 64 << 10, 150, 60),
    SizeClass(64 << 10, 1 << 20, 60, 26),
    SizeClass(1 << 20, 8 << 20, 24, 12),
    SizeClass(8 << 20, 32 << 20, 8, 2),
)
IMAGES = 40


@dataclass(frozen=True)
class Content:
    """A blob or a manifest with its bytes."""

    digest: str
    size: int
    bytes: mmap.mmap
    #: The tag of a manifest.
    tag: str | None = None

    @property
    def file_name(self) -> str:
        return self.digest.partition(":")[2]


class Library:
    """All content in one folder, from which the nodes' stores are made."""

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        folder.mkdir(parents=True)
        generator = random.Random(f"{seed}/content")
        self.classes: list[list[Content]] = []
        for kind in CLASSES:
            sizes = [
                round(math.exp(generator.uniform(math.log(kind.smallest), math.log(kind.largest))))
                for _ in range(kind.count)]
            # The extremes of the range are present with every seed.
            sizes[0], sizes[-1] = kind.smallest, kind.largest
            self.classes.append([self._add(generator.randbytes(size)) for size in sizes])
        self.manifests = [self._add_image(generator, number) for number in range(IMAGES)]

    @property
    def blobs(self) -> list[Content]:
        return [blob for blobs in self.classes for blob in blobs]

    @property
    def total_bytes(self) -> int:
        return sum(content.size for content in (*self.blobs, *self.manifests))

    def choose_blob(self, generator: random.Random) -> Content:
        [blobs] = generator.choices(self.classes, [kind.share for kind in CLASSES])
        return generator.choice(blobs)

    def make_store(self, store: Path, blobs: list[Content], manifests: list[Content]) -> None:
        """Creates an OCI image layout with some of the content, by hard links."""
        target = store / "blobs" / "sha256"
        target.mkdir(parents=True)
        (store / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        for content in (*blobs, *manifests):
            os.link(self.folder / content.file_name, target / content.file_name)
        descriptors = [
            {
                "mediaType": MANIFEST_TYPE, "digest": manifest.digest, "size": manifest.size,
                "annotations": {"org.opencontainers.image.ref.name": f"{REGISTRY}/{REPOSITORY}:{manifest.tag}"},
            }
            for manifest in manifests]
        (store / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))

    def _add(self, content: bytes, tag: str | None = None) -> Content:
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / digest
        path.write_bytes(content)
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return Content(f"sha256:{digest}", len(content), mapped, tag)

    def _add_image(self, generator: random.Random, number: int) -> Content:
        def descriptor(media_type: str, content: Content) -> dict:
            return {"mediaType": media_type, "digest": content.digest, "size": content.size}

        config = descriptor(CONFIG_TYPE, generator.choice(self.classes[0]))
        layers = [descriptor(LAYER_TYPE, generator.choice(self.blobs)) for _ in range(3)]
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers,
            "annotations": {"number": str(number)}}
        return self._add(json.dumps(document).encode(), tag=f"v{number}")
