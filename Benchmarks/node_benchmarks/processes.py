"""The measured programs: this one, nginx and HAProxy, each with a configuration and a folder of its own."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from . import machine, store
from .settings import BINARY, METRICS, REGISTRY, ROUTER, WORK, address

# How many seconds a program may take to become ready.
PATIENCE = 20


class Process:
    """A program with its children."""

    def __init__(self, name: str, number: int):
        self.name = name
        self.address = address(number)
        self.folder = WORK / name
        self.process: subprocess.Popen | None = None

    def launch(self, command: list, ready: tuple[str, int] | None = None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if ready:
            self.wait_for(lambda: socket.create_connection(ready, 1).close() or True, f"listen at {ready}")

    def wait_for(self, condition, what: str, patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        sys.exit(f"{self.name} did not {what}:\n{(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pids(self) -> list[int]:
        main = self.process.pid
        children = pathlib.Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main] + [int(pid) for pid in children]

    def cpu(self) -> float:
        """The CPU seconds of all threads, from the scheduler, which counts nanoseconds."""
        total = 0
        for pid in self.pids:
            for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory(self) -> dict[str, float]:
        """Resident and anonymous memory in MB. Of several processes each shared page counts once."""
        sums = {"Rss": 0, "Pss": 0, "Anonymous": 0}
        pids = self.pids
        for pid in pids:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name = line.split(":")[0]
                if name in sums:
                    sums[name] += int(line.split()[1]) * 1024 / 1e6
        return {"resident": sums["Rss"] if len(pids) == 1 else sums["Pss"], "anonymous": sums["Anonymous"]}

    def reset_peak(self) -> None:
        for pid in self.pids:
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """The peak of the resident memory since `reset_peak` in MB; the sum of several processes."""
        total = 0
        for pid in self.pids:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    total += int(line.split()[1])
        return total * 1024 / 1e6


class Node(Process):
    """A node of this project, with an image layout or a containerd as its store."""

    def __init__(
        self, name: str, number: int, registry: int = REGISTRY, bootstrap: int | None = None, containerd=None,
        arguments: list[str] = (),
    ):
        super().__init__(name, number)
        self.arguments = arguments
        self.containerd = containerd
        self.registry = registry
        self.bootstrap = address(bootstrap or number)
        self.store = self.folder / "store"

    def prepare(self, images: int = 0) -> list[dict]:
        return store.make(self.store, images)

    def start(self) -> float:
        """Starts the node and returns the seconds until it is ready."""
        begin = time.monotonic()
        self.launch([
            BINARY, "registry", *self._store_options(), f"--data-dir={self.folder}/data",
            f"--registry-addr={self.address}:{self.registry}", f"--router-addr={self.address}:{ROUTER}",
            f"--metrics-addr={self.address}:{METRICS}",
            f"--static-bootstrap-peers=/ip4/{self.bootstrap}/tcp/{ROUTER}", *self.arguments,
        ])

        def is_ready() -> bool:
            with urllib.request.urlopen(f"http://{self.address}:{self.registry}/readyz", timeout=1) as answer:
                return answer.status == 200

        self.wait_for(is_ready, "become ready")
        return time.monotonic() - begin

    def _store_options(self) -> list[str]:
        if not self.containerd:
            return [f"--store={self.store}"]
        return [
            f"--containerd-sock={self.containerd.socket}", f"--containerd-content-path={self.containerd.content}",
        ]

    def metrics(self, labelled: bool = False) -> dict[str, float]:
        """The values of `/metrics`: the series without labels, or those with labels."""
        with urllib.request.urlopen(f"http://{self.address}:{METRICS}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        series = [line.rsplit(" ", 1) for line in lines if line and line[0] != "#" and ("{" in line) == labelled]
        return {fields[0]: float(fields[1]) for fields in series if len(fields) == 2}

    def checked(self) -> float:
        """The pieces of content that it has checked since its start."""
        return self.metrics(labelled=True)['spegel_store_checks_total{outcome="sound"}']

    def head(self, path: str) -> int:
        """The status of the answer to a client."""
        request = urllib.request.Request(f"http://{self.address}:{self.registry}{path}", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def wait_for_peers(self, count: int) -> None:
        self.wait_for(lambda: self.metrics().get("spegel_routing_table_peers", 0) >= count, f"know {count} peers")

    def wait_for_records(self, count: int) -> None:
        self.wait_for(lambda: self.metrics().get("spegel_provider_records", 0) >= count, f"hold {count} records")


class Nginx(Process):
    """An nginx that serves the blobs of a store by sendfile, relays to others, or both."""

    def start(
        self, files: tuple[int, pathlib.Path] | None = None, relays: list[tuple[int, str]] = (), logs: bool = False,
    ) -> None:
        """Serves the files at a port, and relays each other port to its address.

        With `logs` it logs each request, as by default, and as a node does.
        """
        servers = []
        if files:
            port, folder = files
            servers.append(f"""
  open_file_cache max=4096 inactive=60s;
  server {{
    listen {self.address}:{port} backlog=1024;
    location ~ "^/v2/.+/manifests/sha256:([0-9a-f]+)$" {{
      alias {folder}/blobs/sha256/$1; types {{}} default_type {store.MANIFEST};
      add_header Docker-Content-Digest sha256:$1;
    }}
    location ~ "^/v2/.+/blobs/sha256:([0-9a-f]+)$" {{
      alias {folder}/blobs/sha256/$1; types {{}} default_type application/octet-stream;
      add_header Docker-Content-Digest sha256:$1;
    }}
  }}""")
        for port, target in relays:
            servers.append(f"""
  upstream to{port} {{ server {target}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {self.address}:{port} backlog=1024;
    location / {{
      proxy_pass http://to{port}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Spegel-Mirrored true;
      proxy_buffering on; proxy_buffer_size 16k; proxy_buffers 8 128k; proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
    }}
  }}""")
        self.folder.mkdir(parents=True, exist_ok=True)
        places = "\n".join(
            f"  {name}_temp_path {self.folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = self.folder / "nginx.conf"
        configuration.write_text(f"""
daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes {len(os.sched_getaffinity(0))}; worker_rlimit_nofile 16384;
events {{ worker_connections 4096; }}
http {{
  access_log {self.folder / "access.log" if logs else "off"}; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000;
{places}
{"".join(servers)}
}}
""")
        port = files[0] if files else relays[0][0]
        self.launch([machine.program("nginx"), "-p", self.folder, "-c", configuration], (self.address, port))


class HAProxy(Process):
    """An HAProxy that relays bodies by splice(2)."""

    def start(self, relays: list[tuple[int, str]], pipe_size: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "haproxy.cfg"
        parts = "\n".join(
            f"""
listen relay{port}
  bind {self.address}:{port} backlog 1024
  http-request set-header X-Spegel-Mirrored true
  server provider {target}
"""
            for port, target in relays
        )
        configuration.write_text(f"""
global
  nbthread {len(os.sched_getaffinity(0))}
  maxconn 4000
  maxpipes 1000
  tune.pipesize {pipe_size}
defaults
  mode http
  option splice-response
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
{parts}""")
        ready = (self.address, relays[0][0])
        self.launch([machine.program("haproxy"), "-db", "-f", configuration], ready)
