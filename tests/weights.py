"""Files of weights without a weight: headers alone, as libraries write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any


def safetensors_file(tensors: Mapping[str, tuple[Any, list[Any]]]) -> bytes:
    """Of names with types and shapes; no weight is in it, so that all of them lie at its beginning."""
    said = {name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **said}).encode()
    return struct.pack("<Q", len(header)) + header


def gguf_header(tensors: Mapping[str, tuple[int, list[int]]], facts: Mapping[str, Any]) -> bytes:
    """Version 3: texts, lists of texts and of numbers, and numbers; `tensors` with their types and shapes."""

    def text(said: str) -> bytes:
        return struct.pack("<Q", len(said.encode())) + said.encode()

    def value(said: Any) -> bytes:
        if isinstance(said, str):
            return struct.pack("<I", 8) + text(said)
        if isinstance(said, list) and isinstance(said[0], str):
            return struct.pack("<IIQ", 9, 8, len(said)) + b"".join(map(text, said))
        if isinstance(said, list):
            return struct.pack("<IIQ", 9, 6, len(said)) + struct.pack(f"<{len(said)}f", *said)
        return struct.pack("<If", 6, said)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    known = b"".join(text(name) + value(said) for name, said in facts.items())
    return (
        head
        + known
        + b"".join(
            text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)
            for name, (kind, shape) in tensors.items()
        )
    )


_WIDTHS = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2}


def filled_safetensors(tensors: Mapping[str, tuple[str, list[int]]]) -> bytes:
    """With its weights, all of them zeros."""
    said, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = at + prod(shape) * _WIDTHS[dtype]
        said[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    header = json.dumps(said).encode()
    return struct.pack("<Q", len(header)) + header + bytes(at)
