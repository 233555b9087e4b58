"""Commands for people: `configuration --check` and `--dry-run`, `pull`, `status`, `resolve`, `completions`."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import shutil
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from harness import registry
from harness.containerd import Settings
from harness.images import build
from harness.lab import Lab
from harness.node import Node
from harness.process import eventually, run
from harness.spegel import METRICS_PORT, configure


def _spegel(binary: Path, *arguments: object, node: Node | None = None) -> subprocess.CompletedProcess[str]:
    command = [binary, *map(str, arguments)]
    return subprocess.run(
        node.host.command(command) if node else command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60)


# configuration --check


def _check(binary: Path, node: Node | None, *arguments: object) -> tuple[int, dict[str, dict]]:
    done = _spegel(binary, "configuration", "--check", "--output=json", *arguments, node=node)
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    checks = {check["name"]: check for check in report["checks"]}
    for check in checks.values():
        assert check["status"] == "ok" or check["change"], check
    return done.returncode, checks


#: What only a running node tells.
_OF_NODE = ("mirror", "peers", "clock", "identity")


def _statuses(checks: dict[str, dict]) -> dict[str, str]:
    """The statuses of containerd's part."""
    return {name: check["status"] for name, check in checks.items() if name not in _OF_NODE}


_GOOD = {
    name: "ok" for name in (
        "containerd", "config.toml", "config_path", "discard_unpacked_layers", "snapshotter", "hosts.toml")}


@pytest.mark.every_containerd
def test_check_of_a_running_containerd(spegel_binary: Path, lab: Lab):
    [node] = lab.add_nodes(1)
    containerd = node.containerd
    place = (
        f"--containerd-sock={containerd.socket}",
        f"--containerd-registry-config-path={containerd.registry_configuration}")
    code, checks = _check(spegel_binary, node, *place)
    assert code == 0 and _statuses(checks) == _GOOD
    assert lab.installation.version.split("~")[0] in checks["containerd"]["found"]
    # The existing files differ from these settings.
    mirror = ("--mirror-targets=http://127.0.0.1:5000", f"--mirrored-registries={registry.URL}")
    code, checks = _check(spegel_binary, node, *place, *mirror)
    assert code == 1 and _statuses(checks) == {**_GOOD, "hosts.toml": "problem"}
    configure(spegel_binary, containerd.registry_configuration)
    code, checks = _check(spegel_binary, node, *place, *mirror)
    assert _statuses(checks) == _GOOD
    # Nothing answers there yet.
    assert code == 1 and checks["mirror"]["status"] == "problem"
    assert {checks[name]["status"] for name in ("peers", "identity")} == {"unknown"}
    lab.add_spegels([node], spegel_binary)
    code, checks = _check(spegel_binary, node, *place, *mirror)
    assert checks["mirror"]["status"] == checks["identity"]["status"] == "ok"
    # It is the only node.
    assert code == 1 and checks["peers"]["status"] == "problem"
    node.spegel.close()

    containerd.process.stop()
    containerd.configure(Settings(config_path=False, discard_unpacked_layers=True))
    containerd.start()
    containerd.wait_until_ready()
    code, checks = _check(spegel_binary, node, *place)
    bad = {**_GOOD, "config_path": "problem", "discard_unpacked_layers": "problem"}
    assert code == 1 and _statuses(checks) == bad
    assert checks["config_path"]["change"][2].strip() == f'config_path = "{containerd.registry_configuration}"'

    # The recommended changes make it good.
    containerd.process.stop()
    text = (node.directory / "containerd" / "config.toml").read_text()
    text = text.replace("discard_unpacked_layers = true", "")
    tables: dict[str, str] = {}
    for name in ("config_path", "discard_unpacked_layers"):
        table, line = (part.strip() for part in checks[name]["change"][1:3])
        tables[table] = line
    for table, line in tables.items():
        assert table in text, f"{table} is not a table of this containerd's file"
        text = text.replace(table, f"{table}\n{line}", 1)
    (node.directory / "containerd" / "config.toml").write_text(text)
    containerd.start()
    containerd.wait_until_ready()
    code, checks = _check(spegel_binary, node, *place)
    assert _statuses(checks) == _GOOD

    containerd.process.stop()
    code, checks = _check(spegel_binary, node, *place, f"--containerd-config={node.directory}/containerd/config.toml")
    assert code == 1 and _statuses(checks) == {**_GOOD, "containerd": "unknown"}


