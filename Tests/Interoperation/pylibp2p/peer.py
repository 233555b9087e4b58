"""A node of py-libp2p, controlled like interoperation-node: lines of JSON in and out, the log on standard error.

Runs in the virtual environment with py-libp2p and needs nothing else of the test suite.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from typing import Any

import trio
from libp2p import create_yamux_muxer_option, generate_new_ed25519_identity, new_host
from libp2p.abc import INetStream
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.host.ping import PingService
from libp2p.identity.identify.identify import ID as IDENTIFY, parse_identify_response
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as NoiseTransport
from libp2p.security.tls.transport import PROTOCOL_ID as TLS, TLSTransport
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.varint import read_length_prefixed_protobuf
from multiaddr import Multiaddr

ECHO = "/interoperation/echo/1.0.0"
CHUNK = 48 * 1024


class Peer:
    def __init__(self, securities: list[str], is_client: bool):
        key_pair = generate_new_ed25519_identity()
        transports = {
            "noise": (NOISE, lambda: NoiseTransport(key_pair, create_noise_key_pair().private_key)),
            "tls": (TLS, lambda: TLSTransport(key_pair)),
        }
        chosen = [transports[name] for name in securities]
        self.host = new_host(
            key_pair=key_pair,
            sec_opt={protocol: make() for protocol, make in chosen},
            muxer_opt=create_yamux_muxer_option(),
        )
        self.host.set_stream_handler(ECHO, serve_echo)
        self.dht = KadDHT(self.host, DHTMode.CLIENT if is_client else DHTMode.SERVER)

    # The commands; the parameters are those of the command.

    async def connect(self, address: str) -> str:
        info = info_from_p2p_addr(Multiaddr(address))
        await self.host.connect(info)
        # The table accepts peers that serve the DHT, which it learns by identify.
        await self.identify(str(info.peer_id))
        await self.dht.add_peer(info.peer_id)
        return str(info.peer_id)

    async def connections(self, peer: str) -> list[dict[str, Any]]:
        return [
            {
                "security": connection.get_negotiated_security_protocol(),
                "muxer": connection.get_negotiated_muxer_protocol(),
                "isInbound": not connection.muxed_conn.is_initiator,
            }
            for connection in self.host.get_network().get_connections(ID.from_string(peer))
        ]

    async def identify(self, peer: str) -> dict[str, Any]:
        stream = await self.host.new_stream(ID.from_string(peer), [IDENTIFY])
        info = parse_identify_response(await read_length_prefixed_protobuf(stream, use_varint_format=True))
        await stream.close()
        return {
            "agentVersion": info.agent_version,
            "protocolVersion": info.protocol_version,
            "protocols": list(info.protocols),
            "listenAddresses": [str(Multiaddr(address)) for address in info.listen_addrs],
            "observedAddress": str(Multiaddr(info.observed_addr)),
        }

    async def ping(self, peer: str) -> float:
        return (await PingService(self.host).ping(ID.from_string(peer)))[0]

    async def echo(self, peer: str, size: int) -> None:
        stream = await self.host.new_stream(ID.from_string(peer), [ECHO])
        question, answer = os.urandom(size), bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, question)
            while len(answer) < size:
                answer += await stream.read(CHUNK)
        await stream.close()
        if answer != question:
            raise RuntimeError("the echo differs from the sent bytes")

    async def open_stream(self, peer: str, protocols: list[str]) -> str:
        stream = await self.host.new_stream(ID.from_string(peer), protocols)
        protocol = stream.get_protocol()
        await stream.close()
        return str(protocol)

    async def closest_peers(self, key: str) -> list[str]:
        found = await self.dht.peer_routing.find_closest_peers_network(bytes.fromhex(key))
        return [str(peer) for peer in found]

    async def find_peer(self, target: str) -> list[str]:
        found = await self.dht.peer_routing.find_peer(ID.from_string(target))
        return [str(address) for address in found.addrs] if found else []

    async def provide(self, key: str) -> None:
        if not await self.dht.provider_store.provide(bytes.fromhex(key)):
            raise RuntimeError("no peer accepted the record")

    async def find_providers(self, key: str, limit: int) -> dict[str, list[str]]:
        found = await self.dht.provider_store.find_providers(bytes.fromhex(key), limit)
        return {str(provider.peer_id): [str(address) for address in provider.addrs] for provider in found}

    async def records(self, key: str) -> list[str]:
        """The providers in its own records, without a request to others."""
        return [str(provider.peer_id) for provider in self.dht.provider_store.get_providers(bytes.fromhex(key))]


async def serve_echo(stream: INetStream) -> None:
    with contextlib.suppress(StreamEOF, StreamReset):
        while part := await stream.read(CHUNK):
            await stream.write(part)
    await stream.close()


async def answer(peer: Peer, line: str) -> dict[str, Any]:
    command = json.loads(line)
    method = getattr(peer, command.pop("name").replace("-", "_"))
    try:
        with trio.fail_after(command.pop("timeout")):
            return {"result": await method(**command)}
    except Exception as error:  # report a failed command, then accept the next one
        return {"error": describe(error)}


def describe(error: BaseException) -> str:
    """The error with its causes, and those that a nursery has collected."""
    parts = [f"{type(error).__name__}: {error}"]
    for inner in [*getattr(error, "exceptions", ()), error.__cause__]:
        if inner:
            parts.append(describe(inner))
    return "; ".join(parts)


def write_line(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--security", action="append", choices=["tls", "noise"], help="default: both, TLS first")
    parser.add_argument("--client", action="store_true", help="use the DHT without serving it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    peer = Peer(arguments.security or ["tls", "noise"], arguments.client)
    async with peer.host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        async with background_trio_service(peer.dht):
            addresses = [str(address).split("/p2p/")[0] for address in peer.host.get_addrs()]
            write_line({"result": {"id": str(peer.host.get_id()), "addresses": addresses}})
            # Until the input ends, or the tests have ended.
            while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                if json.loads(line)["name"] == "quit":
                    break
                write_line(await answer(peer, line))
            write_line({"result": None})


if __name__ == "__main__":
    trio.run(main)
