"""go-libp2p's daemon, controlled by its control socket."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from multiaddr import Multiaddr
from p2pclient.control import StreamHandler
from p2pclient.libp2p_stubs.peer.id import ID
from p2pclient.p2pclient import Client
from p2pclient.pb import p2pd_pb2
from p2pclient.utils import raise_if_failed, read_pbmsg_safe, write_pbmsg

from .content import ECHO, Content
from .process import Process, eventually
from .protobuf import fields

_TIMEOUT = 20.0


class GoPeer(Process):
    """A node of go-libp2p, with peer discovery disabled."""

    implementation = "go-libp2p"
    # By ALPN or Noise's extension, like the security protocol.
    has_early_muxer = True
    # The protocol that it prefers as the dialler.
    preferred_security = "/noise"

    def __init__(
        self,
        name: str,
        log: Path,
        securities: Sequence[str] = (),
        is_client: bool = False,
        key: bytes | None = None,
        host: str = "127.0.0.1",
    ):
        socket = log.with_suffix(".sock")
        # The daemon passes accepted streams to this process here.
        self._streams = log.with_suffix(".streams")
        flags = {
            "listen": f"/unix{socket}",
            "hostAddrs": f"/ip4/{host}/tcp/0",
            "b": "false",
            "relay": "false",
            "relayDiscovery": "false",
            "autoRelay": "false",
            "natPortMap": "false",
            "dhtClient" if is_client else "dhtServer": "true",
        }
        if securities:
            flags |= {name: str(name in securities).lower() for name in ("tls", "noise")}
        if key:
            flags["id"] = str(log.with_suffix(".key"))
            Path(flags["id"]).write_bytes(key)
        command = [os.environ["INTEROPERATION_P2PD"], *(f"-{name}={value}" for name, value in flags.items())]
        super().__init__(name, command, log)
        self._client = Client(Multiaddr(f"/unix{socket}"), Multiaddr(f"/unix{self._streams}"))
        try:
            eventually(lambda: socket.exists() or not self.is_running, f"{name} opens its control socket", timeout=60)
            assert self.is_running, f"{name} has ended"
            own_id, addresses = self._run(self._client.identify)
        except BaseException:
            self.stop()
            raise
        self.id = str(own_id)
        self.addresses = [str(address) for address in addresses]

    @property
    def address(self) -> str:
        return f"{self.addresses[0]}/p2p/{self.id}"

    def connect(self, address: str) -> None:
        place, _, peer = address.rpartition("/p2p/")
        self._run(self._client.connect, ID.from_base58(peer), [Multiaddr(place)])

    def identify(self, peer: str) -> dict[str, Any]:
        """Reads the peer's identify message, which the daemon does not expose."""

        async def read() -> bytes:
            _, stream = await self._client.stream_open(ID.from_base58(peer), ["/ipfs/id/1.0.0"])
            async with stream:
                return b"".join([part async for part in stream])

        message = fields(self._run(read), is_delimited=True)
        return {
            "agentVersion": message[6][0].decode(),
            "protocolVersion": message[5][0].decode(),
            "protocols": [protocol.decode() for protocol in message[3]],
            "listenAddresses": [str(Multiaddr(address)) for address in message[2]],
            "observedAddress": str(Multiaddr(message[4][0])),
        }

    def ping(self, peer: str) -> float:
        """The milliseconds until the echo. The daemon carries the bytes, and negotiates the stream."""

        async def echo() -> float:
            _, stream = await self._client.stream_open(ID.from_base58(peer), ["/ipfs/ping/1.0.0"])
            question = os.urandom(32)
            async with stream:
                start = anyio.current_time()
                await stream.send(question)
                answer = b""
                while len(answer) < len(question):
                    answer += await stream.receive(len(question) - len(answer))
                assert answer == question, "the echo equals the sent bytes"
                return (anyio.current_time() - start) * 1000

        return self._run(echo)

    def echo(self, peer: str, size: int) -> None:
        """Sends a number of bytes, and fails unless they come back."""

        async def check() -> None:
            _, stream = await self._client.stream_open(ID.from_base58(peer), [ECHO])
            question, answer = os.urandom(size), bytearray()
            async with stream, anyio.create_task_group() as tasks:
                tasks.start_soon(stream.send, question)
                while len(answer) < size:
                    answer += await stream.receive()
            assert answer == question, "the echo equals the sent bytes"

        self._run(check)

    @contextmanager
    def serving_echo(self) -> Iterator[None]:
        """Sends back received bytes: the daemon passes each stream to this process."""

        async def echo(_, stream: anyio.abc.SocketStream) -> None:
            async with stream:
                async for part in stream:
                    await stream.send(part)

        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self._client.listen()):
            portal.call(self._handle, ECHO, echo)
            yield

    async def _handle(self, protocol: str, handler: StreamHandler) -> None:
        """Makes the daemon accept a protocol, and pass its streams to this process.

        Like the client's own method, with two differences. The client writes the path of a socket without its first
        slash. This daemon requires a field that the client does not know: whether several handlers share the streams.
        """
        control = self._client.control
        path = str(self._streams).encode()
        address = b"\x90\x03" + bytes([len(path)]) + path  # multiaddr: unix is code 400
        handled = p2pd_pb2.StreamHandlerRequest(addr=address, proto=[protocol])
        handled.MergeFromString(b"\x18\x00")  # field 3, a boolean: no
        request = p2pd_pb2.Request(type=p2pd_pb2.Request.STREAM_HANDLER, streamHandler=handled)
        response = p2pd_pb2.Response()
        async with await control.daemon_connector.open_connection() as stream:
            await write_pbmsg(stream, request)
            await read_pbmsg_safe(stream, response)
        raise_if_failed(response)
        control.handlers[protocol] = handler

    def find_peer(self, target: str) -> list[str]:
        """The addresses of a peer, looked up in the DHT if necessary."""
        info = self._run(self._client.dht_find_peer, ID.from_base58(target))
        return [str(address) for address in info.addrs]

    def closest_peers(self, content: Content) -> list[str]:
        """The peers closest to some content, as it finds them."""
        return [str(peer) for peer in self._run(self._client.dht_get_closest_peers, content.multihash)]

    def provide(self, content: Content) -> None:
        self._run(self._client.dht_provide, content.cid)

    def find_providers(self, content: Content, limit: int = 20) -> dict[str, list[str]]:
        found = self._run(self._client.dht_find_providers, content.cid, limit)
        return {str(info.peer_id): [str(address) for address in info.addrs] for info in found}

    def _run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async def bounded() -> Any:
            with anyio.fail_after(_TIMEOUT):
                return await function(*arguments)

        return anyio.run(bounded)