@pytest.mark.every_containerd
def test_check_of_what_containerd_dumps(spegel_binary: Path, lab: Lab, tmp_path: Path):
    """The check parses everything that containerd can write: the dump of its settings has every table."""
    certs = tmp_path / "certs.d"
    configure(spegel_binary, certs)
    file = tmp_path / "config.toml"

    def check(dump: str) -> dict[str, dict]:
        file.write_text(dump)
        code, checks = _check(
            spegel_binary, None, f"--containerd-sock={tmp_path}/none.sock", f"--containerd-config={file}",
            f"--containerd-registry-config-path={certs}")
        assert code == 1 and checks["containerd"]["status"] == "unknown"
        return checks

    dump = run([lab.installation.containerd, "config", "default"])
    checks = check(dump)
    assert checks["config.toml"]["status"] == "ok"
    assert f"version {2 if lab.installation.major < 2 else 3}" in checks["config.toml"]["found"]
    assert checks["config_path"]["status"] == "problem"
    assert checks["config_path"]["change"][1].strip().strip("[]").replace("'", '"') in dump.replace("'", '"')
    assert checks["discard_unpacked_layers"]["status"] == "ok"

    # containerd itself merges an imported file, and writes the result.
    (tmp_path / "imported.toml").write_text(re.sub(r"config_path = (''|\"\")", f'config_path = "{certs}"', dump))
    own = tmp_path / "own.toml"
    own.write_text(f'version = {2 if lab.installation.major < 2 else 3}\nimports = ["{tmp_path}/imported.toml"]\n')
    merged = run([lab.installation.containerd, "--config", own, "config", "dump"])
    assert check(merged)["config_path"] == {
        "name": "config_path", "status": "ok", "found": str(certs), "change": []}
    # The check does so, too.
    code, checks = _check(
        spegel_binary, None, f"--containerd-sock={tmp_path}/none.sock", f"--containerd-config={own}",
        f"--containerd-registry-config-path={certs}")
    assert checks["config_path"]["status"] == "ok" and "imported.toml" in checks["config.toml"]["found"]


#: Settings that are wrong beside a good config_path, by the part of the check that says so: the file, and a word of it.
_WRONG = {
    "mirrors of the older kind": (
        "config.toml", '[plugins."{cri}".registry.mirrors."docker.io"]\nendpoint = ["https://mirror.corp"]\n',
        "registry.mirrors"),
    "certificates of the older kind": (
        "config.toml", '[plugins."{cri}".registry.configs."registry.corp".tls]\nca_file = "/ca.crt"\n',
        "registry.configs"),
    "snapshotter that loads lazily": ("snapshotter", '[plugins."{cri}".containerd]\nsnapshotter = "stargz"\n', "stargz"),
    "CRI turned off": ("containerd", 'disabled_plugins = ["cri"]\n', "without its CRI plugin"),
}


