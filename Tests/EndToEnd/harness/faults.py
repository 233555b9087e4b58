"""What can happen to a node that serves a blob, and a laboratory that is mended between one case and the next."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from .containerd import Installation, PullFailed
from .images import Image
from .lab import Lab
from .node import Node
from .process import eventually
from .report import Table
from .spegel import METRICS_PORT

#: The one layer that matters, and how much of it has come when a fault is made.
LAYER = 40_000_000
REACHED = 12_000_000
#: How long a failed pull waits until the next attempt. A kubelet waits ten times as long.
RETRY_AFTER = 1.0
MOST_REFUSALS = 10
#: What each holder and the source registry can send.
MEGABITS_PER_SECOND = 100
COLUMNS = (
    "containerd", "fault", "other holder", "source registry", "the pull", "failed attempts, after", "later than without",
    "the rest from")
#: Of which the median is what the others are compared with.
BASELINE_PULLS = 3


@dataclass(frozen=True)
class Fault:
    """Something that happens to the node that serves a blob."""

    name: str
    make: Callable[[Node, Path], None]
    #: Whether the node still sends all of the blob, as it was.
    harmless: bool = False
    #: Whether the bytes that it sends are wrong: only their end tells.
    corrupting: bool = False


def _kill(node: Node, blob: Path) -> None:
    node.spegel.process.kill()


def _freeze(node: Node, blob: Path) -> None:
    node.spegel.process.signal(signal.SIGSTOP)


def _unplug(node: Node, blob: Path) -> None:
    node.host.unplug()


def _stop_containerd(node: Node, blob: Path) -> None:
    node.containerd.process.stop()


def _truncate(node: Node, blob: Path) -> None:
    os.truncate(blob, LAYER // 2)


def _corrupt(node: Node, blob: Path) -> None:
    """Turns bytes that were not sent yet into others. The file keeps its size; nothing else writes to such a file."""
    with open(blob, "r+b") as file:
        file.seek(LAYER * 3 // 4)
        part = file.read(4096)
        file.seek(LAYER * 3 // 4)
        file.write(bytes(255 - byte for byte in part))


def _rot(node: Node, blob: Path) -> None:
    """The same without a trace in the file's times, as when the disk does it."""
    before = blob.stat()
    _corrupt(node, blob)
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))


def _delete(node: Node, blob: Path) -> None:
    blob.unlink()


#: In the middle of the blob.
IN_MID_BLOB = [
    Fault("killed", _kill),
    Fault("frozen", _freeze),
    Fault("black-holed", _unplug),
    Fault("containerd stopped", _stop_containerd, harmless=True),
    Fault("blob truncated", _truncate),
    Fault("blob corrupted", _corrupt, corrupting=True),
    # A process that has it open reads on.
    Fault("blob deleted", _delete, harmless=True),
]

#: After every node was told who holds the blob, and before it is asked for.
BEFORE_THE_BLOB = [
    Fault("blob deleted before", _delete),
    Fault("blob rotten before", _rot, corrupting=True),
]


@dataclass
class Course:
    """The result of pulling an image until it was there, or until further attempts are pointless."""

    #: From the fault on, or from the start of a later attempt: what each failed attempt took, and its words.
    failures: list[tuple[float, str]] = field(default_factory=list)
    #: All attempts together, and the waiting between them; `None` when none succeeded.
    seconds: float | None = None


