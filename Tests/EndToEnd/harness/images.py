"""Container images made from a seed: small root file systems with incompressible content.

The same arguments give the same digests. Each image is in a folder of its own, from which skopeo copies it to a
registry unchanged.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import random
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class MediaTypes:
    index: str
    manifest: str
    config: str
    layer: str


OCI = MediaTypes(
    index="application/vnd.oci.image.index.v1+json",
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip")
DOCKER = MediaTypes(
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip")

#: The architecture of this machine in OCI's terms, and another one.
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
FOREIGN = "arm64" if NATIVE == "amd64" else "amd64"


@dataclass
class Manifest:
    """One platform's image: its manifest, and the digests and sizes of the referenced content."""

    architecture: str
    digest: str
    size: int
    config: str
    layers: list[str]
    diff_ids: list[str]
    blobs: dict[str, int]

    @property
    def total_bytes(self) -> int:
        return self.size + sum(self.blobs.values())


@dataclass
class Image:
    """An image in a folder. `digest` is that of its index, or of its manifest without an index."""

    registry: str
    repository: str
    tag: str
    folder: Path
    media_types: MediaTypes
    digest: str = ""
    size: int = 0
    manifests: list[Manifest] = field(default_factory=list)

    @property
    def skopeo_name(self) -> str:
        """Its location for skopeo: Docker's media types are not allowed in an OCI layout."""
        return f"oci:{self.folder}:{self.tag}" if self.media_types is OCI else f"dir:{self.folder}"

    @property
    def by_tag(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def by_digest(self) -> str:
        return f"{self.registry}/{self.repository}@{self.digest}"

    def name(self, by: str) -> str:
        return {"tag": self.by_tag, "digest": self.by_digest}[by]

    @property
    def has_index(self) -> bool:
        return self.digest != self.manifests[0].digest

    def manifest(self, architecture: str = NATIVE) -> Manifest:
        return next(manifest for manifest in self.manifests if manifest.architecture == architecture)

    def manifest_digests(self, architecture: str = NATIVE) -> list[str]:
        """The digests of the index, if any, and of the platform's manifest."""
        return list(dict.fromkeys([self.digest, self.manifest(architecture).digest]))

    def digests(self, architecture: str = NATIVE) -> set[str]:
        """All content of a node after a pull of the image for that platform."""
        return {*self.manifest_digests(architecture), *self.manifest(architecture).blobs}


def build(
    directory: Path, registry: str, repository: str, *, tag: str = "1",
    layer_sizes: Sequence[int] = (1_500_000, 300_000, 20_000), architectures: Sequence[str] = (NATIVE,),
    index: bool | None = None, layers_of: Image | None = None,
    media_types: MediaTypes = OCI,
) -> Image:
    """Writes an image with layers of about the given sizes (in bytes) for each platform.

    With `layers_of`, its layers are above the layers of another image of the same repository.
    """
    image = Image(registry, repository, tag, directory / f"{repository}-{tag}".replace("/", "-"), media_types)
    blobs = image.folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def store(content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return f"sha256:{digest}", len(content)

    descriptors = []
    for architecture in architectures:
        base = layers_of.manifest(architecture) if layers_of else None
        for digest in base.layers if base else ():
            store((layers_of.folder / "blobs" / digest.replace(":", "/")).read_bytes())
        manifest = _build_manifest(store, f"{repository}:{tag}/{architecture}", architecture, layer_sizes, media_types, base)
        image.manifests.append(manifest)
        descriptors.append({
            "mediaType": media_types.manifest, "digest": manifest.digest, "size": manifest.size,
            "platform": {"architecture": architecture, "os": "linux"},
        })
    if index if index is not None else len(architectures) > 1:
        image.digest, image.size = store(_json(
            {"schemaVersion": 2, "mediaType": media_types.index, "manifests": descriptors}))
        root = {"mediaType": media_types.index, "digest": image.digest, "size": image.size}
    else:
        image.digest, image.size = image.manifests[0].digest, image.manifests[0].size
        root = dict(descriptors[0])
    if media_types is OCI:
        _write_layout(image, root)
    else:
        _write_directory(image)
    return image


def _write_layout(image: Image, root: dict) -> None:
    """Makes the folder an OCI layout."""
    root["annotations"] = {"org.opencontainers.image.ref.name": image.tag}
    (image.folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (image.folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [root]}))


def _write_directory(image: Image) -> None:
    """Makes the folder an image in skopeo's own format."""
    blobs = image.folder / "blobs" / "sha256"
    (image.folder / "version").write_text("Directory Transport Version: 1.1\n")
    (image.folder / "manifest.json").hardlink_to(blobs / image.digest.partition(":")[2])
    for manifest in image.manifests:
        name = manifest.digest.partition(":")[2]
        (image.folder / f"{name}.manifest.json").hardlink_to(blobs / name)
        for name in (digest.partition(":")[2] for digest in manifest.blobs):
            if not (image.folder / name).exists():
                (image.folder / name).hardlink_to(blobs / name)


def _build_manifest(
    store: Callable[[bytes], tuple[str, int]], seed: str, architecture: str, layer_sizes: Sequence[int],
    media_types: MediaTypes, base: Manifest | None,
) -> Manifest:
    layers = list(base.layers) if base else []
    diff_ids = list(base.diff_ids) if base else []
    blobs = {digest: base.blobs[digest] for digest in layers}
    for number, size in enumerate(layer_sizes, start=len(layers)):
        archive = _layer(f"{seed}/{number}", number, size)
        digest, length = store(_gzip(archive))
        layers.append(digest)
        diff_ids.append("sha256:" + hashlib.sha256(archive).hexdigest())
        blobs[digest] = length
    descriptors = [{"mediaType": media_types.layer, "digest": layer, "size": blobs[layer]} for layer in layers]
    config, config_size = store(_json({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))
    blobs[config] = config_size
    digest, size = store(_json({
        "schemaVersion": 2, "mediaType": media_types.manifest,
        "config": {"mediaType": media_types.config, "digest": config, "size": config_size}, "layers": descriptors,
    }))
    return Manifest(architecture, digest, size, config, layers, diff_ids, blobs)


def _layer(seed: str, number: int, size: int) -> bytes:
    """A tar archive of a root file system, with `size` random bytes in one file."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("etc", "srv"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        content = random.Random(seed).randbytes(size)
        entry = tarfile.TarInfo(f"srv/payload-{number}")
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def _gzip(content: bytes) -> bytes:
    """A gzip stream without a date, stored instead of deflated: the content is incompressible."""
    return gzip.compress(content, compresslevel=0, mtime=0)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
