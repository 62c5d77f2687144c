"""The JSON Schema of jobs.yaml, for editors that complete and check while one writes."""

from __future__ import annotations

from functools import cache
from typing import Any

from mirror_sync.config.keys.model import File


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) as plain values; it holds nothing of any file."""
    schema = _as_written(File.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mirror-sync jobs.yaml"}


@cache
def keys() -> frozenset[str]:
    """All keys that the format knows, wherever they stand; names of upstreams and targets are none."""
    schema = json_schema()
    shapes = (schema, *schema["$defs"].values())
    return frozenset(key for shape in shapes for key in shape.get("properties", ()))


def _as_written(node: Any) -> Any:
    """What differs between the models and a file: a key that is left out is None there, and never null here."""
    if isinstance(node, list):
        return [_as_written(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _as_written(value) for key, value in node.items() if not (key == "default" and value is None)}
    choices = kept.pop("anyOf", None) or kept.pop("oneOf", None)  # {url: ...} alone fits two kinds of target
    if choices is None:
        return kept
    return {**choices[0], **kept} if len(choices) == 1 else {**kept, "anyOf": choices}
