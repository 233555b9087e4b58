"""A fault of a node that serves a blob costs a pull at most a few seconds, and never its success.

Each test pulls a 40 MB layer through the CRI, over links of 100 Mbit/s. While a good copy is reachable, at a peer or at
the upstream registry, the first attempt must succeed and be at most 3 s slower than without a fault. Only wrong bytes
may cost one failed attempt, because only the end of a large blob reveals them. Without a good copy, the pull must fail
within 5 s. The table at the end of the run has the durations of all tests.
"""

from __future__ import annotations

import http.client
import random
import re
import signal
import time

import pytest

from harness.faults import BEFORE_THE_BLOB, IN_MID_BLOB, REACHED, Course, Fault, FaultLab
from harness.images import Image
from harness.report import Table
from harness.spegel import METRICS_PORT

_MOST_DELAY = 3.0
_MOST_TO_FAIL = 5.0
#: containerd's errors when no node has the content, or only corrupt content.
_CLEAR = re.compile(r"connection refused|not found|unexpected commit digest|failed size validation|unexpected EOF")
#: The number of pulls until the faulty one of two holders is asked.
_DRAWS = 12


def _expected(fault: Fault, other_holder: bool, source: bool) -> bool:
    return fault.harmless or other_holder or source


def _check(
    faults: FaultLab, table: Table, fault: Fault, other_holder: bool, source: bool, image: Image, course: Course,
) -> None:
    used_source = source and faults.asked_source_for_layer(image)
    works = course.seconds is not None
    faults.note(table, fault.name, "yes" if other_holder else "no", "up" if source else "down", course)

    words = "; ".join(f"{seconds:.1f} s: {text}" for seconds, text in course.failures)
    if _expected(fault, other_holder, source):
        assert works, f"a good copy is reachable, but: {words}"
        attempts = len(course.failures) + 1
        if fault.corrupting:
            assert attempts <= 2
        else:
            assert attempts == 1, words
            assert course.seconds - faults.baseline <= _MOST_DELAY
        if other_holder:
            assert not used_source, "the other holder has it, so the upstream registry is not needed"
    else:
        assert not works, "no node has a good copy"
        assert course.failures[0][0] <= _MOST_TO_FAIL, words
        # A later attempt may need the whole blob to find that it is wrong.
        assert all(seconds <= faults.baseline + _MOST_TO_FAIL for seconds, _ in course.failures[1:]), words
        assert all(_CLEAR.search(text) for _, text in course.failures), words


def _attempts(fault: Fault) -> int:
    return 2 if fault.corrupting else 1


#: Whether another holder has the image, and whether the upstream registry is up.
_surroundings = pytest.mark.parametrize(("other_holder", "source"), [
    pytest.param(True, True, id="all-up"), pytest.param(True, False, id="other-holder"),
    pytest.param(False, True, id="source"), pytest.param(False, False, id="nothing")])


def _named(fault: Fault) -> str:
    return fault.name.replace(" ", "-")


@pytest.mark.every_containerd
@_surroundings
@pytest.mark.parametrize("fault", IN_MID_BLOB, ids=_named)
def test_fault_in_mid_blob(faults: FaultLab, fault_table: Table, fault: Fault, other_holder: bool, source: bool):
    image = faults.image(other_holder)
    faults.prepare(image, source)
    sent = faults.sent()

    def make() -> None:
        holder = faults.serving(sent)
        fault.make(holder, faults.blob(holder, image))

    course = faults.pull_with_fault(image, make, attempts=_attempts(fault))
    _check(faults, fault_table, fault, other_holder, source, image, course)


@pytest.mark.every_containerd
@_surroundings
@pytest.mark.parametrize("fault", BEFORE_THE_BLOB, ids=_named)
def test_fault_before_the_blob(faults: FaultLab, fault_table: Table, fault: Fault, other_holder: bool, source: bool):
    """The choice of the first holder is random, so the pull is repeated until it is the faulty one."""
    image = faults.image(other_holder)
    for _ in range(_DRAWS):
        faults.prepare(image, source)
        holder = random.choice(faults.holders) if other_holder else faults.holders[0]
        fault.make(holder, faults.blob(holder, image))
        sent = faults.sent()
        course = faults.pull(image, _attempts(fault))
        served = {held.name: held.host.sent_bytes() - sent[held.name] for held in faults.holders}
        if faults.failed_attempts() or course.failures or served[holder.name] == max(served.values()):
            _check(faults, fault_table, fault, other_holder, source, image, course)
            return
    pytest.fail(f"the faulty holder was not asked in {_DRAWS} pulls")


# The node's own Spegel: only containerd's own fallback can help.

_PROBE_PERIOD = 1.0
_PROBE_TIMEOUT = 1.0
_PROBE_FAILURES = 3


def _is_alive(faults: FaultLab) -> bool:
    try:
        return faults.puller.spegel.request("GET", "/livez", timeout=_PROBE_TIMEOUT, port=METRICS_PORT).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _restart_when_not_alive(faults: FaultLab) -> float:
    """Acts like a kubelet: probes, and restarts a container after several failed probes in a row.

    Returns the duration.
    """
    begin, failures = time.monotonic(), 0
    while failures < _PROBE_FAILURES:
        time.sleep(_PROBE_PERIOD)
        failures = 0 if _is_alive(faults) else failures + 1
    faults.puller.spegel.process.kill()
    faults.puller.spegel.start()
    return time.monotonic() - begin


@pytest.mark.every_containerd
@pytest.mark.parametrize(
    ("fault", "when", "source"), [
        ("killed", "before", True), ("killed", "mid-blob", True), ("killed", "mid-blob", False),
        ("frozen", "before", True), ("frozen", "mid-blob", True)])
def test_own_spegel_fails(faults: FaultLab, fault_table: Table, fault: str, when: str, source: bool):
    """containerd asks only its own Spegel and the upstream registry, so only the latter has the rest."""
    image = faults.shared
    faults.prepare(image, source)
    probed = 0.0

    def fail() -> None:
        nonlocal probed
        if fault == "killed":
            faults.puller.spegel.process.kill()
        else:
            faults.puller.spegel.process.signal(signal.SIGSTOP)
            probed = _restart_when_not_alive(faults)

    course = faults.pull_with_fault(image, fail, reached=REACHED if when == "mid-blob" else 0)
    faults.note(fault_table, f"own Spegel {fault}, {when}", "yes", "up" if source else "down", course)
    words = "; ".join(text for _, text in course.failures)
    if source:
        assert course.seconds is not None, words
        assert course.seconds - faults.baseline - probed <= _MOST_DELAY
    else:
        assert course.seconds is None
        assert course.failures[0][0] <= _MOST_TO_FAIL and _CLEAR.search(words), course.failures
