"""A host's systemd: the first process of a process namespace, with its own /run, /var and /etc/systemd."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .network import PREFIX, Host
from .process import Process, eventually, run, tail

# systemd's files go into folders of the namespace, and vanish with it. At its start it empties /tmp.
_PRIVATE = ("/tmp", "/var", "/srv", "/etc/default", "/etc/systemd/system", "/usr/local/bin")
# Mount point of the visible files while those folders are hidden.
_HELD = Path("/run/held")


class Systemd:
    """A systemd that runs until it is closed. `binds` maps paths inside to paths of the machine."""

    def __init__(self, host: Host, directory: Path, binds: Mapping[str, Path], files: Mapping[str, str | Path]):
        directory.mkdir()
        self.log = directory / "systemd.log"
        self._cgroups = [
            Path(mount, f"{PREFIX}-{os.getpid()}-{host.name}")
            for mount in _cgroup_mounts()
        ]
        lines = ["set -e", "mount --make-rprivate /"]
        for group in self._cgroups:
            lines += [f"mkdir -p {group}", f"echo $$ > {group}/cgroup.procs"]
        lines.append(f"mount -t tmpfs tmpfs /run && mkdir {_HELD}")
        for number, source in enumerate([*binds.values(), *(f for f in files.values() if isinstance(f, Path))]):
            target = _HELD / str(number)
            make = "mkdir" if source.is_dir() else "touch"
            lines.append(f"{make} {target} && mount --bind {shlex.quote(str(source))} {target}")
        lines += [f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in _PRIVATE]
        lines.append("mkdir -p /run/lock /run/systemd/system /var/lib /var/log /var/tmp")
        number = 0
        for target, outside in binds.items():
            source = _HELD / str(number)
            make = "mkdir -p" if outside.is_dir() else "touch"
            lines.append(f"mkdir -p $(dirname {target}) && {make} {target} && mount --rbind {source} {target}")
            number += 1
        for target, content in files.items():
            lines.append(f"mkdir -p $(dirname {target})")
            if isinstance(content, Path):
                lines.append(f"cp {_HELD / str(number)} {target}")
                number += 1
            else:
                lines.append(f"cat > {target} <<'END_OF_FILE'\n{content}\nEND_OF_FILE")
        lines.append("export container=spegel-test")
        # In a cgroup namespace, so that it sees only its own subtree.
        lines.append(
            "exec unshare --cgroup --mount-proc /lib/systemd/systemd --system --unit=basic.target --show-status=no")
        script = directory / "start.sh"
        script.write_text("\n".join(lines))
        self._process = Process(
            f"systemd on {host.name}",
            host.command([
                "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc",
                "bash", script,
            ]),
            self.log,
        )

    def wait_until_ready(self) -> None:
        eventually(self._is_serving, f"{self._process.name} answers", timeout=20)

    def control(self, *arguments: str, timeout: float = 40.0) -> str:
        return run(self._inside("systemctl", *arguments), timeout)

    def show(self, unit: str, name: str) -> str:
        return self.control("show", unit, f"--property={name}", "--value").strip()

    def write(self, path: str, content: str) -> None:
        run(self._inside("sh", "-c", f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(content)} > {path}"))

    def journal(self, unit: str) -> str:
        return run(self._inside("journalctl", "--no-pager", "--unit", unit, "--output", "cat"))

    def close(self) -> None:
        self._process.kill()
        for group in self._cgroups:
            # The deepest first. A process that is ending keeps its group a moment longer.
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError, AssertionError):
                    eventually(lambda: _removed(folder), f"{folder} is empty", timeout=2)

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self._first_pid()}", "--all", *command]

    def _children(self) -> list[str]:
        return Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()

    def _first_pid(self) -> int:
        return int(self._children()[0])

    def _is_serving(self) -> bool:
        if not self._process.is_running:
            raise AssertionError(f"{self._process.name} has ended:\n{tail(self.log)}")
        if not self._children():
            return False
        done = subprocess.run(
            self._inside("systemctl", "is-system-running"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=10)
        return done.stdout.strip() in ("running", "degraded")


def _cgroup_mounts() -> list[str]:
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(target)
    return found


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
