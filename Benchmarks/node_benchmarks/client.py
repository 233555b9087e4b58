"""A client that discards blobs and costs as little as possible: the kernel drops the bytes uncopied (MSG_TRUNC).

Runs as a process of its own, so that its CPU time is separate. Reads a task from stdin as JSON:

    address   [host, port]
    paths     the paths, in order
    connections  the number of concurrent connections; each takes the next path when its body is complete
    seconds   optional: repeats the paths until this time has passed
    source    optional: the client's own address; otherwise each connection has another one
    stall     optional: reads nothing after the head of each answer until this time has passed

Prints JSON: the seconds, bytes and answers, faults of answers, and the seconds of CPU.
"""

import json
import random
import resource
import select
import socket
import sys
import time

CHUNK = 1 << 20
DROP = socket.MSG_TRUNC


class Transfer:
    """A connection with its progress in the current answer."""

    def __init__(self, task: dict):
        self.task = task
        # Each from an address of its own, like another node. A repeated request of one client would verify the content
        # first.
        source = task.get("source") or f"127.{random.randint(100, 250)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self.socket = socket.create_connection(tuple(task["address"]), 20, (source, 0))
        self.head = b""
        self.left = 0
        self.in_head = True

    def ask(self, path: str) -> None:
        self.head, self.in_head = b"", True
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    def take_head(self) -> tuple[int, int] | None:
        """Reads the available part of the head; returns the status and the number of body bytes behind it."""
        self.head += self.socket.recv(4096) or b"HTTP/1.1 000 closed\r\n\r\n"
        head, end, body = self.head.partition(b"\r\n\r\n")
        if not end:
            return None
        self.in_head = False
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.left = length - len(body)
        return int(head.split()[1]), len(body)


def run(task: dict) -> dict:
    transfers = [Transfer(task) for _ in range(task["connections"])]
    paths, repeats = iter(task["paths"]), "seconds" in task
    counts: dict = {"bytes": 0, "answers": 0, "bad": []}
    buffer = bytearray(CHUNK)
    poll = select.epoll()
    by_descriptor = {transfer.socket.fileno(): transfer for transfer in transfers}
    begin = time.monotonic()
    end = begin + task["seconds"] if repeats else float("inf")

    def next_path() -> str | None:
        nonlocal paths
        path = next(paths, None)
        if path is None and repeats:
            paths = iter(task["paths"])
            path = next(paths)
        return path

    def go_on(transfer: Transfer) -> bool:
        """Sends the next request; returns whether there is one."""
        path = next_path()
        if path is not None:
            transfer.ask(path)
        return path is not None

    def finished_head(transfer: Transfer) -> None:
        answer = transfer.take_head()
        if answer is None:
            return
        status, came = answer
        counts["bytes"] += came
        counts["answers"] += 1
        if status != 200:
            counts["bad"].append(f"status {status}")

    if len(transfers) == 1 and not repeats:
        # Blocking reads of 1 MiB: one call each, whatever the size of the segments.
        transfer = transfers[0]
        while go_on(transfer):
            while transfer.in_head:
                finished_head(transfer)
            while transfer.left > 0:
                got = transfer.socket.recv_into(buffer, min(CHUNK, transfer.left), DROP | socket.MSG_WAITALL)
                if not got:
                    counts["bad"].append(f"{transfer.left} bytes missing")
                    break
                transfer.left -= got
                counts["bytes"] += got
    else:
        active = 0
        for transfer in transfers:
            if go_on(transfer):
                poll.register(transfer.socket.fileno(), select.EPOLLIN)
                active += 1
        stalled_until = begin + task.get("stall", 0)
        waiting: list[Transfer] = []
        while active:
            now = time.monotonic()
            if now > end:
                break
            if waiting and now > stalled_until:
                for transfer in waiting:
                    poll.register(transfer.socket.fileno(), select.EPOLLIN)
                waiting = []
            for descriptor, _ in poll.poll(0.1):
                transfer = by_descriptor[descriptor]
                if transfer.in_head:
                    finished_head(transfer)
                    if not transfer.in_head and now < stalled_until:
                        poll.unregister(descriptor)
                        waiting.append(transfer)
                        continue
                elif transfer.left > 0:
                    got = transfer.socket.recv_into(buffer, min(CHUNK, transfer.left), DROP | socket.MSG_DONTWAIT)
                    if not got:
                        counts["bad"].append(f"{transfer.left} bytes missing")
                        transfer.left = 0
                    transfer.left -= got
                    counts["bytes"] += got
                if not transfer.in_head and transfer.left == 0 and not go_on(transfer):
                    poll.unregister(descriptor)
                    active -= 1
    counts["seconds"] = time.monotonic() - begin
    usage = resource.getrusage(resource.RUSAGE_SELF)
    counts["cpu"] = usage.ru_utime + usage.ru_stime
    return counts


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
