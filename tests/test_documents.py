"""What the documents say about the code is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [
        *(
            ROOT / name
            for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
        ),
        *(ROOT / "findings/README.md", *ROOT.glob("docs/**/*.md")),
    ]
)
_TEST = re.compile(r"`(tests/[\w/.]+\.py)::(test_\w+)`")
_QUOTED = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
_FOLDED = re.compile(r"\"\s*\n\s*f?\"")  # between two halves of one text
_MAKE = re.compile(r"(?:^|`)make ([a-z0-9.]+)", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for place, name in _TEST.findall(document.read_text()):
        assert f"def {name}(" in (ROOT / place).read_text(), f"{document.name} names {place}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_target_of_make_that_a_document_names_is_one(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9.]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(_MAKE.findall(document.read_text(encoding="utf-8"))) - targets == set()


def test_contributing_says_where_everything_lives_and_names_nothing_that_is_not_there() -> None:
    table = re.findall(r"^\| (`.*?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`([^`]+)`", cell)}
    rooms = {f"mirror_sync/{path.name}" for path in (ROOT / "mirror_sync").iterdir() if (path / "__init__.py").exists()}
    assert rooms - named == set()
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_message_that_troubleshooting_quotes_is_said_by_the_code() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mirror_sync").rglob("*.py")))
    told = _FOLDED.sub("", source)
    quoted = _QUOTED.findall((ROOT / "docs/guide/troubleshooting.md").read_text(encoding="utf-8"))
    parts = [part.strip() for message in quoted for part in message.split("...")]
    assert parts
    assert [part for part in parts if part not in told] == []


@pytest.mark.parametrize("folder", [ROOT, ROOT / "docs"], ids=["README", "manual"])
def test_the_chinese_page_has_the_headings_links_tables_and_examples_of_the_english_one(folder: Path) -> None:
    english, chinese = ((folder / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    commented = re.compile(r"\s+#.*$", re.MULTILINE)
    for part in (r"^(#+) ", r"^```(?:.|\n)*?^```$", r"^(\| )", r"^(\d+\.|-) "):
        ours, theirs = (re.findall(part, commented.sub("", text), re.MULTILINE) for text in (chinese, english))
        assert ours == theirs, part
    links = re.compile(r"\]\(([^):]+)\)")
    first = {"README.md", "README.zh.md", "docs/README.md", "docs/README.zh.md"}  # each leads to its own language
    assert set(links.findall(chinese)) - first == set(links.findall(english)) - first
