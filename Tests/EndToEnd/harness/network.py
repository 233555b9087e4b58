"""A network of its own: hosts in network namespaces, each with one link to a bridge in another namespace.

Nothing of it can be seen from, or reached from, the machine's own network, so every run may use the same
addresses. The namespaces carry the pid of the test run in their names.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from .process import run

_NAMESPACES = Path("/run/netns")
#: What all that a test run makes is named after, followed by the run's pid.
PREFIX = "spegel-e2e"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)


def remove_stale_namespaces() -> None:
    """Removes the namespaces of runs that were killed before they could clean up."""
    for entry in _NAMESPACES.iterdir() if _NAMESPACES.is_dir() else ():
        if is_stale(entry.name):
            run(["ip", "netns", "delete", entry.name])


def is_stale(name: str) -> bool:
    """Whether a name is one that a test run gave, and that run is over."""
    match = re.match(rf"{PREFIX}-(\d+)-", name)
    return match is not None and not Path(f"/proc/{match[1]}").exists()


class Namespace:
    """A network namespace."""

    def __init__(self, name: str):
        self.name = name
        self.path = _NAMESPACES / name
        run(["ip", "netns", "add", name])

    def ip(self, *arguments: str) -> str:
        return run(["ip", "-n", self.name, *arguments])

    def delete(self) -> None:
        run(["ip", "netns", "delete", self.name])


class Host:
    """One machine on the network: a namespace with an address and a link to the bridge."""

    def __init__(self, network: Network, name: str, address: str):
        self.name = name
        self.address = address
        self._network = network
        self.namespace = Namespace(f"{network.prefix}-{name}")

    def command(self, arguments: Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
        """The command that runs another one on this host, with the network's names in its /etc/hosts.

        The pid stays that of the first process. `ip netns exec` would do the same, but it mounts a new
        /sys, without the cgroups that containerd wants to see.
        """
        bind_and_execute = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return [
            "nsenter", f"--net={self.namespace.path}", "unshare", "--mount",
            "sh", "-c", bind_and_execute, self._network.hosts_file, *arguments,
        ]

    @contextlib.contextmanager
    def entered(self):
        """Moves the calling thread into the host's namespace: sockets made meanwhile stay in it."""
        with open("/proc/thread-self/ns/net") as home, open(self.namespace.path) as there:
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    def connect(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A TCP connection that starts on this host."""
        with self.entered():
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect((address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    def sockets(self) -> list[str]:
        """The host's TCP connections (not listeners, and not those that only wait for their time to run out)."""
        output = run(["nsenter", f"--net={self.namespace.path}", "ss", "-Htan"])
        idle = ("LISTEN", "TIME-WAIT")
        return [line for line in output.splitlines() if line.split()[0] not in idle]

    def received_bytes(self) -> int:
        return self._counters()["rx"]["bytes"]

    def sent_bytes(self) -> int:
        return self._counters()["tx"]["bytes"]

    def _counters(self) -> dict:
        links = json.loads(run(["ip", "-j", "-s", "-n", self.namespace.name, "link", "show", "eth0"]))
        return links[0]["stats64"]

    def shape(self, megabits_per_second: int) -> None:
        """Limits what the host sends and what it receives."""
        ends = ((self.namespace.name, "eth0"), (self._network.switch.name, self.name))
        for namespace, link in ends:
            run(["tc", "-n", namespace, "qdisc", "replace", "dev", link, "root", "tbf",
                 "rate", f"{megabits_per_second}mbit", "burst", "256kb", "latency", "50ms"])

    def unplug(self) -> None:
        """Takes the link down, as a power cut does: packets vanish without notice."""
        self._network.switch.ip("link", "set", self.name, "down")

    def plug(self) -> None:
        self._network.switch.ip("link", "set", self.name, "up")


class Network:
    """A bridge and the hosts on it. Names of hosts resolve on all of them through `hosts_file`."""

    def __init__(self, directory: Path):
        self.prefix = f"{PREFIX}-{os.getpid()}-{next(_serial)}"
        self.hosts_file = directory / "hosts"
        self.hosts_file.write_text("127.0.0.1 localhost\n::1 localhost\n")
        self.hosts: list[Host] = []
        self.switch = Namespace(f"{self.prefix}-switch")
        self.switch.ip("link", "add", "bridge", "type", "bridge")
        self.switch.ip("link", "set", "bridge", "up")

    def add_host(self, name: str, address: str, alias: str | None = None) -> Host:
        host = Host(self, name, address)
        self.hosts.append(host)
        inside = host.namespace
        inside.ip("link", "set", "lo", "up")
        inside.ip("link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", self.switch.name)
        inside.ip("address", "add", f"{address}/24", "dev", "eth0")
        inside.ip("link", "set", "eth0", "up")
        self.switch.ip("link", "set", name, "master", "bridge")
        self.switch.ip("link", "set", name, "up")
        with open(self.hosts_file, "a") as hosts:
            hosts.write(f"{address} {alias or name}\n")
        return host

    def delete(self) -> None:
        for host in self.hosts:
            host.namespace.delete()
        self.switch.delete()


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
