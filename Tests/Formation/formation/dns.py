"""A name server with changeable answers: Debian's dnsmasq."""

from __future__ import annotations

import signal
from pathlib import Path

from harness.network import Host
from harness.process import Process, eventually, run


class Dns:
    def __init__(self, host: Host, directory: Path):
        directory.mkdir()
        self.host = host
        self.log = directory / "dnsmasq.log"
        self.resolver = directory / "resolv.conf"
        self.resolver.write_text(f"nameserver {host.address}\noptions timeout:1 attempts:2\n")
        self._records = directory / "records"
        self._records.write_text("")
        self.process = Process("dnsmasq", host.command([
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
            "--log-facility=-", "--pid-file", "--local-ttl=0", f"--listen-address={host.address}", "--bind-interfaces",
            f"--addn-hosts={self._records}",
        ]), self.log)
        eventually(lambda: "started" in self.log.read_text(), "dnsmasq has started")

    def set(self, name: str, addresses: list[str]) -> None:
        self._records.write_text("".join(f"{address} {name}\n" for address in addresses))
        # SIGHUP rereads the file.
        self.process.signal(signal.SIGHUP)

    def close(self) -> None:
        self.process.stop()
