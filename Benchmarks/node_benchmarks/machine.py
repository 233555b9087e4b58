"""The machine: its properties, and missing programs."""

import os
import pathlib
import re
import shutil
import subprocess

# Program, Debian package, version option.
OTHERS = [("nginx", "nginx", ["-v"]), ("haproxy", "haproxy", ["-v"]), ("wrk", "wrk", ["-v"])]
# Where this package is.
MODULES = pathlib.Path(__file__).resolve().parents[1]
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name: str) -> str | None:
    return shutil.which(name, path=SEARCH)


def missing() -> list[str]:
    """The Debian packages of missing programs."""
    return [package for name, package, _ in OTHERS if not program(name)]


def reason_against_namespaces() -> str | None:
    """The reason why programs cannot run in network namespaces here, or `None`."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacking = [name for name in ("ip", "nsenter", "tc", "unshare") if not program(name)]
    return f"{', '.join(lacking)} not installed" if lacking else None


def version(name: str, arguments: list[str]) -> str:
    result = subprocess.run([program(name), *arguments], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)?", result.stdout + result.stderr)
    return found.group(0) if found else "?"


def pacing() -> str | None:
    """The system's TCP congestion control, if it is BBR. A node does not use its timers on such connections."""
    name = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return name if name.startswith("bbr") else None


def comparable() -> list[str]:
    """Arguments for a node that sends like the other programs."""
    return [f"--tcp-congestion-control={name}"] if (name := pacing()) else []


def describe() -> dict:
    """A short description of the machine for readers of the numbers."""
    model = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": model.group(1).strip() if model else os.uname().machine,
        "cores": len(os.sched_getaffinity(0)),
        "memory GB": round(int(memory.group(1)) * 1024 / 1e9) if memory else 0,
        "kernel": f"Linux {re.match(r'[0-9.]+', os.uname().release).group(0).rstrip('.')}",
        "load at the start": os.getloadavg()[0],
        **{name: version(name, arguments) for name, _, arguments in OTHERS if program(name)},
        **({"containerd": version("containerd", ["--version"])} if program("containerd") else {}),
    }
