"""The documents' quotes of the program are current."""

from __future__ import annotations

import re

from formation import chart, values_table

_DOCUMENTS = chart.ROOT / "docs"
#: Texts of other programs, and commands.
_OF_OTHERS = re.compile(
    r"hostPath type check failed|(curl|cat|ctr|containerd|kubectl|spegel|crictl|helm) .*", re.DOTALL)


def _sources() -> str:
    """All string literals, with those in several parts joined."""
    text = "\n".join(file.read_text() for file in sorted((chart.ROOT / "Sources").rglob("*.swift")))
    text = re.sub(r'"\s*\n?\s*\+ "', "", text)
    return re.sub(r"\\\n\s*", "", text)


def test_log_lines_in_the_troubleshooting_guide_match_the_code():
    guide = (_DOCUMENTS / "troubleshooting.md").read_text()
    guide = re.sub(r"```.*?```", "", guide, flags=re.DOTALL)
    sources = _sources()
    quoted = {phrase.rstrip(":") for phrase in re.findall(r"`([^`]+)`", guide) if not _OF_OTHERS.fullmatch(phrase)}
    lines = {phrase for phrase in quoted if len(phrase.split()) > 2}
    assert len(lines) > 10
    missing = {phrase for phrase in lines if phrase not in sources}
    assert not missing


def test_values_and_flags_in_documents_exist():
    paths = {value.path for value in values_table.documented()}
    tops = {path.split(".")[0] for path in paths}
    for name in ("kubernetes.md", "troubleshooting.md", "security.md", "distributions.md"):
        text = (_DOCUMENTS / name).read_text()
        for path in re.findall(r"`((?:[a-z]\w*\.)+\w+)(?=[:`])", text):
            if path.split(".")[0] in tops:
                assert path in paths or any(each.startswith(f"{path}.") for each in paths), f"{name}: {path}"


def test_links_between_documents_are_valid():
    for document in [*_DOCUMENTS.glob("*.md"), chart.ROOT / "README.md", chart.CHART / "README.md"]:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
            file = document if not target else (document.parent / target).resolve()
            assert file.exists(), f"{document.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", file.read_text(), flags=re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{document.name}: {target}#{anchor}"
