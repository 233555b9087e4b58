#!/usr/bin/env python3
"""A thousand clients request content of all sizes from real nodes while other nodes come and go.

Four nodes stay: two hold half of the content each, two hold nothing. Three more hold some of it and are killed, stopped
in order, or frozen, and come back. So a living node has each content at all times. The clients ask the nodes that stay
and those that have just come back, and must get it. Every byte is compared; a 404 is wrong, and so is silence. A body
may be cut short when nodes die; the client requests the rest, like containerd, and must get it. A 503 because all
holders are busy may come only after 30 s. At the end no transfer may be in flight, and memory and descriptors must not
have grown.

The seed determines the content, each client's requests and what happens to which node. It does not determine the timing.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import random
import resource
import shutil
import signal
import statistics
import sys
import time
from pathlib import Path

from client import Connection, Disconnected, Hung, Response, WrongAnswer
from cluster import Node, free_ports, wait_until
from content import MANIFEST_TYPE, REGISTRY, REPOSITORY, Content, Library

ROOT = Path(__file__).resolve().parent.parent.parent
STAYING, ROAMING = 4, 3
#: The maximum time without progress of a response: more than the 30 s for which a node queues a transfer, and the 9 s
#: that it takes at most to answer after that. A hang lasts longer.
SILENCE = 45.0
#: The minimum time in the queue before a node may answer that all holders are busy, and the maximum number of such
#: answers among 1,000: the machine may be too slow for that number of transfers.
PATIENCE, MOST_BUSY = 29.9, 1.0
#: The maximum number of requests for the rest of one blob.
MOST_RESUMPTIONS = 10
#: How long a ready node may take until it finds all content of the others.
JOINING = 1.0
#: The maximum resident memory of a node in MiB: about 30 at rest, 32 to verify content, 176 KiB for each of a few
#hundred
#: transfers, and freed memory that the allocator cannot reuse at once.
PEAK = 192.0
#: The maximum growth of a node from the second quarter of the run to the last. A short run has hardly warmed up, and
#its
#: number of large transfers varies more.
GROWTH, GROWTH_IN_A_SHORT_RUN, LONG_RUN = 8.0, 64.0, 300
DESCRIPTORS_GROWTH = 50
SAMPLE_EVERY = 1.0
#: How long transfers may take to end after the last client, and idle connections to close.
SETTLING = 30.0


class Run:
    """The state that all clients share."""

    def __init__(self, seed: int, library: Library, nodes: list[Node], end: float):
        self.seed = seed
        self.library = library
        self.nodes = nodes
        self.end = end
        self.connections: set[Connection] = set()
        self.counts: collections.Counter[str] = collections.Counter()
        self.bytes = 0
        self.failures: list[str] = []
        self.samples: dict[str, list[tuple[float, int]]] = {node.name: [] for node in nodes[:STAYING]}

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.end

    def fail(self, words: str) -> None:
        self.counts["failures"] += 1
        if len(self.failures) < 50:
            self.failures.append(words)
            print(f"FAILED: {words}", flush=True)


class Busy(Exception):
    """All holders were busy for the whole queue time: the client would continue at the upstream."""


class Enough(Exception):
    """The client needs no more of a response."""


class Client:
    """Requests one thing after another, chosen at random."""

    def __init__(self, run: Run, number: int):
        self.run = run
        self.random = random.Random(f"{run.seed}/client/{number}")
        # Each client is a machine of its own. A repeated request of one machine makes a node verify the content.
        self.address = f"127.{100 + number // 62500 % 100}.{number // 250 % 250}.{1 + number % 250}"
        self.connection: Connection | None = None
        self.node: Node | None = None
        #: The start of the request in progress.
        self.asked = 0.0

    async def work(self) -> None:
        deeds = (self._get_blob, self._get_manifest, self._head, self._get_range, self._leave_early, self._ask_for_nothing)
        # They start at different times.
        await asyncio.sleep(self.random.random())
        while not self.run.is_over:
            [deed] = self.random.choices(deeds, (60, 12, 8, 8, 6, 6))
            self._choose_node()
            name = deed.__name__.strip("_")
            try:
                await deed()
                self.run.counts[name] += 1
            except Busy:
                self.run.counts["busy for 30 s"] += 1
            except (OSError, Disconnected) as error:
                self._drop()
                if self._node_may_have_gone():
                    self.run.counts["cut off by an ended node"] += 1
                else:
                    self.run.fail(f"{name} from {self.node.name}: {error!r}")
            except (WrongAnswer, Hung) as error:
                self._drop()
                if isinstance(error, Hung) and self._node_may_have_gone():
                    self.run.counts["cut off by an ended node"] += 1
                else:
                    self.run.fail(f"{name} from {self.node.name}: {error}")
        self._drop()

    # Actions

    async def _get_blob(self) -> None:
        blob = self.run.library.choose_blob(self.random)
        await self._get(blob, 0, blob.size)

    async def _get_manifest(self) -> None:
        manifest = self.random.choice(self.run.library.manifests)
        response = await self._ask("GET", self._manifest_path(manifest), {}, checking(manifest, 0))
        self._expect_manifest(response, manifest)

    async def _head(self) -> None:
        if self.random.random() < 0.5:
            manifest = self.random.choice(self.run.library.manifests)
            self._expect_manifest(await self._ask("HEAD", self._manifest_path(manifest), {}), manifest)
        else:
            blob = self.run.library.choose_blob(self.random)
            response = await self._ask("HEAD", blob_path(blob.digest), {})
            expect(response, 200, blob, "content-length", str(blob.size))

    async def _get_range(self) -> None:
        blob = self.run.library.choose_blob(self.random)
        first = self.random.randrange(blob.size)
        await self._get(blob, first, min(blob.size, first + 1 + self.random.randrange(256 << 10)))

    async def _leave_early(self) -> None:
        """Like containerd 2: reads a part of a blob and leaves."""
        blob = self.run.library.choose_blob(self.random)
        await self._get(blob, 0, blob.size, enough=self.random.randrange(blob.size))
        self._drop()

    async def _ask_for_nothing(self) -> None:
        """Missing content: 404, for some keys repeatedly."""
        digest = f"sha256:{self.random.randrange(64 if self.random.random() < 0.5 else 1 << 256):064x}"
        path = blob_path(digest) if self.random.random() < 0.5 else f"/v2/{REPOSITORY}/manifests/{digest}?ns={REGISTRY}"
        response = await self._ask("GET", path, {})
        if response.status != 404:
            raise WrongAnswer(f"status {response.status} for {digest}, which no node has")

    # Requests

    async def _get(self, blob: Content, start: int, end: int, enough: int | None = None) -> None:
        """Gets a part of a blob, in several responses if necessary, or leaves when it has enough."""
        for _ in range(MOST_RESUMPTIONS):
            offset = start
            is_whole = (offset, end) == (0, blob.size)

            def check(response: Response, data: memoryview) -> None:
                nonlocal start
                if response.status == (200 if is_whole else 206):
                    compare(blob, offset + response.received, data)
                    start += len(data)
                    if enough is not None and start > enough:
                        raise Enough

            begun = time.monotonic()
            headers = {} if is_whole else {"Range": f"bytes={offset}-{end - 1}"}
            try:
                response = await self._ask("GET", blob_path(blob.digest), headers, check)
            except Enough:
                return
            except Disconnected:
                if start == offset or self._node_may_have_gone():
                    raise
                self.run.counts["bodies cut short, resumed"] += 1
                self._drop()
                continue
            if response.status == 503 and "retry-after" in response.headers and time.monotonic() - begun > PATIENCE:
                raise Busy
            expect(response, 200 if is_whole else 206, blob, "content-length", str(end - offset))
            if not is_whole:
                expect(response, 206, blob, "content-range", f"bytes {offset}-{end - 1}/{blob.size}")
            return
        raise WrongAnswer(f"{blob.digest} of {blob.size} bytes was cut short {MOST_RESUMPTIONS} times, last at {start}")

    async def _ask(self, method: str, path: str, headers: dict[str, str], sink=lambda response, data: None) -> Response:
        """Sends one request; on a new connection if the kept one turns out to be closed."""
        while True:
            self.asked = time.monotonic()
            fresh = self.connection is None or not self.connection.is_open
            if fresh:
                self._drop()
                ports = self.node.ports
                _, self.connection = await asyncio.wait_for(
                    asyncio.get_running_loop().create_connection(
                        Connection, self.node.address, ports.registry, local_addr=(self.address, 0)),
                    SILENCE)
                self.run.connections.add(self.connection)
            try:
                response = await self.connection.request(method, path, headers, sink)
                self.run.bytes += response.received
                return response
            except Disconnected:
                if fresh or self.connection.response is not None:
                    raise
                self._drop()

    def _choose_node(self) -> None:
        """Keeps the node of its connection for a while."""
        if self.connection and self.connection.is_open and self.random.random() < 0.8 and self._is_up(self.node):
            return
        self._drop()
        self.node = self.random.choice([node for node in self.run.nodes if self._is_up(node)])

    def _is_up(self, node: Node) -> bool:
        return node.ready_since is not None and node.ready_since + JOINING < time.monotonic()

    def _node_may_have_gone(self) -> bool:
        """Whether the test has disturbed the node during the request, so that its failure is no fault."""
        return self.node.ready_since is None or self.node.ready_since >= self.asked

    def _manifest_path(self, manifest: Content) -> str:
        reference = manifest.tag if self.random.random() < 0.5 else manifest.digest
        return f"/v2/{REPOSITORY}/manifests/{reference}?ns={REGISTRY}"

    def _expect_manifest(self, response: Response, manifest: Content) -> None:
        expect(response, 200, manifest, "content-length", str(manifest.size))
        expect(response, 200, manifest, "content-type", MANIFEST_TYPE)
        expect(response, 200, manifest, "docker-content-digest", manifest.digest)

    def _drop(self) -> None:
        if self.connection:
            self.run.connections.discard(self.connection)
            (self.connection.abort if self.random.random() < 0.5 else self.connection.close)()
            self.connection = None


def blob_path(digest: str) -> str:
    return f"/v2/{REPOSITORY}/blobs/{digest}?ns={REGISTRY}"


def compare(content: Content, offset: int, data: memoryview) -> None:
    if content.bytes[offset:offset + len(data)] != bytes(data):
        raise WrongAnswer(f"wrong bytes of {content.digest} between {offset} and {offset + len(data)}")


def checking(content: Content, offset: int):
    def check(response: Response, data: memoryview) -> None:
        if response.status in (200, 206):
            compare(content, offset + response.received, data)
    return check


def expect(response: Response, status: int, content: Content, header: str = "", value: str = "") -> None:
    if response.status != status:
        raise WrongAnswer(f"status {response.status} instead of {status} for {content.digest} ({content.tag})")
    if header and response.headers.get(header) != value:
        raise WrongAnswer(f"{header} is {response.headers.get(header)!r} instead of {value!r} for {content.digest}")


async def disturb(run: Run, node: Node) -> None:
    """Ends a node that does not stay in one of several ways, and brings it back."""
    generator = random.Random(f"{run.seed}/{node.name}")
    while not run.is_over:
        await asyncio.sleep(generator.uniform(2, 10))
        what = generator.choice(("killed", "stopped", "frozen"))
        away = generator.uniform(0.5, 4)
        run.counts[f"nodes {what}"] += 1
        node.ready_since = None
        if what == "frozen":
            node.signal(signal.SIGSTOP)
            await asyncio.sleep(away)
            node.signal(signal.SIGCONT)
        else:
            node.signal(signal.SIGKILL if what == "killed" else signal.SIGTERM)
            await asyncio.sleep(away)
            await asyncio.to_thread(node.stop)
            node.start()
        while not await asyncio.to_thread(node.is_ready):
            await asyncio.sleep(0.1)
        node.ready_since = time.monotonic()


async def watch(run: Run) -> None:
    """Samples the nodes that stay, fails requests that hang, and reports the progress."""
    last_words, last_bytes = time.monotonic(), 0
    while True:
        await asyncio.sleep(SAMPLE_EVERY)
        now = time.monotonic()
        for connection in list(run.connections):
            if connection.is_waiting and now - connection.last_progress > SILENCE:
                connection.fail(Hung(f"no byte for {SILENCE:g} s"))
        for node in run.nodes[:STAYING]:
            if not node.is_running:
                run.fail(f"{node.name} has ended")
                run.end = now
                return
            if not run.is_over:
                run.samples[node.name].append((node.resident(), node.descriptors()))
        if now - last_words >= 10 and not run.is_over:
            answers = sum(count for name, count in run.counts.items() if name in DEEDS)
            resident = ", ".join(f"{run.samples[node.name][-1][0]:.0f}" for node in run.nodes[:STAYING])
            rate = (run.bytes - last_bytes) / (now - last_words) / 1e6
            print(f"{run.end - now:4.0f} s left: {answers} answers, {rate:.0f} MB/s; resident {resident} MiB", flush=True)
            last_words, last_bytes = now, run.bytes


DEEDS = ("get_blob", "get_manifest", "head", "get_range", "leave_early", "ask_for_nothing")


async def load(run: Run, clients: int) -> None:
    watcher = asyncio.create_task(watch(run))
    others = [asyncio.create_task(disturb(run, node)) for node in run.nodes[STAYING:]]
    others += [asyncio.create_task(Client(run, number).work()) for number in range(clients)]
    for task in others:
        await task
    watcher.cancel()


def settle(run: Run) -> None:
    """No transfer may be in flight a while after the last client has gone."""
    left: dict[str, dict[str, float]] = {}
    end = time.monotonic() + SETTLING
    while True:
        left = {node.name: node.in_flight() for node in run.nodes}
        busy = {name: gauges for name, gauges in left.items() if any(gauges.values())}
        if not busy:
            return
        if time.monotonic() > end:
            return run.fail(f"still in flight {SETTLING:g} s after the last client has gone: {busy}")
        time.sleep(0.5)


def judge(run: Run, before: dict[str, int], seconds: float) -> None:
    bound = GROWTH if seconds >= LONG_RUN else GROWTH_IN_A_SHORT_RUN
    print("\nnode    resident MiB: second quarter, last, peak, after   descriptors: second quarter, last, peak, after")
    for node in run.nodes[:STAYING]:
        samples = run.samples[node.name]
        quarter = max(1, len(samples) // 4)
        second, last = samples[quarter:2 * quarter] or samples, samples[-quarter:]
        resident = [statistics.mean(sample[0] for sample in part) for part in (second, last)]
        descriptors = [statistics.mean(sample[1] for sample in part) for part in (second, last)]
        # Idle connections to other nodes close after 15 s.
        end = time.monotonic() + SETTLING
        while node.descriptors() > before[node.name] + DESCRIPTORS_GROWTH and time.monotonic() < end:
            time.sleep(0.5)
        print(
            f"{node.name}   {resident[0]:27.1f} {resident[1]:6.1f} {max(sample[0] for sample in samples):6.1f} "
            f"{node.resident():6.1f}   {descriptors[0]:27.0f} {descriptors[1]:6.0f} "
            f"{max(sample[1] for sample in samples):6d} {node.descriptors():6d}")
        if resident[1] - resident[0] > bound:
            run.fail(f"{node.name} grew by {resident[1] - resident[0]:.1f} MiB, limit {bound:g}")
        if max(sample[0] for sample in samples) > PEAK:
            run.fail(f"{node.name} had more than {PEAK:g} MiB resident")
        if node.descriptors() > before[node.name] + DESCRIPTORS_GROWTH:
            run.fail(f"{node.name} has {node.descriptors()} open descriptors, {before[node.name]} before")


def make_nodes(arguments: argparse.Namespace, work: Path, library: Library) -> list[Node]:
    ports = free_ports()
    bootstrap = f"/ip4/127.0.0.41/tcp/{ports.router}"
    nodes = [
        Node(arguments.binary, number, work / f"node{number}", ports, bootstrap, arguments.log_level)
        for number in range(1, STAYING + ROAMING + 1)]
    generator = random.Random(f"{arguments.seed}/stores")
    half: tuple[list[Content], list[Content]] = [], []
    for content in (*library.blobs, *library.manifests):
        generator.choice(half).append(content)
    for number, node in enumerate(nodes):
        held = half[number] if number < 2 else [] if number < STAYING else [
            content for content in (*library.blobs, *library.manifests) if generator.random() < 0.5]
        library.make_store(
            node.store, [content for content in held if not content.tag], [content for content in held if content.tag])
    return nodes


def sees_all(node: Node, library: Library) -> bool:
    """Whether a node finds a holder of all content."""
    expected = len(library.blobs) + len(library.manifests)
    metrics = node.metrics()
    return metrics["spegel_held_contents"] + metrics["spegel_provider_records"] >= expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / ".build/release/spegel")
    parser.add_argument("--duration", type=float, default=600, help="seconds")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(63))
    parser.add_argument("--log-level", default="warning", help="log level of the nodes")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' folders")
    arguments = parser.parse_args()
    print(f"seed: {arguments.seed}; {arguments.clients} clients, {arguments.duration:g} s", flush=True)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * arguments.clients + 200:
        sys.exit(f"{arguments.clients} clients need more than the limit of {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    work = ROOT / ".cache" / f"load-{os.getpid()}"
    library = Library(work / "content", arguments.seed)
    nodes = make_nodes(arguments, work, library)
    print(f"{len(library.blobs)} blobs and {len(library.manifests)} manifests, {library.total_bytes / 1e6:.0f} MB", flush=True)
    passed = False
    try:
        for node in nodes:
            node.start()
        wait_until("all nodes are ready", 30, lambda: all(node.is_ready() for node in nodes))
        wait_until("every node finds all content", 30, lambda: all(sees_all(node, library) for node in nodes))
        time.sleep(1)
        for node in nodes:
            node.ready_since = time.monotonic() - JOINING
        before = {node.name: node.descriptors() for node in nodes[:STAYING]}
        begin = time.monotonic()
        run = Run(arguments.seed, library, nodes, begin + arguments.duration)
        asyncio.run(load(run, arguments.clients))
        seconds = time.monotonic() - begin
        settle(run)
        judge(run, before, arguments.duration)
        print()
        for name, count in sorted(run.counts.items()):
            print(f"{name:32} {count:9}")
        answers = sum(run.counts[name] for name in DEEDS)
        if run.counts["busy for 30 s"] > answers * MOST_BUSY / 1000:
            run.fail(f"more than {MOST_BUSY:g} of 1,000 answers said that all holders are busy")
        print(f"{answers} answers and {run.bytes / 1e9:.1f} GB in {seconds:.0f} s; seed: {arguments.seed}")
        passed = not run.counts["failures"]
        print("passed" if passed else f"FAILED: {run.counts['failures']} failures")
    finally:
        for node in nodes:
            node.stop()
        if not passed:
            for node in nodes:
                lines = node.log.read_text(errors="replace").splitlines() if node.log.exists() else []
                print(f"\n{node.name}, the last lines of its log:", *lines[-10:], sep="\n")
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
