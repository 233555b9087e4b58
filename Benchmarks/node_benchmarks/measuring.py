"""Runs of alternatives in turn (A B A B …), so that what else the machine does at a time concerns all of them."""

import json
import pathlib
import random
import statistics
import subprocess
import sys
from collections.abc import Callable

from . import machine
from .processes import Process
from .settings import WORK

HERE = pathlib.Path(__file__).resolve().parent


class Series:
    """The values of one quantity over the runs of one alternative."""

    @staticmethod
    def summary(values: list[float]) -> dict:
        return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": values}


def interleave(alternatives: dict[str, Callable[[], dict]], runs: int) -> dict[str, dict]:
    """Runs all alternatives in turn, every other time in reverse order; returns a summary of each quantity."""
    gathered: dict[str, dict[str, list]] = {name: {} for name in alternatives}
    for number in range(runs):
        order = list(alternatives)
        for name in order if number % 2 == 0 else reversed(order):
            for quantity, value in alternatives[name]().items():
                gathered[name].setdefault(quantity, []).append(value)
    return {
        name: {quantity: Series.summary(values) for quantity, values in quantities.items()}
        for name, quantities in gathered.items()
    }


def ratio(a: dict, b: dict) -> float:
    """The median of the ratios of neighbouring runs of two alternatives."""
    pairs = [x / y for x, y in zip(a["runs"], b["runs"]) if y]
    return statistics.median(pairs) if pairs else float("nan")


def transfer(processes: dict[str, Process], task: dict) -> dict:
    """Has the client do a task; gives GiB/s, and the CPU seconds per GiB of each process and of the client."""
    before = {name: process.cpu() for name, process in processes.items()}
    result = subprocess.run(
        [sys.executable, "-I", HERE / "client.py"], input=json.dumps(task), capture_output=True, text=True, timeout=120
    )
    if result.returncode:
        sys.exit(f"the client failed at {task['address']}:\n{result.stderr}")
    counts = json.loads(result.stdout)
    if counts["bad"]:
        sys.exit(f"{task['address']}: of {counts['answers']} answers some were wrong: {'; '.join(counts['bad'][:5])}")
    size = counts["bytes"] / (1 << 30)
    values = {"GiB/s": size / counts["seconds"], "client": counts["cpu"] / size}
    for name, process in processes.items():
        values[f"CPU {name}"] = (process.cpu() - before[name]) / size
    values["CPU"] = sum(values[f"CPU {name}"] for name in processes)
    return values


def repeated(once: Callable[[], dict], times: int) -> Callable[[], dict]:
    """Does something so often for one value of each quantity, their mean: what is short is told apart from noise."""
    def all_of_them() -> dict:
        results = [once() for _ in range(times)]
        return {quantity: statistics.fmean(result[quantity] for result in results) for quantity in results[0]}

    return all_of_them


def load(target: tuple[str, int], clients: int, seconds: int, paths: list[str] | str) -> dict:
    """Runs wrk with these paths in turn, or with ever new ones from a pattern that contains DIGEST."""
    if isinstance(paths, str):
        arguments = ["new", str(random.getrandbits(48)), paths]
    else:
        file = WORK / "paths"
        file.write_text("".join(f"{path}\n" for path in paths))
        arguments = [str(file), "0"]
    command = [
        machine.program("wrk"), "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s",
        "--timeout", "10s", "--script", HERE / "wrk.lua", f"http://{target[0]}:{target[1]}", "--", *arguments,
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    line = next((line for line in result.stdout.splitlines() if line.startswith("{")), None)
    if not line:
        sys.exit(f"wrk failed at {target}:\n{result.stdout}{result.stderr}")
    counts = json.loads(line)
    if not counts["requests"]:
        sys.exit(f"{target} answered nothing to {clients} clients")
    return {
        "p50 ms": counts["p50"] / 1000,
        "p99 ms": counts["p99"] / 1000,
        "requests/s": counts["requests"] / counts["microseconds"] * 1e6,
        "requests": counts["requests"],
        "above 399": counts["above399"],
        "broken": counts["broken"],
    }
