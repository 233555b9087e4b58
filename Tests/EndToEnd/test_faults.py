"""What goes wrong at a node that serves a blob costs a pull at most a few seconds, and never its success.

Every case pulls a 40 MB layer by way of the CRI, over links of 100 Mbit/s. Where a good copy can still be reached, at
a peer or at the source registry, the first attempt must work and be at most 3 s slower than without a fault. Only wrong
bytes may cost one failed attempt, since only the end of a large blob tells. Where there is no good copy, the pull must
fail within 5 s. The table at the end of the run says what each case took.
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
#: containerd's messages if no good copy of the content exists.
_CLEAR = re.compile(r"connection refused|not found|unexpected commit digest|failed size validation|unexpected EOF")
#: How often a pull is begun until the faulty one of two holders is the one that is asked.
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
        assert works, f"a good copy can be reached, but: {words}"
        attempts = len(course.failures) + 1
        if fault.corrupting:
            assert attempts <= 2
        else:
            assert attempts == 1, words
            assert course.seconds - faults.baseline <= _MOST_DELAY
        if other_holder:
            assert not used_source, "the other provider has it: the upstream registry is not needed"
    else:
        assert not works, "no good copy exists"
        assert course.failures[0][0] <= _MOST_TO_FAIL, words
        # A later attempt may have to fetch all of the blob to see that it is wrong.
        assert all(seconds <= faults.baseline + _MOST_TO_FAIL for seconds, _ in course.failures[1:]), words
        assert all(_CLEAR.search(text) for _, text in course.failures), words


def _attempts(fault: Fault) -> int:
    return 2 if fault.corrupting else 1


#: Whether another holder has the image, and whether the source registry is up.
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
    """Which of two holders is asked first is left to chance, so the pull is begun anew until it is the faulty one."""
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
    pytest.fail(f"the faulty holder was never asked, in {_DRAWS} pulls")


# The node's own Spegel: containerd asks it, so nothing but containerd's own fall-back helps.

_PROBE_PERIOD = 1.0
_PROBE_TIMEOUT = 1.0
_PROBE_FAILURES = 3


def _is_alive(faults: FaultLab) -> bool:
    try:
        return faults.puller.spegel.request("GET", "/livez", timeout=_PROBE_TIMEOUT, port=METRICS_PORT).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _restart_when_not_alive(faults: FaultLab) -> float:
    """Does what a kubelet does: probes, and starts anew what has failed the probe some times in a row.

    Returns how long that took.
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
    """containerd asks only its own Spegel and the upstream registry, so only the latter can deliver the rest."""
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
