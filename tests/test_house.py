"""Laws of the tree itself: one name for one thing, and rooms in which one can stand."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mirror_sync"
MODULES = sorted(PACKAGE.rglob("*.py"))
SHARED_STEMS = {"__init__", "stages"}  # the engine says what a stage is, the wiring which there are
MOST = 16  # modules of one folder
SMALL = 60  # lines: a module of so few that one other imports is a paragraph of that one
MOST_SMALL = 8  # of these, beside commands, of which each is a file


def test_a_class_has_a_name_of_its_own() -> None:
    found = defaultdict[str, list[str]](list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_a_file_has_a_name_of_its_own() -> None:
    found = defaultdict[str, list[str]](list)
    for path in MODULES:
        found[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1 and name not in SHARED_STEMS} == {}


def test_no_folder_holds_more_files_than_one_can_overlook() -> None:
    folders = {path.parent for path in MODULES}
    counts = {str(one.relative_to(ROOT)): len([*one.glob("*.py")]) - 1 for one in folders}
    assert {name: count for name, count in counts.items() if count > MOST} == {}


def test_few_modules_are_a_paragraph_of_the_only_one_that_imports_them() -> None:
    importers = defaultdict[str, set[Path]](set)
    for path in MODULES:
        for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            importers[name].add(path)
    small = [
        f"{name}, {lines} lines: {', '.join(str(one.relative_to(ROOT)) for one in importers[name]) or 'nobody'}"
        for path in MODULES
        if path.stem not in ("__init__", "__main__")
        and "commands" not in path.parts
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) <= SMALL
        and len(importers[name := ".".join(path.relative_to(ROOT).with_suffix("").parts)]) <= 1
    ]
    assert len(small) <= MOST_SMALL, small


def _imported(tree: ast.AST) -> Iterator[str]:
    """All that may be a module among the names that are imported, also within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names)


def test_every_folder_says_in_a_sentence_what_lives_there() -> None:
    for folder in {path.parent for path in MODULES}:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert folder == PACKAGE or said, folder


def test_the_glossary_names_classes_and_files_that_are_there() -> None:
    rows = re.findall(
        r"^\| (.+?) \| .+ \| (.+?) \|$", (ROOT / "docs/design/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 20
    for words, places in rows[2:]:
        text = ""
        for place in re.findall(r"`([^`]+)`", places):
            path = PACKAGE / place
            assert path.exists(), place
            text += "".join(
                one.read_text(encoding="utf-8") for one in ([path] if path.is_file() else path.rglob("*.py"))
            )
        for name in re.findall(r"`([A-Z]\w+)`", words):
            assert re.search(rf"^class {name}\b", text, re.MULTILINE), name
