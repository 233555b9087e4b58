"""The results as SVG figures for light and dark backgrounds."""

from html import escape

STYLE = """
.ground{fill:#ffffff}.ink{fill:#24292f}.faint{fill:#57606a}.grid{stroke:#d0d7de}
.f0{fill:#0969da}.f1{fill:#bc4c00}.f2{fill:#1a7f37}.f3{fill:#8250df}.spread{stroke:#24292f;stroke-width:1.5}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#30363d}
.f0{fill:#58a6ff}.f1{fill:#f0883e}.f2{fill:#3fb950}.f3{fill:#bc8cff}.spread{stroke:#e6edf3}}
"""
WIDTH, LABELS, ROW, TOP = 820, 260, 22, 64
PLOT = WIDTH - LABELS - 100


class Bars:
    """Horizontal bars in groups. Each part of a bar has a colour; a spread is drawn over its end."""

    def __init__(self, title: str, unit: str, legend: list[str]):
        self.title, self.unit, self.legend = title, unit, legend
        self.rows: list[tuple[str, list[tuple[int, float]], tuple[float, float] | None, str]] = []

    def group(self, label: str) -> None:
        self.rows.append((label, [], None, ""))

    def bar(
        self, label: str, parts: list[tuple[int, float]], spread: tuple[float, float] | None = None, note: str = ""
    ) -> None:
        self.rows.append((label, parts, spread, note))

    def svg(self) -> str:
        most = max(max(sum(v for _, v in parts), *(spread or (0, 0))) for _, parts, spread, _ in self.rows) or 1
        step = next(s for s in _steps() if most / s <= 8)
        scale = PLOT / most
        height = TOP + ROW * len(self.rows) + 40
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
            ' font-family="sans-serif" font-size="12">',
            f"<style>{STYLE}</style>",
            '<rect class="ground" width="100%" height="100%"/>',
            f'<text class="ink" x="16" y="24" font-size="14" font-weight="bold">{escape(self.title)}</text>',
        ]
        x = 16
        for colour, text in enumerate(self.legend):
            out.append(f'<rect class="f{colour}" x="{x}" y="36" width="12" height="12"/>')
            out.append(f'<text class="ink" x="{x + 18}" y="46">{escape(text)}</text>')
            x += 40 + 7 * len(text)
        bottom = TOP + ROW * len(self.rows)
        tick = 0.0
        while tick <= most:
            place = LABELS + tick * scale
            out.append(f'<line class="grid" x1="{place:.1f}" y1="{TOP}" x2="{place:.1f}" y2="{bottom}"/>')
            out.append(f'<text class="faint" x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
            tick = round(tick + step, 6)
        out.append(f'<text class="ink" x="{LABELS + PLOT / 2}" y="{bottom + 32}" text-anchor="middle">{self.unit}</text>')
        for number, (label, parts, spread, note) in enumerate(self.rows):
            y = TOP + ROW * number
            anchor, weight = ("end", "normal") if parts else ("start", "bold")
            place = LABELS - 8 if parts else 16
            out.append(
                f'<text class="ink" x="{place}" y="{y + 15}" text-anchor="{anchor}" font-weight="{weight}">'
                f"{escape(label)}</text>"
            )
            x = float(LABELS)
            for colour, value in parts:
                out.append(
                    f'<rect class="f{colour}" x="{x:.1f}" y="{y + 4}" width="{value * scale:.1f}" height="{ROW - 8}"/>'
                )
                x += value * scale
            if spread:
                low, high = (LABELS + value * scale for value in spread)
                middle = y + ROW / 2
                out.append(f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>')
                x = max(x, high)
            if parts:
                total = sum(value for _, value in parts)
                out.append(f'<text class="faint" x="{x + 6:.1f}" y="{y + 15}">{total:.2f}{note}</text>')
        return "\n".join([*out, "</svg>", ""])


def _steps():
    size = 0.001
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def throughput(results: dict) -> str:
    bars = Bars("CPU of relay and provider for a GiB", "seconds of CPU per GiB", ["relay", "provider"])
    for workload, alternatives in results["workloads"].items():
        bars.group(workload)
        for name, values in alternatives.items():
            relay = [(0, values["CPU relay"]["median"])] if "CPU relay" in values else []
            bars.bar(name, [*relay, (1, values["CPU provider"]["median"])], (values["CPU"]["min"], values["CPU"]["max"]))
    return bars.svg()


def latency(results: dict) -> str:
    bars = Bars("Answers through a mirror, and through nginx before the same provider", "milliseconds, p50", ["Spegel", "nginx"])
    for case, by_clients in results.items():
        bars.group(case)
        for clients in ("1", "16"):
            for name, values in by_clients[clients].items():
                middle, slow = values["p50 ms"]["median"], values["p99 ms"]["median"]
                label = f"{name}, {clients} client{'s' if clients != '1' else ''}"
                bars.bar(label, [(0 if name == "Spegel" else 1, middle)], note=f", p99 {slow:.1f}")
    return bars.svg()


ALL = {
    "throughput": (throughput, "CPU of relay and provider for a GiB"),
    "latency": (latency, "Latency of small answers through a mirror"),
}
