"""The results as Markdown tables, for the screen and for docs/performance.md."""

import pathlib

from . import targets

BEGIN = "<!-- BEGIN: `make bench-docs` writes this part. -->"
END = "<!-- END -->"
NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "wrk": "wrk", "containerd": "containerd"}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table with columns as wide as their cells."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows), ""]


def spread(summary: dict, digits: int) -> str:
    """The median, with the minimum and maximum."""
    low, high = summary["min"], summary["max"]
    return f"{summary['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def start(results: dict) -> list[str]:
    return table(["start", ""], [
        ["binary, stripped", f"{results['binary MB']:.1f} MB"],
        ["from start to ready, alone", f"{spread(results['alone ms'], 0)} ms"],
        ["from start to ready, when a peer is up", f"{spread(results['joining ms'], 0)} ms"],
    ])


def throughput(results: dict) -> list[str]:
    lines: list[str] = []
    for workload, alternatives in results["workloads"].items():
        rows = [
            [
                name,
                spread(values["GiB/s"], 2),
                spread(values["CPU relay"], 2) if "CPU relay" in values else "",
                spread(values["CPU provider"], 2),
                f"{values['client']['median']:.2f}",
            ]
            for name, values in alternatives.items()
        ]
        lines += table([workload, "GiB/s", "CPU-s per GiB, relay", "provider", "client"], rows)
    pipe = results["HAProxy's pipe"]
    return [*lines, f"HAProxy's pipes hold {pipe >> 10} KiB, the cheapest of the tried sizes.", ""]


def states(results: dict) -> list[str]:
    rows = [
        [name, spread(values["GiB/s"], 2), spread(values["CPU relay"], 2), spread(values["CPU provider"], 2)]
        for name, values in results.items()
    ]
    return table(["1 GiB by two nodes", "GiB/s", "CPU-s per GiB, mirror", "provider"], rows)


def link(results: dict) -> list[str]:
    rows = [
        [name, *(f"{values[role]['median'] / 1.073741824:.2f}" for role in ("CPU relay", "CPU provider"))]
        for name, values in results.items()
    ]
    return table(["a blob over a link of", "CPU-s per GB, mirror", "provider"], rows) if rows else []


def verify(results: dict) -> list[str]:
    rows = [
        [f"--verify={name}", spread(values["GiB/s"], 2), spread(values["CPU relay"], 2), spread(values["CPU provider"], 2)]
        for name, values in results.items() if "GiB/s" in values
    ]
    if alone := results.get("SHA-256 alone"):
        rows.append(["SHA-256 alone", "", spread(alone["CPU"], 2), ""])
    return table(["1 GiB through a mirror", "GiB/s", "CPU-s per GiB, mirror", "provider"], rows)


def latency(results: dict) -> list[str]:
    rows = []
    for case, by_clients in results.items():
        for clients, alternatives in by_clients.items():
            for name, values in alternatives.items():
                rows.append([
                    f"{case}, {clients} client{'s' if clients != '1' else ''}",
                    name,
                    spread(values["p50 ms"], 2),
                    spread(values["p99 ms"], 2),
                    spread(values["requests/s"], 0),
                    str(sum(values["wrong"]["runs"])),
                ])
    return table(["through a mirror", "", "p50, ms", "p99, ms", "responses/s", "wrong"], rows)


def misses(results: dict) -> list[str]:
    return table(["eight nodes", ""], [
        ["404 for ever new keys, p50", f"{spread(results['p50 ms'], 2)} ms"],
        ["404 for ever new keys, p99", f"{spread(results['p99 ms'], 2)} ms"],
        ["resident at rest, with a scrape a second", f"{spread(results['resident MB'], 1)} MB"],
        ["of it anonymous", f"{spread(results['anonymous MB'], 1)} MB"],
    ])


def memory(results: dict) -> list[str]:
    rows = [[f"at rest, {name}", *_amounts(taken)] for name, taken in results["idle"].items()]
    for kind, text in (("read", "clients that read"), ("stalled", "clients that do not read on")):
        for name, measured in results["transfers"][kind].items():
            for role, taken in measured["processes"].items():
                title = role if name == "Spegel" else f"{name}, {'serving' if role == 'provider' else 'relaying'}"
                if name != "HAProxy" or role != "provider":
                    rows.append([f"256 {text}: {title}", *_amounts(taken)])
    rows += [[f"35 s later, {name}", *_amounts(taken)] for name, taken in results["35 s later"].items()]
    return table(["memory, MB", "resident", "anonymous"], rows)


def _amounts(taken: dict) -> list[str]:
    return [f"{taken['resident']:.1f}", f"{taken['anonymous']:.1f}"]


def document(results: dict) -> list[str]:
    """All tables, the machine first."""
    machine = results["machine"]
    text = ", ".join(
        [
            machine["cpu"], f"{machine['cores']} cores", f"{machine['memory GB']} GB", machine["kernel"],
            *(f"{name} {machine[key]}" for key, name in NAMES.items() if key in machine),
        ]
    )
    lines = [
        f"Medians of {results['runs']} runs (minimum to maximum), the alternatives in turn, on {results['date']}: {text}; load "
        f"{machine['load at the start']:.1f} at the start.",
        "",
    ]
    rows = [[row["what"], row["limit"], row["measured"], "yes" if row["reached"] else "**no**"] for row in targets.check(results)]
    if rows:
        lines += table(["target", "limit", "measured", "reached"], rows)
    for name, write in (
        ("throughput", throughput), ("states", states), ("link", link), ("verify", verify), ("latency", latency),
        ("misses", misses), ("memory", memory), ("start", start),
    ):
        if name in results:
            lines += write(results[name])
    return lines


def write_document(path: pathlib.Path, results: dict, figures: list[tuple[str, str]]) -> None:
    """Writes tables and figures between the two marks of a document."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: expected the marks {BEGIN} and {END}")
    lines = document(results)
    shown = [f"![{title}]({file})" for file, title in figures]
    # The figures come after the targets.
    body = "\n".join(["", *lines[:2], *shown, "", *lines[2:]])
    path.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}")
