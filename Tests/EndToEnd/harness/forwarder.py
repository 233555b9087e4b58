"""Forwards connections on this machine to a service in the test's network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Forwarder:
    """Forwards each connection until the process ends."""

    def __init__(self, address: tuple[str, int], connect: Callable[[], socket.socket]):
        self._listener = socket.create_server(address)
        self._connect = connect
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            # Events of a page may be far apart.
            server.settimeout(None)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(64 << 10):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
