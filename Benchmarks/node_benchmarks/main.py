"""The command: runs the sections, prints the tables, keeps the results, and rewrites the document when asked to."""

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
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures a node beside nginx and HAProxy.")
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION",
        help=f"all by default, or those that $SECTIONS names: {', '.join(sections.ALL)}",
    )
    parser.add_argument("--runs", type=int, default=7, help="of each alternative")
    parser.add_argument("--docs", action="store_true", help=f"rewrite tables and figures of {DOCUMENT.relative_to(ROOT)}")
    parser.add_argument("--from", dest="source", metavar="FILE", help="take the results of an earlier run instead")
    parser.add_argument("--output", default=RESULTS, metavar="FILE", help="where the results go, as JSON")
    arguments = parser.parse_args()
    names = arguments.sections or os.environ.get("SECTIONS", "").replace(",", " ").split() or list(sections.ALL)
    if unknown := [name for name in names if name not in sections.ALL]:
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join(sections.ALL)}")
    arguments.sections = [name for name in sections.ALL if name in names]
    return arguments


def measure(names: list[str], runs: int) -> dict:
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: make build")
    if NEED_OTHERS & set(names) and (packages := machine.missing()):
        sys.exit(
            f"What a node is measured beside is missing. As root: apt-get install --no-install-recommends {' '.join(packages)}\n"
            "(Debian starts nginx and haproxy as services then, which are not needed: systemctl disable --now nginx haproxy)"
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
    print(f"the results: {arguments.source or arguments.output}", file=sys.stderr)