@pytest.mark.every_containerd
@pytest.mark.parametrize("name", _WRONG)
def test_check_names_what_keeps_containerd_from_sharing(spegel_binary: Path, lab: Lab, name: str):
    """Judged by the running containerd: with the first two its CRI plugin does not load."""
    part, added, word = _WRONG[name]
    [node] = lab.add_nodes(1)
    containerd = node.containerd
    if lab.installation.major >= 2 and name == "certificates of the older kind":
        pytest.skip("containerd 2 ignores them")
    cri = "io.containerd.grpc.v1.cri" if lab.installation.major < 2 else "io.containerd.cri.v1.images"
    file = node.directory / "containerd" / "config.toml"
    added = added.format(cri=cri)
    text = file.read_text()
    if added.startswith("disabled"):
        text = text.replace("disabled_plugins = [", 'disabled_plugins = ["io.containerd.grpc.v1.cri", '
                            '"io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", ')
    elif "snapshotter =" in added:
        text = re.sub(r'snapshotter = ".*"', 'snapshotter = "stargz"', text)
    else:
        text += added
    containerd.process.stop()
    file.write_text(text)
    place = (
        f"--containerd-sock={containerd.socket}", f"--containerd-config={file}",
        f"--containerd-registry-config-path={containerd.registry_configuration}")
    if part != "containerd":
        # Without the running containerd the file says it.
        _, checks = _check(spegel_binary, node, *place)
        assert checks[part]["status"] == "problem" and word in checks[part]["found"], checks[part]
    containerd.start()
    eventually(containerd.socket.exists, "containerd listens", timeout=20)
    code, checks = _check(spegel_binary, node, *place)
    assert code == 1 and checks[part]["status"] == "problem" and word in checks[part]["found"], checks
    if part == "config.toml":
        assert checks["containerd"]["status"] == "problem"
        assert "in the same step" in " ".join(checks[part]["change"])


