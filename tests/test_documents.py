"""What the documents say about the code is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "README.zh.md", *ROOT.glob("docs/**/*.md")])
_TEST = re.compile(r"`(tests/[\w/.]+\.py)::(test_\w+)`")
_QUOTED = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
_FOLDED = re.compile(r"\"\s*\n\s*f?\"")  # between two halves of one text
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for place, name in _TEST.findall(document.read_text()):
        assert f"def {name}(" in (ROOT / place).read_text(), f"{document.name} names {place}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_message_that_troubleshooting_quotes_is_said_by_the_code() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mirror_sync").rglob("*.py")))
    told = _FOLDED.sub("", source)
    quoted = _QUOTED.findall((ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"))
    parts = [part.strip() for message in quoted for part in message.split("...")]
    assert parts
    assert [part for part in parts if part not in told] == []
