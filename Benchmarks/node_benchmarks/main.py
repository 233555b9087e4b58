"""The command: runs the sections, prints the tables, stores the results, and rewrites the document on request."""

import argparse
import json
import os
import shutil
import sys
import time

from . import figure, machine, report, sections
from .settings import BINARY, DOCUMENT, FIGURES, RESULTS, ROOT, WORK

NEED_OTHERS = {"throughput", "latency", "misses", "memory"}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Compares a node with nginx and HAProxy.")
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION",
        help=f"all by default, or those in $SECTIONS: {', '.join(sections.ALL)}",
    )
    parser.add_argument("--runs", type=int, default=7, help="runs of each alternative")
    parser.add_argument("--docs", action="store_true", help=f"rewrite tables and figures of {DOCUMENT.relative_to(ROOT)}")
    parser.add_argument("--from", dest="source", metavar="FILE", help="use the results of an earlier run")
    parser.add_argument("--output", default=RESULTS, metavar="FILE", help="the file for the results, as JSON")
    arguments = parser.parse_args()
    names = arguments.sections or os.environ.get("SECTIONS", "").replace(",", " ").split() or list(sections.ALL)
    if unknown := [name for name in names if name not in sections.ALL]:
        parser.error(f"unknown section {', '.join(unknown)}, expected {', '.join(sections.ALL)}")
    arguments.sections = [name for name in sections.ALL if name in names]
    return arguments


def measure(names: list[str], runs: int) -> dict:
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: make build")
    if NEED_OTHERS & set(names) and (packages := machine.missing()):
        sys.exit(
            f"Programs for the comparison are missing. As root: apt-get install --no-install-recommends {' '.join(packages)}\n"
            "(Debian then starts nginx and haproxy as services, which are not needed: systemctl disable --now nginx haproxy)"
        )
    results: dict = {"date": time.strftime("%Y-%m-%d"), "runs": runs, "machine": machine.describe()}
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        for name in names:
            begin = time.monotonic()
            print(f"{name} …", end="", file=sys.stderr, flush=True)
            results[name] = sections.ALL[name](runs)
            print(f" {time.monotonic() - begin:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    return results


def main() -> None:
    arguments = parse()
    if arguments.source:
        with open(arguments.source) as file:
            results = json.load(file)
    else:
        results = measure(arguments.sections, arguments.runs)
        RESULTS.parent.mkdir(exist_ok=True)
        with open(arguments.output, "w") as file:
            json.dump(results, file, indent=1)
    if arguments.docs:
        FIGURES.mkdir(exist_ok=True)
        figures = []
        for name, (draw, title) in figure.ALL.items():
            if name in results:
                (FIGURES / f"{name}.svg").write_text(draw(results[name]))
                figures.append((f"{FIGURES.name}/{name}.svg", title))
        report.write_document(DOCUMENT, results, figures)
    print("\n".join(report.document(results)))
    print(f"results: {arguments.source or arguments.output}", file=sys.stderr)
