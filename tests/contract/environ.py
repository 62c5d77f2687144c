"""The variables of the environment that the program reads, by its own text: wherever `environ` is asked for a name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mirror_sync"
_VARIABLE = re.compile(r"\$\{(\w+)")

Names = dict[str, ast.expr]


def variables() -> list[str]:
    """Each variable once; `<of jobs.yaml>` for those that the configuration names."""
    found = {name for path in PACKAGE.rglob("*.py") for name in _read_in(path.read_text(encoding="utf-8"))}
    shipped = {f"{name}, in the shipped jobs.yaml" for name in _VARIABLE.findall(_text("jobs.yaml"))}
    units = {f"{name}, set by a unit" for path in (ROOT / "systemd").glob("*.service") for name in _set_in(path)}
    return sorted(found | shipped | units)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _set_in(path: Path) -> list[str]:
    return re.findall(r"(?m)^Environment=(\w+)=", path.read_text(encoding="utf-8"))


def _read_in(text: str) -> Iterator[str]:
    return _read(ast.parse(text), {}) if "environ" in text or "getenv" in text else iter(())


def _read(node: ast.AST, names: Names) -> Iterator[str]:
    """What is asked for in a node and below it; `names` are those that stand for something there."""
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
        names = names | dict(_bound(node.body))
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        names = names | {one.target.id: one.iter for one in node.generators if isinstance(one.target, ast.Name)}
    elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
        names = names | {node.target.id: node.iter}
    asked = _asked(node)
    if asked is not None:
        yield from _spelt(asked, names)
    for inner in ast.iter_child_nodes(node):
        yield from _read(inner, names)


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = zip(targets, values, strict=True)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))


def _asked(node: ast.AST) -> ast.expr | None:
    """The name that an expression asks `environ` for."""
    match node:
        case ast.Subscript(value=place, slice=name) if _is_environ(place):
            return name
        case ast.Call(func=ast.Attribute(value=place, attr="get" | "pop"), args=[name, *_]) if _is_environ(place):
            return name
        case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[place]) if _is_environ(place):
            return name
        case ast.Call(func=ast.Attribute(attr="getenv"), args=[name, *_]):
            return name
    return None


def _is_environ(place: ast.expr) -> bool:
    match place:
        case ast.Attribute(attr="environ") | ast.Name(id="environ"):
            return True
    return False


def _spelt(name: ast.expr, names: Names) -> list[str]:  # noqa: PLR0911  a line for each kind of expression
    match name:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=one) if one in names:
            return _spelt(names[one], {key: value for key, value in names.items() if key != one})
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return [text for part in parts for text in _spelt(part, names)]
        case ast.Dict(keys=parts):
            return [text for part in parts if part is not None for text in _spelt(part, names)]
        case ast.Starred(value=inner) | ast.FormattedValue(value=inner):
            return _spelt(inner, names)
        case ast.JoinedStr(values=parts):
            return ["".join(choice) for choice in product(*(_spelt(part, names) for part in parts))]
        case ast.Call(func=ast.Name(id="frozenset"), args=[inner]):
            return _spelt(inner, names)
    return ["<of jobs.yaml>"]
