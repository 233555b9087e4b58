"""An HTTP client that trusts nothing: it compares each byte with what the content is known to be, as it comes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

#: Room for one read; all connections share it, since each read is dealt with at once.
_READ = memoryview(bytearray(256 << 10))
_LARGEST_HEAD = 16 << 10
#: How much the kernel holds for a connection that is not read. All clients share one kernel here, which has some 10 % of
#: the memory for all connections: beyond that it drops what comes on any of them, and stalls them for seconds.
_RECEIVE_BUFFER = 128 << 10


class Disconnected(Exception):
    """The connection ended before the response did."""


class Hung(Exception):
    """Not a byte has come for too long."""


class WrongAnswer(Exception):
    """What came is not what was asked for."""


class Response:
    """The head of a response, and how much of its body has come."""

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


#: Is given each part of a body, with the response; raises to give the request up.
Sink = Callable[[Response, memoryview], None]


class Connection(asyncio.BufferedProtocol):
    """One connection; requests go one after the other."""

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
        """Sends a request and gives its body to the sink; ends when the response has."""
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
        """The response under way, once its head is there."""
        return self._response

    def close(self) -> None:
        self._closed = True
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Leaves with a reset."""
        self._closed = True
        if self._transport:
            self._transport.abort()

    def give_up(self, error: Exception) -> None:
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
        except Exception as error:  # whatever it is, it ends this request
            self.give_up(error)

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
                    raise WrongAnswer("the head has no end")
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
