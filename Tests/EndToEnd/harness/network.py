"""A network of hosts in network namespaces, each with one link to a bridge in another namespace.

It is isolated from the machine's own network, so that every run may use the same addresses. The names of the namespaces
contain the pid of the test run.
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
#: The prefix of all names of a test run, followed by the run's pid.
PREFIX = "spegel-e2e"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)


def remove_stale_namespaces() -> None:
    """Removes the namespaces of runs that were killed."""
    for entry in _NAMESPACES.iterdir() if _NAMESPACES.is_dir() else ():
        if is_stale(entry.name):
            run(["ip", "netns", "delete", entry.name])


def is_stale(name: str) -> bool:
    """Whether a name belongs to a test run that has ended."""
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
    """A machine on the network: a namespace with an address and a link to the bridge."""

    def __init__(self, network: Network, name: str, address: str):
        self.name = name
        self.address = address
        self._network = network
        self.namespace = Namespace(f"{network.prefix}-{name}")
        #: Whether mounts of a command propagate to its containers, as systemd has it on a node.
        self.shares_mounts = False

    def command(self, arguments: Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
        """The command that runs another one on this host, with the network's names in its /etc/hosts.

        The pid stays that of the first process. `ip netns exec` does the same, but mounts a new /sys, without the
        cgroups that containerd needs.
        """
        shared = "mount --make-rshared / && " if self.shares_mounts else ""
        bind_and_execute = f'{shared}mount --bind "$0" /etc/hosts && exec "$@"'
        return [
            "nsenter", f"--net={self.namespace.path}", "unshare", "--mount",
            "sh", "-c", bind_and_execute, self._network.hosts_file, *arguments,
        ]

    @contextlib.contextmanager
    def entered(self):
        """Moves the calling thread into the host's namespace. Sockets that it creates meanwhile stay there."""
        with open("/proc/thread-self/ns/net") as home, open(self.namespace.path) as there:
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    def connect(self, address: str, port: int, timeout: float = 5.0) -> socket.socket:
        """A TCP connection from this host."""
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
        """The host's TCP connections, without listeners and those in TIME_WAIT."""
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
        """Limits the bandwidth of the host in both directions."""
        ends = ((self.namespace.name, "eth0"), (self._network.switch.name, self.name))
        for namespace, link in ends:
            run(["tc", "-n", namespace, "qdisc", "replace", "dev", link, "root", "tbf",
                 "rate", f"{megabits_per_second}mbit", "burst", "256kb", "latency", "50ms"])

    def unplug(self) -> None:
        """Takes the link down like a power failure: packets vanish without an error."""
        self._network.switch.ip("link", "set", self.name, "down")

    def plug(self) -> None:
        self._network.switch.ip("link", "set", self.name, "up")


class Network:
    """A bridge with its hosts. All hosts resolve each other's names through `hosts_file`."""

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
