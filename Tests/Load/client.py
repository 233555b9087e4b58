"""An HTTP client that compares each received byte with the expected content."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

#: The buffer of one read. All connections share it, since each read is handled at once.
_READ = memoryview(bytearray(256 << 10))
_LARGEST_HEAD = 16 << 10
#: The kernel's receive buffer of a connection. All clients share one kernel here, with about 10 % of the memory for all
#: connections. Above that it drops packets of any of them, and stalls them for seconds.
_RECEIVE_BUFFER = 128 << 10


class Disconnected(Exception):
    """The connection ended before the response."""


class Hung(Exception):
    """The response made no progress for too long."""


class WrongAnswer(Exception):
    """The response differs from the expected one."""


class Response:
    """The head of a response, and the received length of its body."""

    def __init__(self, head: bytes):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ", 2)[1])
        pairs = (line.partition(":") for line in lines[1:] if line)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.length = int(self.headers.get("content-length", -1))
        self.received = 0

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


#: Gets each part of a body with its response; raises to end the request.
Sink = Callable[[Response, memoryview], None]


class Connection(asyncio.BufferedProtocol):
    """A connection with requests in sequence."""

    def __init__(self) -> None:
        self.last_progress = time.monotonic()
        self.served = 0
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[Response] | None = None
        self._head = bytearray()
        self._response: Response | None = None
        self._is_head = False
        self._sink: Sink | None = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        return not self._closed

    @property
    def is_waiting(self) -> bool:
        return self._done is not None and not self._done.done()

    async def request(self, method: str, path: str, headers: dict[str, str], sink: Sink) -> Response:
        """Sends a request and passes its body to the sink; returns at the end of the response."""
        if self._closed:
            raise Disconnected("before the request")
        self._done = asyncio.get_running_loop().create_future()
        self._head.clear()
        self._response, self._sink, self._is_head = None, sink, method == "HEAD"
        self.last_progress = time.monotonic()
        lines = [f"{method} {path} HTTP/1.1", "Host: load", *(f"{name}: {value}" for name, value in headers.items())]
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        response = await self._done
        self.served += 1
        if not response.keeps_alive:
            self.close()
        return response

    @property
    def response(self) -> Response | None:
        """The response in progress, after its head has arrived."""
        return self._response

    def close(self) -> None:
        self._closed = True
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Closes the connection with a reset."""
        self._closed = True
        if self._transport:
            self._transport.abort()

    def fail(self, error: Exception) -> None:
        if self.is_waiting:
            self._done.set_exception(error)
        self.abort()

    # asyncio.BufferedProtocol

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ

    def buffer_updated(self, count: int) -> None:
        self.last_progress = time.monotonic()
        try:
            self._feed(_READ[:count])
        except Exception as error:  # any error ends this request
            self.fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        if self.is_waiting:
            self._done.set_exception(Disconnected(str(error or "closed by the other side")))

    def _feed(self, data: memoryview) -> None:
        if not self.is_waiting:
            raise WrongAnswer(f"{len(data)} unrequested bytes")
        if self._response is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _LARGEST_HEAD:
                    raise WrongAnswer("head without an end")
                return
            self._response = Response(bytes(self._head[:end]))
            data = memoryview(bytes(self._head[end + 4:]))
            if self._is_head:
                self._response.length = 0
            elif self._response.length < 0:
                raise WrongAnswer(f"status {self._response.status} without a length")
        response = self._response
        if response.received + len(data) > response.length:
            raise WrongAnswer("more bytes than announced")
        if data:
            self._sink(response, data)
            response.received += len(data)
        if response.received == response.length:
            self._done.set_result(response)
