"""The systemd unit, started as in docs/bare-metal.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness import registry
from harness.lab import Lab
from harness.process import eventually, run
from harness.spegel import ROUTER_PORT, configure, manifest_path
from harness.systemd import Systemd

_UNIT = Path(__file__).parents[2] / "packaging/spegel.service"


@contextmanager
def _started(lab: Lab, node, binary: Path, settings: str, binds: dict[str, Path]) -> Iterator[Systemd]:
    systemd = Systemd(
        node.host, node.directory / "systemd",
        {"/usr/local/bin/spegel": binary, **binds},
        {"/etc/systemd/system/spegel.service": _UNIT, "/etc/default/spegel": settings},
    )
    with closing(systemd):
        systemd.wait_until_ready()
        # Returns when the node has reported its start.
        systemd.control("enable", "--now", "spegel")
        yield systemd


def test_unit_is_valid(spegel_binary: Path, tmp_path: Path) -> None:
    unit = tmp_path / "spegel.service"
    unit.write_text(_UNIT.read_text().replace("/usr/local/bin/spegel", str(spegel_binary)))
    assert run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit]) == ""


def test_node_with_containerd(lab: Lab, spegel_binary: Path) -> None:
    first, second = lab.add_nodes(2)
    lab.add_spegels([first], spegel_binary)
    image = lab.push("under/systemd", layer_sizes=[3_000_000])
    first.pull(image.by_tag)
    configure(spegel_binary, second.containerd.registry_configuration)
    settings = f"""\
MIRRORED_REGISTRIES={registry.URL}
STATIC_BOOTSTRAP_PEERS="/ip4/{first.host.address}/tcp/{ROUTER_PORT}"
CONTAINERD_REGISTRY_CONFIG_PATH=/run/containerd/certs.d
"""
    binds = {"/run/containerd": second.containerd.socket.parent, "/var/lib/containerd": second.containerd.root}
    with _started(lab, second, spegel_binary, settings, binds) as systemd:
        eventually(lambda: systemd.show("spegel", "StatusText").startswith("ready:"), "systemd shows that it is ready")
        lab.registry.stop()
        second.pull(image.by_tag)
        assert second.holds(image)

        # A hanging process is killed and restarted.
        systemd.write("/run/systemd/system/spegel.service.d/soon.conf", "[Service]\nWatchdogSec=2\n")
        systemd.control("daemon-reload")
        systemd.control("restart", "spegel")
        stuck = systemd.show("spegel", "MainPID")
        systemd.control("kill", "--signal=STOP", "--kill-who=main", "spegel")
        eventually(
            lambda: systemd.show("spegel", "MainPID") not in ("0", stuck)
            and systemd.show("spegel", "ActiveState") == "active",
            "systemd has restarted it", timeout=30)
        assert int(systemd.show("spegel", "NRestarts")) == 1
        eventually(lambda: systemd.show("spegel", "StatusText").startswith("ready:"), "it is ready again")

        systemd.control("disable", "--now", "spegel")
        assert systemd.show("spegel", "UnitFileState") == "disabled"
        assert systemd.show("spegel", "Result") == "success"
        assert systemd.show("spegel", "ExecMainStatus") == "0"
        assert "shutting down" in systemd.journal("spegel")


def test_node_with_a_folder_of_images(lab: Lab, spegel_binary: Path) -> None:
    first, second = lab.add_nodes(2)
    lab.add_spegels([first], spegel_binary)
    image = lab.push("from/a/folder")
    settings = f"""\
STORE=/srv/images
DNS_BOOTSTRAP_DOMAIN={first.host.name}
"""
    with _started(lab, second, spegel_binary, settings, {"/srv/images": image.folder}) as systemd:
        eventually(lambda: systemd.show("spegel", "StatusText").startswith("ready:"), "systemd shows that it is ready")
        # The folder has the image's tag without its registry, so the request is by digest.
        path = manifest_path(image.repository, image.digest)
        eventually(lambda: first.spegel.request("HEAD", path).status == 200, "the other node finds it", timeout=20)
        lab.registry.stop()
        first.pull(image.by_digest)
        assert first.holds(image)
