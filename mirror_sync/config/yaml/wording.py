"""From what pydantic says to what a person needs: what is wrong, in plain words, and what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mirror_sync.config.findings import Finding, Trail, listed, nearest_word, quoted
from mirror_sync.config.keys.endpoints import KINDS
from mirror_sync.config.keys.schema import json_schema
from mirror_sync.config.keys.values.base_model import UNION, Keys

_KEY_ITSELF = "[key]"  # how pydantic ends the trail of a mapping's key

Judges = Mapping[int, type[Keys]]  # by the identity of a mapping, the model that judged it


def findings(error: ValidationError, tree: object, judges: Judges) -> Iterator[Finding]:
    """All that a failed validation of `tree` has found."""
    for details in error.errors(include_url=False, include_input=False):
        kind, trail = details["type"], _trail(details)
        if kind == "too_short" and value_at(tree, trail):
            continue  # all items are wrong, and each is told by itself
        yield Finding(trail, _sentence(details, trail, tree, judges), key=kind == "extra_forbidden")


def _trail(details: ErrorDetails) -> Trail:
    """The way in the document: pydantic's own marks taken out."""
    steps = tuple(step for step in details["loc"] if not (isinstance(step, str) and step.startswith(UNION)))
    return steps[:-1] if steps and steps[-1] == _KEY_ITSELF else steps


def _sentence(details: ErrorDetails, trail: Trail, tree: object, judges: Judges) -> str:
    value = value_at(tree, trail)
    match details["type"]:
        case "extra_forbidden":
            return _unknown(str(trail[-1]), judges.get(id(value_at(tree, trail[:-1]))))
        case "missing":
            return f"is missing{example(trail)}"
        case "value_error":
            return str(details["ctx"]["error"])
        case "literal_error" | "enum":
            return _choice(value, re.findall("'([^']*)'", str(details["ctx"]["expected"])))
        case "union_tag_not_found":
            return 'says neither every nor cron; write {every: 6h} or {cron: "0 3 * * *"}'
    return _mistyped(details["type"], trail, value)


def _mistyped(kind: str, trail: Trail, value: object) -> str:
    if value is None or kind == "too_short":
        return f"is empty{example(trail) or '; write a value'}"
    wanted = _WANTED.get(kind)
    if wanted is None:
        return f"is not right{example(trail)}"
    return f"must be {wanted}, not {_noun(value)}{_advice(trail, value, wanted)}"


def blanks(tree: object, trail: Trail = ()) -> Iterator[Finding]:
    """Keys and list items with nothing behind them: no key of the format takes that."""
    if tree is None:
        yield Finding(trail, f"is empty{example(trail) or '; write a value'}, or remove it")
    elif isinstance(tree, dict | list):
        for step, child in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from blanks(child, (*trail, step))


_WANTED = {
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_NOUNS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a mapping"),
)


def _noun(value: object) -> str:
    return next((noun for kind, noun in _NOUNS if isinstance(value, kind)), "nothing")


def _advice(trail: Trail, value: object, wanted: str) -> str:
    if wanted == "text" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    return example(trail)


def _unknown(key: str, judge: type[Keys] | None) -> str:
    if judge is None:
        return "this key is not known"
    if key in judge.elsewhere:
        return judge.elsewhere[key]
    known = [field.alias or name for name, field in judge.model_fields.items()]
    here = f"the keys here are {listed(known, 'and')}" if len(known) > 1 else f"the only key here is {known[0]}"
    return "this key is not known" + (nearest_word(key, known) or f"; {here}")


def _choice(value: object, words: list[str]) -> str:
    """A value that is none of some words. Only text is repeated: the rest is not what was meant at all."""
    what = f"{quoted(value)} is not {listed(words)}" if isinstance(value, str) else f"must be {listed(words)}"
    return what + (nearest_word(value, words) if isinstance(value, str) else "")


def value_at(tree: object, trail: Trail) -> object:
    """What stands at a place of the tree, None for nothing."""
    for step in trail:
        if isinstance(tree, dict):
            tree = tree.get(step)
        elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        else:
            return None
    return tree


def example(trail: Trail) -> str:
    """`; write key: example` for the last key of a trail, empty where there is none."""
    key = trail[-1] if trail else None
    if not isinstance(key, str):
        return ""
    words = [step for step in trail if isinstance(step, str)]
    shown = _examples().get(".".join(words[-2:])) or _examples().get(key)
    return f"; write {key}: {shown}" if shown else ""


@cache
def _examples() -> dict[str, str]:
    """The first example of every key of the schema, as YAML in one line.

    A key of a mapping that stands under one key goes by that, too: front.url is not the url of a target.
    """
    schema = json_schema()
    named = schema["$defs"]
    rules = [(key, rule) for shape in (*named.values(), schema) for key, rule in shape.get("properties", {}).items()]
    under = {key: names[0] for key, rule in rules if len(names := _shapes(rule)) == 1}
    others = {entry.__name__ for entry in [*KINDS.values()][1:]}  # the first kind of upstream is the example
    # of two with a key, the last is the example
    order = sorted(named, key=lambda name: (name not in under.values(), name not in others))
    shapes = [*(named[name] for name in order), schema]
    keys = {key: rule for shape in shapes for key, rule in shape.get("properties", {}).items()}
    keys |= {
        f"{top}.{key}": rule for top, name in under.items() for key, rule in named[name].get("properties", {}).items()
    }
    return {key: _flow(rule["examples"][0]) for key, rule in keys.items() if "examples" in rule}


def _shapes(rule: Mapping[str, Any]) -> list[str]:
    """The names of the mappings that may stand under a key, or be one of several things in its list."""
    choices = [rule, *rule.get("items", {}).get("anyOf", ())]
    return [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]


def _flow(value: Any) -> str:
    """YAML's flow style, without the quotes that it does not need."""
    if isinstance(value, str):
        return f'"{value}"' if " * " in value else value
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r'"([A-Za-z/.][A-Za-z0-9/._\-]*|[0-9]+[a-z])"', r"\1", text)
