"""A client of the Container Runtime Interface: pulls images like a kubelet."""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
from pathlib import Path

import grpc
from grpc_tools import protoc

_PROTO = Path(__file__).with_name("cri.proto")


@functools.cache
def stubs():
    """The message and service modules, generated from cri.proto."""
    with tempfile.TemporaryDirectory(prefix="spegel-cri-") as generated:
        status = protoc.main([
            "protoc", f"--proto_path={_PROTO.parent}", f"--python_out={generated}", f"--grpc_python_out={generated}",
            str(_PROTO)])
        if status != 0:
            raise RuntimeError(f"protoc ended with {status} on {_PROTO}")
        sys.path.insert(0, generated)
        try:
            return importlib.import_module("cri_pb2"), importlib.import_module("cri_pb2_grpc")
        finally:
            sys.path.remove(generated)


class ImageService:
    """The image service of one containerd. Errors are `grpc.RpcError`."""

    def __init__(self, socket: Path):
        self._messages, services = stubs()
        # Reconnects at once to a restarted containerd.
        options = [("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100),
                   ("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=options)
        self._service = services.ImageServiceStub(self._channel)

    def pull(self, name: str, timeout: float) -> str:
        """Pulls an image and returns its id."""
        request = self._messages.PullImageRequest(image=self._spec(name))
        return self._service.PullImage(request, timeout=timeout).image_ref

    def names(self, timeout: float = 5.0) -> set[str]:
        """All tags and digests of the runtime."""
        images = self._service.ListImages(self._messages.ListImagesRequest(), timeout=timeout).images
        return {name for image in images for name in (*image.repo_tags, *image.repo_digests)}

    def status(self, name: str, timeout: float = 5.0):
        """The image's description, or None."""
        response = self._service.ImageStatus(
            self._messages.ImageStatusRequest(image=self._spec(name)), timeout=timeout)
        return response.image if response.image.id else None

    def remove(self, name: str, timeout: float = 30.0) -> None:
        self._service.RemoveImage(self._messages.RemoveImageRequest(image=self._spec(name)), timeout=timeout)

    def close(self) -> None:
        self._channel.close()

    def _spec(self, name: str):
        return self._messages.ImageSpec(image=name)
