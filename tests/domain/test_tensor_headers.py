"""What the header of a file of weights says is told, or it is told that nobody knows: never a figure that is wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.formats.ranges import Unclear
from mirror_sync.domain.formats.tensor_headers import (
    FIRST_SHOWN,
    MOST_BYTES,
    Tensor,
    TensorFile,
    tensors_of,
)
from mirror_sync.domain.formats.weights import joined, main_weights
from tests.weights import gguf_header, safetensors_file

NAMED = {"wte": ("BF16", [50_257, 768]), "ln.weight": ("F32", [768]), "scalar": ("I64", [])}


def found(path: str, body: bytes, size: int | None = None) -> tuple[TensorFile, list[int]]:
    """What is found, and how many bytes each read took."""
    reads: list[int] = []

    def read(start: int, length: int) -> bytes:
        reads.append(length)
        return body[start : start + length].ljust(length, b"\0")

    return tensors_of(path, size or len(body), read), reads


def test_safetensors_tells_its_tensors_in_one_read_of_its_head() -> None:
    body = safetensors_file(NAMED)
    known, reads = found("model.safetensors", body)
    assert (known.tensors, known.parameters) == (3, 50_257 * 768 + 768 + 1)
    assert known.dtypes == (("BF16", 50_257 * 768), ("F32", 768), ("I64", 1))
    assert known.first[0] == Tensor("wte", "BF16", (50_257, 768))
    assert len(reads) == 1
    assert TensorFile.decode(known.encode()) == known


def test_a_gguf_tells_its_tensors_behind_a_vocabulary_that_is_passed_over() -> None:
    words = [f"token-{number}" for number in range(150_000)]
    tensors = {"token_embd.weight": (30, [4096, 1000]), "blk.0.ffn.weight": (12, [4096, 100])}
    body = gguf_header(tensors, {"general.name": "m", "tokens": words, "scores": [0.5] * 1000, "rope": 1.5})
    known, reads = found("m-Q4_K_M.gguf", body, size=10**9)
    assert (known.tensors, known.parameters) == (2, 4096 * 1100)
    assert dict(known.dtypes) == {"BF16": 4_096_000, "Q4_K": 409_600}
    assert sum(reads) <= MOST_BYTES[0]
    assert len(reads) <= 8


def test_of_very_many_tensors_the_first_are_named_and_all_are_counted() -> None:
    known, _ = found("m.safetensors", safetensors_file({f"w{number}": ("F16", [2, 2]) for number in range(5000)}))
    assert (known.tensors, known.parameters, len(known.first)) == (5000, 20_000, FIRST_SHOWN)


MANY = b'{"__metadata__":{"many":[' + b"0," * 600_000 + b"0]}}"
HOSTILE = {
    "a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "a header of 90 MB": struct.pack("<Q", 90 << 20) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"nope",
    "a list": struct.pack("<Q", 2) + b"[]",
    "nested": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "no type": safetensors_file({"w": (None, [1])}),
    "a type that is markup": safetensors_file({"w": ("<B>", [1])}),
    "a size below nothing": safetensors_file({"w": ("F16", [-1])}),
    "a size that is no number": safetensors_file({"w": ("F16", ["1"])}),
    "true is no size": safetensors_file({"w": ("F16", [True])}),
    "more than there can be": safetensors_file({"w": ("F16", [1 << 40, 1 << 40])}),
    "too many dimensions": safetensors_file({"w": ("F16", [1] * 17)}),
    "too many tensors": safetensors_file({f"{number:x}": ("F16", [1]) for number in range(66_000)}),
    "more values than tensors have": struct.pack("<Q", len(MANY)) + MANY,
    "empty": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_header_of_safetensors_is_none(body: bytes) -> None:
    with pytest.raises(Unclear):
        found("m.safetensors", body)


def test_a_tensor_that_lies_outside_of_its_file_makes_no_header() -> None:
    header = json.dumps({"w": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    with pytest.raises(Unclear):
        found("m.safetensors", struct.pack("<Q", len(header)) + header)


GGUF = {
    "another version": b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "very many tensors": b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),
    "very many facts": b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60),
    "a name without end": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62),
    "an endless list": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 1 << 40),
    "a list beyond the file": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 4, 1 << 40),
    "lists of lists": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),
    "an unknown kind": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 99),
    "many dimensions": b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 1) + b"k" + struct.pack("<I", 1 << 31),
}


@pytest.mark.parametrize("body", GGUF.values(), ids=GGUF)
def test_a_hostile_header_of_gguf_is_none_and_costs_no_more_than_its_bound(body: bytes) -> None:
    with pytest.raises(Unclear):
        found("m.gguf", body, size=1 << 30)


@given(st.binary(max_size=300), st.sampled_from(["m.gguf", "m.safetensors"]))
def test_whatever_the_bytes_are_they_are_read_or_unclear(body: bytes, path: str) -> None:
    for begun in (body, b"GGUF\x03\0\0\0" + body, struct.pack("<Q", len(body)) + body):
        try:
            found(path, begun)
        except Unclear:
            continue


def test_what_cannot_be_read_is_raised_and_no_fault_of_the_file() -> None:
    def read(start: int, length: int) -> bytes:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        tensors_of("m.safetensors", 100, read)


def test_parts_are_one_model_and_one_that_lacks_some_has_no_figure() -> None:
    part = TensorFile(2, 10, (("BF16", 10),))
    files: Mapping[str, TensorFile | None] = {
        "model-00001-of-00002.safetensors": part,
        "model-00002-of-00002.safetensors": part,
        "vae/model.safetensors": TensorFile(1, 10**9, (("F32", 10**9),)),
    }
    main, beside = joined(files.items())
    assert (main.name, main.parameters, main.tensors, main.whole) == ("model.safetensors", 20, 4, True)
    assert beside.name == "vae/model.safetensors"
    assert main_weights((main, beside)) == main
    assert main_weights(joined([("model-00001-of-00002.safetensors", part)])) is None
    assert main_weights(joined([("model.safetensors", None)])) is None
