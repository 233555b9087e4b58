"""The comments of the chart's values.yaml, and the table of its README that is generated from them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import yaml

from .chart import CHART

BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):(?P<rest>.*)$")


@dataclass(frozen=True)
class Value:
    """A value that users may set."""

    path: str
    default: object
    meaning: str


def documented() -> list[Value]:
    """The values of values.yaml with a comment above that begins with two dashes."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    values: list[Value] = []
    comment: list[str] = []
    parents: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("#") and comment:
            comment.append(stripped.removeprefix("#").strip())
        elif match := _LINE.match(line):
            parents[len(match["indent"]) // 2:] = [match["key"]]
            if comment:
                values.append(Value(".".join(parents), lookup(defaults, parents), " ".join(comment)))
            comment = []
    return values


def lookup(values: dict, path: list[str]) -> object:
    for key in path:
        values = values[key]
    return values


def leaves(values: dict, documented_paths: set[str], prefix: str = "") -> list[str]:
    """The paths of all values. A map with its own documentation counts as one."""
    paths: list[str] = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and path not in documented_paths:
            paths += leaves(value, documented_paths, f"{path}.")
        else:
            paths.append(path)
    return paths


def table() -> str:
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in documented():
        default = json.dumps(value.default, separators=(", ", ": ")).replace("|", "\\|")
        rows.append(f"| `{value.path}` | `{default}` | {value.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README with the current table."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"
