"""The machine: what it is, and which programs are missing."""

import os
import pathlib
import re
import shutil
import subprocess

# Program, Debian's package, how to ask for its version.
OTHERS = [("nginx", "nginx", ["-v"]), ("haproxy", "haproxy", ["-v"]), ("wrk", "wrk", ["-v"])]
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name: str) -> str | None:
    return shutil.which(name, path=SEARCH)


def missing() -> list[str]:
    """Debian's packages of the programs that are not there."""
    return [package for name, package, _ in OTHERS if not program(name)]


def version(name: str, arguments: list[str]) -> str:
    result = subprocess.run([program(name), *arguments], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)?", result.stdout + result.stderr)
    return found.group(0) if found else "?"


def pacing() -> str | None:
    """The system's TCP congestion control, where it is BBR, whose timers a node does without on connections like these."""
    name = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return name if name.startswith("bbr") else None


def alike() -> list[str]:
    """Arguments of a node that is to send as the programs beside it do."""
    return [f"--tcp-congestion-control={name}"] if (name := pacing()) else []


def describe() -> dict:
    """The machine in a few words, for readers of the results."""
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
