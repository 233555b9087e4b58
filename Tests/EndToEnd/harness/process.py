"""Processes of the tests, each stopped by its own pid and never by name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def eventually(check: Callable[[], object], what: str, timeout: float = 10.0, interval: float = 0.05):
    """Calls `check` until it returns something true, and returns that; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {result!r})")
        time.sleep(interval)


def run(command: Sequence[str | os.PathLike], timeout: float = 60.0) -> str:
    """Runs a short command and returns its output; a failure raises an error with both."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=timeout)
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"`{words}` ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def tail(log: Path, lines: int = 40) -> str:
    """The last lines of a log, or the reason why there are none."""
    try:
        content = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"({error.strerror})"
    content = [line for line in content if "loading plugin" not in line]
    return "\n".join(content[-lines:]) if content else "(empty)"


class Process:
    """A long-running process with its output in a log file.

    The command must end in the program itself by exec only, so that `pid` is the program's. The kernel kills it if the
    test run dies without a cleanup. That signal is tied to the thread that starts the process, so start processes from
    the main thread.
    """

    def __init__(self, name: str, command: Sequence[str | os.PathLike], log: Path, env: dict[str, str] | None = None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, negative when a signal ended it."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} (pid {self.pid}) still runs after {timeout:g} s") from None

    def kill(self) -> None:
        """Ends it like a crash: at once, without cleanup."""
        if self.is_running:
            self._popen.kill()
        self._popen.wait()

    def stop(self, grace: float = 5.0) -> int:
        """Terminates it, and kills it after `grace` seconds."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process would not handle it
        try:
            return self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._popen.returncode

    def descriptors(self) -> int:
        """The number of its open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self) -> int:
        """Its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"{self.name} (pid {self.pid}) has no resident memory: it has ended")