def test_check_advises_one_step_from_the_older_mirrors(spegel_binary: Path, tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://a"]\n')
    _, checks = _check(
        spegel_binary, None, f"--containerd-sock={tmp_path}/none.sock", f"--containerd-config={file}",
        f"--containerd-registry-config-path={tmp_path}/certs.d")
    advice = " ".join(checks["config_path"]["change"])
    assert "config_path =" in advice and "registry.mirrors] in the same step" in advice


def test_check_reads_the_file_as_containerd_does(spegel_binary: Path, tmp_path: Path):
    """Without a version, names of version 2 do not count; a list of folders is wrong from 2.1 on."""
    file = tmp_path / "config.toml"
    place = (
        f"--containerd-sock={tmp_path}/none.sock", f"--containerd-config={file}",
        f"--containerd-registry-config-path={tmp_path}/certs.d")
    file.write_text(f'[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{tmp_path}/certs.d"\n')
    assert _check(spegel_binary, None, *place)[1]["config_path"]["status"] == "problem"
    file.write_text(
        f'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "{tmp_path}/certs.d:/b"\n')
    assert _check(spegel_binary, None, *place)[1]["config_path"]["status"] == "problem"
    # containerd's own default has empty tables of the older kind.
    file.write_text(
        f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{tmp_path}/certs.d"\n'
        '[plugins."io.containerd.grpc.v1.cri".registry.mirrors]\n')
    checks = _check(spegel_binary, None, *place)[1]
    assert checks["config_path"]["status"] == checks["config.toml"]["status"] == "ok"


def test_check_without_a_containerd_says_what_to_do(spegel_binary: Path, tmp_path: Path):
    done = _spegel(
        spegel_binary, "configuration", "--check", f"--containerd-sock={tmp_path}/none.sock",
        f"--containerd-registry-config-path={tmp_path}/certs.d")
    assert done.returncode == 1
    assert "Name it with --containerd-config." in done.stdout
    assert "not set up for sharing, or the setup is unknown" in done.stdout


# configuration --dry-run and credentials


def test_dry_run_shows_what_would_change(spegel_binary: Path, tmp_path: Path):
    folder = tmp_path / "certs.d"
    (folder / "ghcr.io").mkdir(parents=True)
    (folder / "ghcr.io" / "hosts.toml").write_text('server = "https://ghcr.io"\n')
    arguments = (
        "configuration", f"--containerd-registry-config-path={folder}", "--mirror-targets=http://127.0.0.1:5000",
        "http://127.0.0.1:5001", "--mirrored-registries", "https://ghcr.io", "_default")
    done = _spegel(spegel_binary, *arguments, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["ghcr.io"]
    assert (folder / "ghcr.io" / "hosts.toml").read_text() == 'server = "https://ghcr.io"\n'
    assert done.stdout.splitlines()[:6] == [
        "Kept in _backup: ghcr.io", "--- /dev/null", "+++ b/_default/hosts.toml", "@@ -0,0 +1,7 @@",
        '+[host."http://127.0.0.1:5000"]', '+capabilities = ["pull", "resolve"]']
    assert "\x1b" not in done.stdout

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert _spegel(spegel_binary, *arguments).returncode == 0
    assert _spegel(spegel_binary, *arguments, "--dry-run").stdout == "Nothing would change.\n"
    if shutil.which("patch"):
        subprocess.run(["patch", "-p1", "-d", copy], input=done.stdout, text=True, check=True, capture_output=True)
        for name in ("ghcr.io", "_default"):
            assert (copy / name / "hosts.toml").read_text() == (folder / name / "hosts.toml").read_text()


@pytest.mark.every_containerd
def test_containerd_sends_the_credentials(spegel_binary: Path, lab: Lab, tmp_path: Path):
    secrets = tmp_path / "basic-auth"
    secrets.mkdir()
    (secrets / "username").write_text("Aladdin")
    (secrets / "password").write_text("open sesame")
    [node] = lab.add_nodes(1)
    image = lab.push("team/app")
    folder = node.containerd.registry_configuration
    shutil.rmtree(folder / registry.NAME)
    with node.host.entered():
        server = _Server()
    with server:
        configure(spegel_binary, folder, {
            "basic-auth-dir": str(secrets), "mirror-targets": f"http://127.0.0.1:{server.server_port}"})
        file = folder / registry.NAME / "hosts.toml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        # The mirror has nothing, so the image comes from its upstream, which gets no credentials.
        node.pull(image.by_tag)
    assert server.fields
    assert {fields.get("Authorization") for fields in server.fields} == {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    shown = _spegel(
        spegel_binary, "configuration", "--dry-run", f"--containerd-registry-config-path={folder}",
        "--mirror-targets=http://127.0.0.1:1", f"--basic-auth-dir={secrets}").stdout
    assert "QWxhZ" not in shown and '"(secret)"' in shown


# pull


class _Server(http.server.ThreadingHTTPServer):
    """A registry with the test's content, which cuts its responses short on request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = True
        self.content: dict[str, tuple[str, bytes]] = {}
        #: The number of bytes of each next body before the connection is closed.
        self.cuts: dict[str, list[int]] = {}
        self.ignores_ranges = False
        self.fields: list[dict[str, str]] = []
        self.ranges: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()

    def add(self, image, source: str | None = None) -> None:
        for path in (image.folder / "blobs" / "sha256").iterdir():
            self.content[f"sha256:{path.name}"] = (image.media_types.manifest, path.read_bytes())
        self.content[image.tag] = self.content[image.digest]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.fields.append(dict(self.headers))
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        media_type, body = self.server.content.get(name, ("", b""))
        if self.path == "/v2/":
            return self._answer(200, b"")
        if not media_type:
            return self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        first = 0
        wanted = self.headers.get("Range")
        if wanted:
            self.server.ranges.append(wanted)
            first = 0 if self.server.ignores_ranges else int(wanted[len("bytes="):].rstrip("-"))
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body) - first))
        self.send_header("X-Spegel-Source", "10.9.9.9:5000")
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        cuts = self.server.cuts.get(name)
        end = first + cuts.pop(0) if cuts else len(body)
        if self.command == "GET":
            self.wfile.write(body[first:end])
        self.close_connection = True

    def _answer(self, status: int, body: bytes):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def _verify_layout(folder: Path, image) -> None:
    index = json.loads((folder / "index.json").read_text())
    [entry] = index["manifests"]
    assert entry["digest"] == image.digest and entry["size"] == image.size
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == image.by_tag
    for digest in image.digests():
        content = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_pull_resumes_where_a_body_ended(spegel_binary: Path, tmp_path: Path, ignores_ranges: bool):
    image = build(tmp_path, registry.NAME, "team/app")
    layer = image.manifest().layers[0]
    with _Server() as server:
        server.add(image)
        server.cuts = {layer: [400_000, 0, 500_000]}
        server.ignores_ranges = ignores_ranges
        done = _spegel(
            spegel_binary, "pull", image.by_tag, f"--to={tmp_path}/out", f"--address=127.0.0.1:{server.server_port}",
            "--output=json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    [piece] = [piece for piece in report["contents"] if piece["digest"] == layer]
    assert piece["sources"] == [{"address": "10.9.9.9:5000", "bytes": piece["size"]}]
    assert piece["resumptions"] == 2
    assert server.ranges[:2] == ["bytes=400000-", "bytes=400000-"]
    _verify_layout(tmp_path / "out", image)


def test_pull_rejects_wrong_bytes(spegel_binary: Path, tmp_path: Path):
    image = build(tmp_path, registry.NAME, "team/app")
    layer = image.manifest().layers[0]
    with _Server() as server:
        server.add(image)
        media_type, body = server.content[layer]
        server.content[layer] = (media_type, body[:-1] + bytes([body[-1] ^ 1]))
        done = _spegel(
            spegel_binary, "pull", image.by_tag, f"--to={tmp_path}/out", f"--address=127.0.0.1:{server.server_port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"spegel: layer {layer}: digest mismatch: 10.9.9.9:5000 sent"), done.stderr
    assert not (tmp_path / "out" / "blobs" / layer.replace(":", "/")).exists()
    assert json.loads((tmp_path / "out" / "index.json").read_text())["manifests"] == []


def test_pull_through_the_mirror(spegel_binary: Path, lab: Lab, nodes: list[Node], tmp_path: Path):
    """The upstream registry is down, so nothing comes from it."""
    image = lab.push("team/app", architectures=("amd64", "arm64"))
    lab.share(image, nodes[:1])
    lab.registry.stop()
    out = tmp_path / "out"
    done = _spegel(spegel_binary, "pull", image.by_tag, f"--to={out}", node=nodes[2])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["index", "manifest", "config"] or len(lines) == 9
    pieces = [line for line in lines if re.match(r"(index|manifest|config|layer) ", line)]
    assert len(pieces) == 6 and all(f"from {nodes[0].host.address}:5000" in line for line in pieces), done.stdout
    assert f"{image.by_tag} is {image.digest}" in lines
    assert "\x1b" not in done.stdout
    _verify_layout(out, image)

    again = _spegel(spegel_binary, "pull", image.by_tag, f"--to={out}", node=nodes[2])
    assert again.stdout.count("there already") == 4
    held = _spegel(spegel_binary, "pull", image.by_digest, "--output=json", node=nodes[0])
    assert {source["address"] for piece in json.loads(held.stdout)["contents"] for source in piece["sources"]} == {None}

    missing = _spegel(spegel_binary, "pull", f"{registry.NAME}/team/none:1", node=nodes[2])
    assert missing.returncode == 1
    assert missing.stderr.startswith(
        f"spegel: tag {registry.NAME}/team/none:1: no provider found in the cluster")
    other = _spegel(spegel_binary, "pull", image.by_tag, "--platform=linux/riscv64", node=nodes[2])
    assert other.returncode == 1 and "found linux/amd64, linux/arm64" in other.stderr
    wrong = _spegel(spegel_binary, "pull", image.by_tag, f"--address=127.0.0.1:{METRICS_PORT}", node=nodes[2])
    assert wrong.returncode == 1 and "expected a registry" in wrong.stderr and "(/v2/ answers with status 404)" in wrong.stderr
    nodes[2].spegel.close()
    gone = _spegel(spegel_binary, "pull", image.by_tag, node=nodes[2])
    assert gone.returncode == 1
    assert "no registry answers at http://127.0.0.1:5000 (connection refused): see whether the node runs" in gone.stderr


# status and resolve


class _Page(http.server.BaseHTTPRequestHandler):
    """A node whose documents have only the members that the commands read (docs/api.md)."""

    answers = {
        "/debug/api/status": (200, {
            "node": {"peer": "12D3KooA", "version": "9", "uptimeSeconds": 61, "ready": False, "state": "no peers",
                     "addresses": [], "registry": ":5000", "stalls": ["the router"]},
            "store": {"name": "layout", "state": "followed", "contents": 1, "tags": 1, "advertisedKeys": 2},
            "peers": {"list": []}, "images": {"count": 0, "list": []}, "transfers": {"list": []},
            "totals": {"hits": 3, "misses": 1, "receivedBytes": 5_000_000}, "failures": []}),
        "/debug/api/resolve?reference=docker.io/a/b%3A1": (200, {
            "reference": "docker.io/a/b:1", "name": "docker.io/a/b:1", "milliseconds": 1, "error": None,
            "contents": [{"kind": "tag", "depth": 0, "key": "docker.io/a/b:1", "digest": "sha256:" + 64 * "a",
                          "size": 5, "heldHere": False, "lookup": {"outcome": "found", "milliseconds": 2, "hops": 0},
                          "holders": [{"peer": "12D3KooB", "registries": ["10.0.0.2:5000"]}]}]}),
        "/debug/api/resolve?reference=a%20b": (400, {"error": "'a b' is no image"}),
        "/debug/api/resolve?reference=newer": (200, {"image": "newer", "holders": []}),
    }

    def do_GET(self):
        status, body = self.answers.get(self.path, (404, {}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_status_and_resolve_parse_responses_of_a_node(spegel_binary: Path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            address = f"--address=127.0.0.1:{server.server_port}"
            status = _spegel(spegel_binary, "status", address)
            assert status.returncode == 1, "the node is not ready"
            assert "ready     NO: no peers" in status.stdout and "STALLED   the router" in status.stdout
            assert "saved     5.00 MB from peers in 3 requests (75 % of 4)" in status.stdout
            told = _spegel(spegel_binary, "status", address, "--output=json")
            assert json.loads(told.stdout) == _Page.answers["/debug/api/status"][1]
            resolve = _spegel(spegel_binary, "resolve", "docker.io/a/b:1", address)
            assert resolve.returncode == 0, resolve.stderr
            assert re.search(r"^tag +sha256:a{12} +5 B +found in 2.00 ms +10.0.0.2:5000$", resolve.stdout, re.M)
            refused = _spegel(spegel_binary, "resolve", "a b", address)
            assert (refused.returncode, refused.stderr) == (1, "spegel: 'a b' is no image.\n")
            unreadable = _spegel(spegel_binary, "resolve", "newer", address)
            assert unreadable.returncode == 1
            assert "found a document without 'reference'. The node may run another version" in unreadable.stderr
        finally:
            server.shutdown()
            thread.join()


def test_status_reports_why_a_node_does_not_respond(spegel_binary: Path, lab: Lab):
    [node] = lab.add_nodes(1)
    lab.add_spegels([node], spegel_binary, {"debug-web-enabled": "false"})
    off = _spegel(spegel_binary, "status", node=node)
    assert off.returncode == 1 and "it runs with --debug-web-enabled=false" in off.stderr
    wrong = _spegel(spegel_binary, "status", "--address=127.0.0.1:5000", node=node)
    assert wrong.returncode == 1
    assert "expected the metrics address of a node, got its registry, http://127.0.0.1:5000." in wrong.stderr
    node.spegel.close()
    gone = _spegel(spegel_binary, "resolve", "docker.io/a/b:1", node=node)
    assert gone.returncode == 1
    assert "no node answers: cannot connect to 127.0.0.1:9090: connection refused" in gone.stderr
    assert "curl http://127.0.0.1:9090/readyz" in gone.stderr


def test_status_and_resolve_of_real_nodes(spegel_binary: Path, lab: Lab, nodes: list[Node]):
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    holder = f"{nodes[0].host.address}:5000"
    status = _spegel(spegel_binary, "status", node=nodes[0])
    assert status.returncode == 0, status.stderr
    assert re.search(rf"^{re.escape(image.by_tag)} +sha256:{image.digest[7:19]} +yes$", status.stdout, re.M), status.stdout
    for peer in nodes[1:]:
        assert re.search(rf"^12D3\S+ +{peer.host.address}:5000 +yes ", status.stdout, re.M), status.stdout
    resolve = _spegel(spegel_binary, "resolve", image.by_tag, node=nodes[2])
    assert resolve.returncode == 0, resolve.stderr
    rows = re.findall(r"^ *(tag|manifest|config|layer) .*  (\S+)$", resolve.stdout, re.M)
    assert [kind for kind, _ in rows] == ["tag", "manifest", "config", "layer", "layer", "layer"], resolve.stdout
    assert {where for _, where in rows} == {holder}
    none = _spegel(spegel_binary, "resolve", f"{registry.NAME}/team/none:1", node=nodes[2])
    assert none.returncode == 1, none.stdout
    assert _spegel(spegel_binary, "pull", image.by_tag, node=nodes[2]).returncode == 0
    told = json.loads(_spegel(spegel_binary, "status", "--output=json", node=nodes[2]).stdout)
    assert told["totals"]["receivedBytes"] >= sum(image.manifest().blobs.values())


def test_everything_works_with_credentials(spegel_binary: Path, lab: Lab, tmp_path: Path):
    secrets = tmp_path / "basic-auth"
    secrets.mkdir()
    (secrets / "username").write_text("Aladdin")
    (secrets / "password").write_text("open sesame")
    named = {"basic-auth-dir": str(secrets)}
    nodes = lab.add_nodes(2)
    lab.add_spegels(nodes, spegel_binary, named)
    for node in nodes:
        configure(spegel_binary, node.containerd.registry_configuration, named)
        node.spegel.headers = {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    image = lab.push("team/app")
    lab.share(image, nodes[:1])
    lab.registry.stop()
    assert nodes[1].pull(image.by_tag).received_bytes > image.manifest().total_bytes

    refused = _spegel(spegel_binary, "pull", image.by_tag, node=nodes[1])
    assert refused.returncode == 1 and "requires a user name and a password" in refused.stderr
    pulled = _spegel(spegel_binary, "pull", image.by_tag, f"--basic-auth-dir={secrets}", node=nodes[1])
    assert pulled.returncode == 0, pulled.stderr
    resolved = _spegel(spegel_binary, "resolve", image.by_tag, node=nodes[1])
    assert resolved.returncode == 0, resolved.stdout + resolved.stderr


# completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(spegel_binary: Path, shell: str):
    done = _spegel(spegel_binary, "completions", shell)
    assert done.returncode == 0 and "configuration" in done.stdout
    if shutil.which(shell):
        check = subprocess.run([shell, "-n"], input=done.stdout, text=True, capture_output=True, timeout=20)
        assert check.returncode == 0, check.stderr
    if shell == "bash":
        script = done.stdout + """
            COMP_WORDS=(spegel pu) COMP_CWORD=1 COMP_LINE='spegel pu' COMP_POINT=9 COMP_TYPE=9
            _spegel spegel pu spegel
            echo "${COMPREPLY[@]}"
            """
        reply = subprocess.run(["bash"], input=script, text=True, capture_output=True, timeout=20)
        assert reply.stdout.split()[-1:] == ["pull"], (reply.stdout, reply.stderr)
