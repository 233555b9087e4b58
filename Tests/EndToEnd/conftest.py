"""Fixtures: the programs under test (from the environment) and a lab for each test.

SPEGEL_BIN       the Spegel under test; tests that need one fail without it
CONTAINERD_BIN   a containerd in place of the machine's own (its ctr next to it, or on the PATH)
CONTAINERD2_DIR  a folder with a second containerd and ctr: the main cases run with both
CONTAINERD17_DIR a folder with a third one, of 1.7: for tests of what it reads
DOCKER_DIR       a folder with a docker and dockerd that can keep images in containerd, 23 or later
SPEGEL_E2E_TABLE a file for the table of the costs of faults
SPEGEL_E2E_KEEP  when set, the folders of the nodes are kept
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containerd import Installation
from harness.faults import COLUMNS, FaultLab
from harness.lab import Lab, remove_stale_labs
from harness.node import Node
from harness.report import Table

_TOOLS = (
    "buildah", "docker-registry", "dockerd", "ip", "nsenter", "openssl", "podman", "promtool", "runc", "setpriv", "skopeo",
    "ss", "strace", "systemd-analyze", "tc", "unshare")
_lab = pytest.StashKey[Lab]()
_fault_table = pytest.StashKey[Table]()


def _main_installation() -> Installation | None:
    containerd = os.environ.get("CONTAINERD_BIN") or shutil.which("containerd")
    if not containerd:
        return None
    sibling = Path(containerd).with_name("ctr")
    ctr = sibling if sibling.exists() else shutil.which("ctr")
    return Installation(Path(containerd), Path(ctr)) if ctr else None


def _installations() -> list[Installation]:
    found = [_main_installation()]
    second = os.environ.get("CONTAINERD2_DIR")
    if second:
        found.append(Installation(Path(second, "containerd"), Path(second, "ctr")))
    return [installation for installation in found if installation]


def all_installations() -> list[Installation]:
    """Those, and one that only tests of what containerd reads take."""
    found = _installations()
    third = os.environ.get("CONTAINERD17_DIR")
    if third:
        found.insert(1, Installation(Path(third, "containerd"), Path(third, "ctr")))
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_containerd(with_1_7=False): runs with each available containerd, not only the main one")
    # SIGTERM takes the lab down like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests create network namespaces: run them as root", returncode=3)
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if not _installations():
        missing.append("containerd")
    if missing:
        pytest.exit(f"not installed: {', '.join(missing)} (scripts/install-test-tools installs them)", returncode=3)
    remove_stale_labs()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the costs of faults, and writes them to the file if one is set."""
    table = config.stash.get(_fault_table, None)
    if table and table.rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(table.text())
        if file := os.environ.get("SPEGEL_E2E_TABLE"):
            table.write(Path(file))


def pytest_report_header() -> list[str]:
    versions = ", ".join(installation.version for installation in _installations())
    return [f"containerd: {versions or 'none'}", f"spegel: {os.environ.get('SPEGEL_BIN') or 'none (SPEGEL_BIN)'}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "installation" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("every_containerd")
        if marker and marker.kwargs.get("with_1_7"):
            installations = all_installations()
        else:
            installations = _installations()[:None if marker else 1]
        names = [f"containerd-{installation.version}" for installation in installations]
        metafunc.parametrize("installation", installations, ids=names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Shows the last lines of every log of the lab after a failure."""
    report = yield
    if report.failed and _lab in item.stash:
        report.sections.extend(item.stash[_lab].report())
    return report


@pytest.fixture
def spegel_binary() -> Path:
    """The Spegel under test."""
    binary = os.environ.get("SPEGEL_BIN")
    if not binary:
        pytest.fail("expected the spegel under test in SPEGEL_BIN, found none", pytrace=False)
    if not os.access(binary, os.X_OK):
        pytest.fail(f"expected an executable file in SPEGEL_BIN, got {binary}", pytrace=False)
    return Path(binary).resolve()


@pytest.fixture
def lab(request: pytest.FixtureRequest, installation: Installation) -> Iterator[Lab]:
    """A network with an upstream registry and no nodes yet."""
    lab = Lab(installation)
    request.node.stash[_lab] = lab
    try:
        yield lab
    finally:
        del request.node.stash[_lab]
        lab.close()


@pytest.fixture
def nodes(spegel_binary: Path, lab: Lab) -> list[Node]:
    """Three connected nodes, each with a Spegel."""
    nodes = lab.add_nodes(3)
    lab.add_spegels(nodes, spegel_binary)
    return nodes


@pytest.fixture(scope="session")
def fault_labs() -> Iterator[dict[str, FaultLab]]:
    """The labs that the fault tests share, one for each containerd."""
    labs: dict[str, FaultLab] = {}
    try:
        yield labs
    finally:
        for lab in labs.values():
            lab.close()


@pytest.fixture
def faults(
    request: pytest.FixtureRequest, installation: Installation, spegel_binary: Path, fault_labs: dict[str, FaultLab],
) -> Iterator[FaultLab]:
    """The lab with this containerd."""
    if installation.version not in fault_labs:
        fault_labs[installation.version] = FaultLab(installation, spegel_binary)
    request.node.stash[_lab] = fault_labs[installation.version].lab
    yield fault_labs[installation.version]
    del request.node.stash[_lab]


@pytest.fixture(scope="session")
def fault_table(pytestconfig: pytest.Config) -> Table:
    """The costs of faults, shown at the end."""
    return pytestconfig.stash.setdefault(_fault_table, Table("What each fault cost a pull", COLUMNS))