class FaultLab:
    """Three nodes: the first pulls, the second holds both images, the third only the one that is `shared`.

    Whatever a case has done, `prepare` mends: it is cheaper than a new laboratory.
    """

    def __init__(self, installation: Installation, binary: Path):
        self.lab = Lab(installation)
        try:
            nodes = self.lab.add_nodes(3)
            self.lab.add_spegels(nodes, binary)
            self.puller, *self.holders = nodes
            self._peer_ids = {node.name: node.spegel.peer_id() for node in nodes}
            self.single = self.lab.push("lab/single", layer_sizes=(LAYER,))
            self.shared = self.lab.push("lab/shared", layer_sizes=(LAYER,))
            self.lab.share(self.single, self.holders[:1])
            self.lab.share(self.shared, self.holders)
            for host in (self.lab.registry.host, *(holder.host for holder in self.holders)):
                host.shape(MEGABITS_PER_SECOND)
            self.baseline = statistics.median(self._fault_free() for _ in range(BASELINE_PULLS))
        except BaseException:
            self.lab.close()
            raise

    def _fault_free(self) -> float:
        self.prepare(self.shared, source=False)
        return self.puller.pull(self.shared.by_tag, "cri", timeout=30).seconds

    def image(self, other_holder: bool) -> Image:
        return self.shared if other_holder else self.single

    def blob(self, holder: Node, image: Image) -> Path:
        """The file of a holder that has the big layer."""
        [layer] = image.manifest().layers
        return holder.containerd.content_path / "blobs" / layer.replace(":", "/")

    def prepare(self, image: Image, source: bool) -> None:
        """Mends everything; the puller starts without content, and no Spegel remembers anything of its peers."""
        for node in self.lab.nodes:
            node.host.plug()
            node.spegel.process.kill()
        self.puller.containerd.empty()
        for holder in self.holders:
            for held in (self.single, self.shared):
                self._mend(holder, held)
            if not holder.containerd.process.is_running:
                holder.containerd.start()
        self.lab.registry.stop()
        if source:
            self.lab.registry.start()
        for node in self.lab.nodes:
            node.containerd.wait_until_ready()
            node.spegel.start()
        for node in self.lab.nodes:
            node.spegel.wait_until_ready()
        for holder in self.holders[:1] if image is self.single else self.holders:
            eventually(lambda: holder.serves(image), f"Spegel on {holder.name} serves {image.by_tag}")
            # A record of each holder, not of one alone.
            eventually(lambda: self._knows(holder, image), f"{self.puller.name} knows that {holder.name} holds it")
        self._requests_before = len(self.lab.registry.requests(self.puller.host))

    def _mend(self, holder: Node, image: Image) -> None:
        blob = self.blob(holder, image)
        [layer] = image.manifest().layers
        if holder is not self.holders[0] and image is self.single:
            return
        good = image.folder / "blobs" / layer.replace(":", "/")
        if not blob.exists() or blob.read_bytes() != good.read_bytes():
            new = blob.with_name("new")
            shutil.copyfile(good, new)
            new.rename(blob)

    def _knows(self, holder: Node, image: Image) -> bool:
        [layer] = image.manifest().layers
        path = f"/debug/api/resolve?reference={quote(layer)}&follow=false"
        [content] = json.loads(self.puller.spegel.request("GET", path, port=METRICS_PORT).body)["contents"]
        return self._peer_ids[holder.name] in [holder["peer"] for holder in content["holders"]]

    # What happens

    def pull(self, image: Image, attempts: int) -> Course:
        """Pulls until it works, at most so often."""
        course, begin = Course(), time.monotonic()
        for attempt in range(attempts):
            if attempt:
                time.sleep(RETRY_AFTER)
            try:
                self._pull_anew(image, course)
                course.seconds = time.monotonic() - begin
                break
            except PullFailed:
                pass
        return course

    def _pull_anew(self, image: Image, course: Course) -> None:
        """One pull, whose failure is noted.

        containerd 1.6 keeps content that it has refused until it collects garbage, and until then refuses it again
        without asking anybody: that is no attempt.
        """
        for _ in range(MOST_REFUSALS):
            start, before = time.monotonic(), self.puller.host.received_bytes()
            try:
                self.puller.pull(image.by_tag, "cri", timeout=40)
                return
            except PullFailed as failure:
                course.failures.append((time.monotonic() - start, str(failure)))
                received = self.puller.host.received_bytes() - before
                if received > LAYER // 10 or "unexpected commit digest" not in str(failure):
                    raise
            course.failures.pop()
            time.sleep(RETRY_AFTER)
        raise AssertionError("containerd does not let go of content that it has refused")

    def pull_with_fault(
        self, image: Image, make: Callable[[], object], *, attempts: int = 1, reached: int = REACHED,
    ) -> Course:
        """Pulls, makes a fault when so much has come, and pulls again if need be. With 0 the fault comes before."""
        begin, before = time.monotonic(), self.puller.host.received_bytes()
        first = self.puller.in_background(lambda: self.puller.pull(image.by_tag, "cri", timeout=40))
        eventually(
            lambda: first.done() or self.puller.host.received_bytes() - before >= reached,
            "the blob is under way", interval=0.03)
        assert not first.done(), f"over before the fault: {first.exception() or first.result()}"
        fault = time.monotonic()
        make()
        try:
            first.result()
            return Course(seconds=time.monotonic() - begin)
        except PullFailed as failure:
            failed = (time.monotonic() - fault, str(failure))
        if attempts > 1:
            time.sleep(RETRY_AFTER)
        course = self.pull(image, attempts - 1)
        course.failures.insert(0, failed)
        if course.seconds is not None:
            course.seconds = time.monotonic() - begin
        return course

    def serving(self, before: dict[str, int]) -> Node:
        """The holder that has sent most since `sent` was called."""
        return max(self.holders, key=lambda holder: holder.host.sent_bytes() - before[holder.name])

    def sent(self) -> dict[str, int]:
        return {holder.name: holder.host.sent_bytes() for holder in self.holders}

    def failed_attempts(self) -> float:
        """How many attempts at peers the puller's Spegel has seen fail."""
        page = self.puller.spegel.request("GET", "/metrics", port=METRICS_PORT).body.decode()
        lines = [line for line in page.splitlines() if line.startswith("spegel_mirror_failed_attempts_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def asked_source_for_layer(self, image: Image) -> bool:
        """Whether the puller has asked the source registry for the big layer since `prepare`."""
        [layer] = image.manifest().layers
        requests = self.lab.registry.requests(self.puller.host)[self._requests_before:]
        return any(request.path.endswith(layer) for request in requests)

    def note(self, table: Table, fault: str, other_holder: str, source: str, course: Course) -> None:
        """Adds a row of `COLUMNS` to a table."""
        works = course.seconds is not None
        rest = "" if not works else "source" if self.asked_source_for_layer(self.single) \
            or self.asked_source_for_layer(self.shared) else "peer"
        table.add(
            self.lab.installation.version, fault, other_holder, source, "works" if works else "fails",
            ", ".join(f"{seconds:.1f} s" for seconds, _ in course.failures),
            f"{course.seconds - self.baseline:+.1f} s" if works else "", rest)

    def close(self) -> None:
        self.lab.close()
