"""A model in shards is one: by its index where it has one, with no figure where a tensor may lack or be twice."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.formats.ranges import Unclear
from mirror_sync.domain.formats.tensor_headers import TensorFile, tensors_of
from mirror_sync.domain.formats.weights import (
    ShardIndex,
    ShardState,
    Weights,
    index_of,
    is_index,
    joined,
    main_weights,
)
from tests.weights import filled_safetensors

INDEX = "model.safetensors.index.json"
SHARDS = {
    "model-00001-of-00002.safetensors": {"wte": ("BF16", [8, 4]), "h.0": ("F32", [4])},
    "model-00002-of-00002.safetensors": {"h.1": ("BF16", [4, 4])},
}
MAP = {tensor: name for name, tensors in SHARDS.items() for tensor in tensors}
BYTES = 8 * 4 * 2 + 4 * 4 + 4 * 4 * 2


def headers(shards: Mapping[str, Mapping[str, tuple[str, list[int]]]], folder: str = "") -> dict[str, TensorFile]:
    def header(tensors: Mapping[str, tuple[str, list[int]]]) -> TensorFile:
        body = filled_safetensors(tensors)
        return tensors_of("a.safetensors", len(body), lambda start, length: body[start : start + length])

    return {folder + name: header(tensors) for name, tensors in shards.items()}


def index(names: Mapping[str, str], total: object = BYTES) -> ShardIndex:
    found = index_of(json.dumps({"metadata": {"total_size": total}, "weight_map": names}).encode())
    assert ShardIndex.decode(found.encode()) == found
    return found


def only(files: Mapping[str, TensorFile | None], known: ShardIndex | None, *, all_seen: bool = True) -> Weights:
    [found] = joined(files.items(), [(INDEX, known)], all_seen=all_seen)
    return found


def states(found: Weights) -> list[ShardState]:
    return [one.state for one in found.shards]


def test_an_index_and_its_shards_are_one_model() -> None:
    found = only(headers(SHARDS), index(MAP))
    assert (found.name, found.index, found.parts, found.tensors) == ("model.safetensors", INDEX, 2, 3)
    assert (found.parameters, found.size, found.said, found.twice) == (8 * 4 + 4 + 16, BYTES, None, "")
    assert [(one.path, one.tensors, one.parameters) for one in found.shards] == [
        ("model-00001-of-00002.safetensors", 2, 36),
        ("model-00002-of-00002.safetensors", 1, 16),
    ]
    assert main_weights([found]) == found


def test_a_shard_that_an_index_names_and_that_is_not_here_is_said_and_leaves_no_figure() -> None:
    files = headers(SHARDS)
    del files["model-00002-of-00002.safetensors"]
    assert states(only(files, index(MAP))) == [ShardState.READ, ShardState.MISSING]
    assert not only(files, index(MAP)).whole
    # of the first files of very many it is not known
    assert states(only(files, index(MAP), all_seen=False)) == [ShardState.READ, ShardState.UNSEEN]
    unread = {**files, "model-00002-of-00002.safetensors": None}
    assert states(only(unread, index(MAP))) == [ShardState.READ, ShardState.UNREAD]


def test_a_tensor_that_is_in_two_shards_or_in_another_than_the_index_says_leaves_no_figure() -> None:
    doubled = {**SHARDS, "model-00002-of-00002.safetensors": {"h.1": ("BF16", [4, 4]), "wte": ("BF16", [8, 4])}}
    found = only(headers(doubled), index(MAP))
    assert (states(found), found.whole) == ([ShardState.READ, ShardState.OTHER], False)
    swapped = {**MAP, "h.0": "model-00002-of-00002.safetensors", "h.1": "model-00001-of-00002.safetensors"}
    assert states(only(headers(SHARDS), index(swapped))) == [ShardState.OTHER, ShardState.OTHER]


def test_a_tensor_that_an_index_names_twice_is_named() -> None:
    body = json.dumps({"weight_map": MAP})[:-2] + ', "wte": "model-00002-of-00002.safetensors"' + "}}"
    found = only(headers(SHARDS), index_of(body.encode()))
    assert (found.twice, found.whole) == ("wte", False)


def test_a_sum_that_differs_is_said_beside_the_figure_of_the_files() -> None:
    found = only(headers(SHARDS), index(MAP, total=BYTES + 4))
    assert (found.said, found.size, found.whole) == (BYTES + 4, BYTES, True)
    assert only(headers(SHARDS), index(MAP, total="many")).said is None


def test_an_index_says_which_files_are_meant_and_the_others_stand_beside() -> None:
    """As where a model was uploaded anew in other parts, and the old ones stayed."""
    old = headers({"model-00001-of-00003.safetensors": {"wte": ("F32", [2])}})
    first, second = joined({**headers(SHARDS), **old}.items(), [(INDEX, index(MAP))])
    assert (first.parts, first.whole, second.parts, second.whole) == (2, True, 3, False)
    within = joined(headers(SHARDS, "unet/").items(), [("unet/" + INDEX, index(MAP))])
    assert [(one.name, one.whole) for one in within] == [("unet/model.safetensors", True)]


def test_an_index_that_cannot_be_read_is_said_and_the_names_of_files_tell() -> None:
    found = only(headers(SHARDS), None)
    assert (found.index, found.read_index, found.whole, found.parts) == (INDEX, False, True, 2)


def test_what_is_here_comes_before_a_model_of_which_nothing_is() -> None:
    files = headers({"small.safetensors": {"w": ("F16", [2])}})
    found = joined(files.items(), [(INDEX, index(MAP))])
    assert [one.name for one in found] == ["small.safetensors", "model.safetensors"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (INDEX, True), ("a/b.safetensors.index.json", True), ("model.safetensors.index.fp16.json", True),
        ("model.safetensors.fp16.index.json", True), ("pytorch_model.bin.index.json", False), ("index.json", False),
    ],
)  # fmt: skip
def test_an_index_is_known_by_its_name(path: str, known: bool) -> None:
    assert is_index(path) is known


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"weight_map": []}', b'{"weight_map": {"a": 1}}', b'{"weight_map": {"a": "../b"}}',
        b'{"weight_map": {"a": "/b"}}', b'{"weight_map": {"a": ".."}}', b'{"weight_map": "a"}', b"[" * 100_000,
        b'{"weight_map": {' + b'"a":{},' * 100 + b'"a":{}}}', b" " * (13 << 20),
    ],
)  # fmt: skip
def test_what_is_no_index_is_unclear(body: bytes) -> None:
    with pytest.raises(Unclear):
        index_of(body)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_bytes_are_they_are_an_index_or_unclear(body: bytes) -> None:
    for begun in (body, b'{"weight_map": ' + body + b"}"):
        try:
            index_of(begun)
        except Unclear:
            continue
