"""What is public says in a sentence what it is, and names the errors that it raises itself.

Public is what has no underscore in front: modules, classes, functions, methods and properties. A verb of a port (a
Protocol with a docstring at that verb) needs no words of its own in an adapter or a wrapper: the port's are the
contract, and repeating them in each would let them differ. Nor does an error that the tree in its module's docstring
explains in a line.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mirror_sync import errors

ROOT = Path(__file__).parents[1]
SHARE = 0.95
ERRORS = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Public:
    """A module, class or function of the package; `owner` is the class of a method."""

    path: Path
    name: str
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    module: str  # its docstring
    owner: ast.ClassDef | None = None

    @property
    def said(self) -> str:
        """Its docstring, or its line in a tree."""
        in_tree = re.search(rf"── {re.escape(self.name)} {{2,}}(\S.*)", self.module)
        return ast.get_docstring(self.node) or (in_tree[1] if in_tree else "")

    @property
    def verb(self) -> str:
        """Its own name."""
        return self.name.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(self.node, 'lineno', 1)} {self.name}"


def public_of(path: Path) -> Iterator[Public]:
    """The module itself, and what in it has no underscore in front."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = ast.get_docstring(tree) or ""
    yield Public(path, path.stem, tree, module)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield Public(path, node.name, node, module)
            if isinstance(node, ast.ClassDef):
                yield from _methods_of(path, node, module)


def _methods_of(path: Path, owner: ast.ClassDef, module: str) -> Iterator[Public]:
    for node in owner.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield Public(path, f"{owner.name}.{node.name}", node, module, owner)


PUBLIC = [one for path in sorted((ROOT / "mirror_sync").rglob("*.py")) for one in public_of(path)]
CLASSES = {
    node.name: node
    for path in sorted((ROOT / "mirror_sync").rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef)
}


@cache
def bases_of(node: ast.ClassDef) -> frozenset[str]:
    """The names of all classes of the package above one, and of Protocol."""
    above = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return frozenset(above | {name for one in above if one in CLASSES for name in bases_of(CLASSES[one])})


@cache
def verbs_of(node: ast.ClassDef) -> frozenset[str]:
    """The names of the methods of a class, inherited ones too."""
    own = {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(own | {verb for base in bases_of(node) if base in CLASSES for verb in verbs_of(CLASSES[base])})


TOLD = {(one.owner.name, one.verb) for one in PUBLIC if one.owner and one.said}
PORTS = {name: verbs_of(node) for name, node in CLASSES.items() if "Protocol" in bases_of(node)}


def is_verb_of_a_port(one: Public) -> bool:
    """Whether the class carries out a port, all its verbs, or is a kind of another, which says what this verb does."""
    if one.owner is None or one.owner.name in PORTS:
        return False
    if any((above, one.verb) in TOLD for above in bases_of(one.owner)):
        return True
    verbs, above = verbs_of(one.owner), bases_of(one.owner)
    ports = [port for port, needed in PORTS.items() if one.verb in needed and (needed <= verbs or port in above)]
    return any((port, one.verb) in TOLD for port in ports)


def raised_by(one: Public) -> set[str]:
    """The errors of ours that a function raises by a `raise` in its own body, and does not catch there."""
    is_command = "commands" in one.path.parts and "command" in map(ast.unparse, getattr(one.node, "decorator_list", []))
    if is_command or not isinstance(one.node, Function):
        return set()  # what a command's docstring says is its help: cli/exits.py is where its errors end
    return {*_raised(one.node.body, frozenset())}


def _raised(body: list[ast.stmt], caught: frozenset[str]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)) if name in ERRORS:
                if not _above(name) & caught:
                    yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass
            case ast.Try():
                yield from _raised(node.body, caught | {name for one in node.handlers for name in _caught(one)})
                for handler in node.handlers:
                    yield from _raised(handler.body, caught)
                yield from _raised([*node.orelse, *node.finalbody], caught)
            case ast.Match():
                for case in node.cases:
                    yield from _raised(case.body, caught)
            case _:
                for part in ("body", "orelse"):
                    yield from _raised(getattr(node, part, []), caught)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    return set(ERRORS) | {"Exception"} if handler.type is None else {*ast.unparse(handler.type).strip("()").split(", ")}


def _above(name: str) -> set[str]:
    """An error's name, and those of the kinds that it is of."""
    return {kind.__name__ for kind in ERRORS[name].__mro__}


def test_nearly_all_that_is_public_says_what_it_is() -> None:
    own = [one for one in PUBLIC if one.said or not is_verb_of_a_port(one)]
    silent = [str(one) for one in own if not one.said]
    told = f"{len(own) - len(silent)} of {len(own)} have a docstring; without one:\n" + "\n".join(silent)
    assert len(silent) <= (1 - SHARE) * len(own), told


def test_what_raises_an_error_of_ours_names_it() -> None:
    raising = [(one, name) for one in PUBLIC for name in sorted(raised_by(one))]
    assert len(raising) > 50, "hardly anything is found to raise: this test looks in vain"
    left = [f"{one}: {name}" for one, name in raising if not _is_named(one, name)]
    assert left == []


def _is_named(one: Public, name: str) -> bool:
    """By its own docstring or its class's; a verb of a port by the port's, which say which errors leave."""
    said = one.said + (ast.get_docstring(one.owner) or "" if one.owner else "")
    return any(kind in said for kind in _above(name) - {"Exception", "BaseException", "object"}) or is_verb_of_a_port(
        one
    )
