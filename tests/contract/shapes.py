"""The shape of JSON: every key with its types, and of a JSON Schema every key with what it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
_LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format", "const", "enum")


def shape(documents: Iterable[Any], names: Collection[str] = ()) -> list[str]:
    """A line for each place in the documents: `repos[].commit: null | string`.

    `names` are keys that are data: of a job, of a target. All stand as `<name>`.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for document in documents:
        for place, kind in _places(document, "", names):
            found[place].add(kind)
    return [f"{place or 'document'}: {' | '.join(sorted(kinds))}" for place, kinds in sorted(found.items())]


def _places(value: Any, at: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield at, "object"
        for key, inner in value.items():
            name = "<name>" if key in names or " " in key else key
            yield from _places(inner, f"{at}.{name}".removeprefix("."), names)
    elif isinstance(value, list):
        yield at, "array"
        for inner in value:
            yield from _places(inner, f"{at}[]", names)
    else:
        yield at, _TYPES[type(value)]


def keys_of(schema: dict[str, Any]) -> list[str]:
    """A line for each key that a JSON Schema admits, wherever it stands, with what it takes and its default.

    Shapes are followed from the top, so that their own names inside the program say nothing here.
    """
    return list(dict.fromkeys(_keys(schema, schema, "")))


def _keys(schema: dict[str, Any], node: dict[str, Any], at: str) -> Iterator[str]:
    needed = node.get("required", ())
    for key, rule in node.get("properties", {}).items():
        place = f"{at}.{key}".removeprefix(".")
        default = f" = {rule['default']!r}" if "default" in rule else ""
        yield f"{place}: {_taken(schema, rule)}{' (needed)' if key in needed else ''}{default}"
        yield from _below(schema, rule, place)


def _below(schema: dict[str, Any], rule: dict[str, Any], at: str) -> Iterator[str]:
    rule = _followed(schema, rule)
    for choice in rule.get("anyOf", ()):
        yield from _below(schema, choice, at)
    if isinstance(items := rule.get("items"), dict):
        yield from _below(schema, items, f"{at}[]")
    if isinstance(each := rule.get("additionalProperties"), dict):
        yield from _below(schema, each, f"{at}.<name>")
    yield from _keys(schema, rule, at)


def _taken(schema: dict[str, Any], rule: dict[str, Any]) -> str:
    rule = _followed(schema, rule)
    if choices := rule.get("anyOf"):
        return " | ".join(dict.fromkeys(_taken(schema, choice) for choice in choices))
    limits = "".join(f" {name}={rule[name]!r}" for name in _LIMITS if name in rule)
    if isinstance(items := rule.get("items"), dict):
        return f"array of ({_taken(schema, items)}){limits}"
    if isinstance(each := rule.get("additionalProperties"), dict):
        return f"object of ({_taken(schema, each)}){limits}"
    return f"{rule.get('type', 'any')}{limits}" if "type" in rule or not limits else limits.strip()


def _followed(schema: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in rule:
        rule = schema["$defs"][rule["$ref"].rpartition("/")[2]]
    return rule
