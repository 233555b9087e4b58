"""Image layouts: images, and blobs of any size."""

import hashlib
import json
import os
import pathlib
import shutil

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def blob(store: pathlib.Path, data: bytes) -> dict:
    digest = hashlib.sha256(data).hexdigest()
    (store / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def large_blob(store: pathlib.Path, size: int) -> str:
    """Creates a blob of whole MiB; returns its digest. All MiB but the first are equal, so that it is quick."""
    hashed = hashlib.sha256()
    temporary = store / "blobs/unfinished"
    with temporary.open("wb") as file:
        for number in range(size >> 20):
            chunk = os.urandom(1 << 20) if number < 2 else chunk
            hashed.update(chunk)
            file.write(chunk)
    temporary.rename(store / "blobs/sha256" / hashed.hexdigest())
    return f"sha256:{hashed.hexdigest()}"


def make(store: pathlib.Path, images: int = 0) -> list[dict]:
    """Creates an empty layout, or one with images of a configuration and six small layers each; returns their manifests."""
    shutil.rmtree(store, ignore_errors=True)
    (store / "blobs/sha256").mkdir(parents=True)
    (store / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifests = []
    for number in range(images):
        layers = [{**blob(store, os.urandom(4096)), "mediaType": LAYER} for _ in range(6)]
        text = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"number": f"{number:0900}"}}})
        config = {**blob(store, text.encode()), "mediaType": CONFIG}
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        manifest = {**blob(store, json.dumps(document).encode()), "mediaType": MANIFEST, "config": config["digest"]}
        manifests.append(manifest)
    index = [
        {
            **{key: manifest[key] for key in ("digest", "size", "mediaType")},
            "annotations": {"org.opencontainers.image.ref.name": f"bench.local/image{number}:1"},
        }
        for number, manifest in enumerate(manifests)
    ]
    (store / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))
    return manifests
