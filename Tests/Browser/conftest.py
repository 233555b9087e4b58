"""Fixtures: the nodes and the browser of all tests, and a page of each.

SPEGEL_BIN     the Spegel under test
CHROMIUM_BIN   the browser, by default the one on the PATH
BROWSER_SHOTS  the folder for screenshots, by default .cache/browser
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.browser import Browser, Page
from harness.nodes import Cluster

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shots() -> Path:
    return Path(os.environ.get("BROWSER_SHOTS") or _ROOT / ".cache" / "browser")


@pytest.fixture(scope="session")
def spegel_binary() -> Path:
    binary = os.environ.get("SPEGEL_BIN")
    if not binary or not os.access(binary, os.X_OK):
        pytest.exit("expected the spegel under test in SPEGEL_BIN", returncode=3)
    return Path(binary).resolve()


@pytest.fixture(scope="session")
def cluster(spegel_binary: Path) -> Iterator[Cluster]:
    cluster = Cluster(spegel_binary)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM_BIN") or shutil.which("chromium")
    if not executable:
        pytest.exit("not installed: chromium (scripts/install-test-tools installs it)", returncode=3)
    browser = Browser(executable)
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator:
    """Opens pages that are closed after the test. Any error of a page fails the test."""
    pages: list[Page] = []

    def make(url: str, **settings) -> Page:
        page = browser.page(**settings)
        pages.append(page)
        page.open(url)
        return page

    yield make
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.close()
    assert not errors, errors
