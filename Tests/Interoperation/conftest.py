"""Fixtures: peers of this project and of others, which stop at the end of their tests.

INTEROPERATION_NODE      the interoperation-node under test
INTEROPERATION_SPEGEL    the program under test
INTEROPERATION_PYLIBP2P  the Python with py-libp2p
INTEROPERATION_P2PD      the daemon of go-libp2p
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from harness.peers import Peers

_VARIABLES = ("INTEROPERATION_NODE", "INTEROPERATION_SPEGEL", "INTEROPERATION_PYLIBP2P", "INTEROPERATION_P2PD")


def pytest_configure(config: pytest.Config) -> None:
    # SIGTERM ends the peers like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    missing = [name for name in _VARIABLES if not os.access(os.environ.get(name, ""), os.X_OK)]
    if missing:
        pytest.exit(f"program not found: {', '.join(missing)} (scripts/test-interoperation sets them)", returncode=3)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Shows the last lines of every log after a failure."""
    report = yield
    if report.failed and Peers.latest:
        report.sections.extend(Peers.latest.report())
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the negotiated protocols of the tests' connections."""
    lines = sorted(
        {
            value
            for reports in terminalreporter.stats.values()
            for report in reports
            for name, value in getattr(report, "user_properties", ())
            if name == "negotiated"
        }
    )
    if lines:
        terminalreporter.section("negotiated")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def peers() -> Iterator[Peers]:
    """The peers of one test; none at the start."""
    peers = Peers()
    try:
        yield peers
    finally:
        peers.close()
