"""Processes of the tests, each stopped by its own pid and never by name."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def eventually(check: Callable[[], Any], what: str, timeout: float = 15.0, interval: float = 0.1) -> Any:
    """Calls `check` until it returns something true, and returns that; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {result!r})")
        time.sleep(interval)


class Process:
    """A long-running process with its messages in a log file.

    The kernel kills it if the test run dies without a cleanup. That signal is tied to the thread that starts the
    process, so start processes from the main thread.
    """

    def __init__(self, name: str, command: Sequence[str | os.PathLike], log: Path, **streams: Any):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **streams}
            self._popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], **streams)

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def stop(self, grace: float = 10.0) -> int:
        """Terminates it, kills it after `grace` seconds, and returns its exit code."""
        if self.is_running:
            self._popen.terminate()
        try:
            return self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()


class CommandError(Exception):
    """A peer's error for a failed command."""


class LinePeer(Process):
    """A peer that answers each command, a line of JSON, with one line.

    Its first line has its id and addresses.
    """

    def __init__(self, name: str, command: Sequence[str | os.PathLike], log: Path):
        super().__init__(name, command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            identity = self._next_answer(timeout=60)
        except BaseException:
            self.stop()
            raise
        self.id: str = identity["id"]
        self.addresses: list[str] = identity["addresses"]

    @property
    def address(self) -> str:
        """Its address with its id."""
        return f"{self.addresses[0]}/p2p/{self.id}"

    def command(self, name: str, timeout: float = 20.0, **parameters: Any) -> Any:
        """Runs a command within `timeout` seconds; returns its result or raises CommandError."""
        line = json.dumps({"name": name, "timeout": timeout, **parameters})
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()
        # The peer enforces the deadline. This one applies if it does not answer at all.
        return self._next_answer(timeout + 10)

    def quit(self) -> int:
        """Ends it in order, and returns its exit code."""
        self.command("quit")
        self._popen.stdin.close()
        return self._popen.wait(20)

    def stop(self, grace: float = 10.0) -> int:
        code = super().stop(grace)
        self._reader.join(grace)
        for stream in (self._popen.stdin, self._popen.stdout):
            try:
                stream.close()
            except OSError:
                pass  # unwritten input of a peer that has ended
        return code

    def _read(self) -> None:
        for line in self._popen.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _next_answer(self, timeout: float) -> Any:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"{self.name} sent no answer within {timeout:g} s") from None
        if not line:
            raise AssertionError(f"{self.name} has ended with {self._popen.wait(5)}")
        answer = json.loads(line)
        if answer.get("error") is not None:
            raise CommandError(answer["error"])
        return answer.get("result")
