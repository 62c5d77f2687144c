"""Models as files of weights make them: one file, or shards, of which an index may say which tensor is in which.

What libraries write beside shards (`save_torch_state_dict` of huggingface_hub 1.x, serialization/_torch.py) is
`model.safetensors.index.json`; of a variant `model.safetensors.index.fp16.json` or `model.safetensors.fp16.index.json`:

    {"metadata": {"total_size": 16381470720}, "weight_map": {"lm_head.weight": "model-00004-of-00004.safetensors", ...}}

`total_size` is in bytes; files are named beside the index. What the headers of the shards say counts, and an index is
compared with it: a total in which a tensor may be missing, or twice, is none.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mirror_sync.domain.formats.ranges import Unclear
from mirror_sync.domain.formats.tensor_headers import FIRST_SHOWN, Tensor, TensorFile, name_number

LONGEST_INDEX = 12 * 1024 * 1024  # bytes: that of a model of 91,000 tensors in 163 shards has 9 million
_MOST_TENSORS, _MOST_SHARDS = 262_144, 4_096  # of an index
_MOST_MAPPINGS = 64  # JSON objects and lists of an index: an honest one has three
_VARIANT = r"(?:\.[\w-]+)?"
_INDEX = re.compile(rf"([^/]+)\.safetensors({_VARIANT})\.index({_VARIANT})\.json", re.ASCII)
_SPLIT = re.compile(r"(?P<stem>.+)-[0-9]{5}-of-(?P<count>[0-9]{5})", re.IGNORECASE)
_PLAIN = re.compile(r"[^/\\\0]{1,255}")  # a name beside the index
_MAIN = ("model", "adapter_model", "diffusion_pytorch_model")  # as libraries call what they load first


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What an index says: of each file how many tensors it has, and the sum of the numbers of their names.

    `twice` is the first tensor that it names twice, empty for none; `size` its `total_size`, None where it has none.
    """

    files: tuple[tuple[str, int, int], ...] = ()
    size: int | None = None
    twice: str = ""

    def encode(self) -> bytes:
        """As JSON, for `decode`."""
        return json.dumps([self.files, self.size, self.twice]).encode()

    @classmethod
    def decode(cls, body: bytes) -> ShardIndex:
        """ValueError, TypeError for anything else."""
        files, size, twice = json.loads(body)
        known = tuple((str(name), int(count), int(names)) for name, count, names in files)
        return cls(known, None if size is None else int(size), str(twice))


class ShardState(StrEnum):
    """What is known of a shard."""

    READ = "read"
    OTHER = "other"  # it has other tensors than the index says
    UNREAD = "unread"  # it has no header that could be read
    MISSING = "missing"  # it is not among the files of the repo here
    UNSEEN = "unseen"  # it is not among those that were looked at


@dataclass(frozen=True, slots=True)
class WeightShard:
    """A file of a model in several, and what its header says; `path` as in the repo."""

    path: str
    state: ShardState
    tensors: int = 0
    parameters: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """One model: a file, or several. `files` were read of `parts`; `name` is its path without the numbers of a part.

    Of one in several: its `shards`, and the path of its `index`, empty where there is none; `read_index`: it could be
    read. `twice` is a tensor that the index names twice. `said` is how many bytes the index says its tensors have,
    where the headers say otherwise, which is `size`; else None.
    """

    name: str
    parts: int
    files: int
    tensors: int
    parameters: int
    dtypes: tuple[tuple[str, int], ...]
    first: tuple[Tensor, ...]
    shards: tuple[WeightShard, ...] = ()
    index: str = ""
    read_index: bool = True
    twice: str = ""
    size: int = 0
    said: int | None = None

    @property
    def whole(self) -> bool:
        """Whether all its parts are counted, and no tensor twice."""
        agreed = all(one.state is ShardState.READ for one in self.shards)
        return self.files == self.parts and agreed and not self.twice


def is_index(path: str) -> bool:
    """Whether a file says which tensor is in which shard, as its name tells."""
    return _INDEX.fullmatch(path.rpartition("/")[2]) is not None


def index_of(body: bytes) -> ShardIndex:
    """Of an index as it is stored. Unclear for what is none, or asks for more than is held of any."""
    if len(body) > LONGEST_INDEX or body.count(b"{") + body.count(b"[") > _MOST_MAPPINGS:
        raise Unclear("more than an index holds")
    if body.count(b":") > 2 * _MOST_TENSORS:
        raise Unclear("more tensors than an index names")
    try:
        known = json.loads(body, object_pairs_hook=_Pairs)
        return _index(dict(known))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unclear(f"no index of shards: {type(error).__name__}") from error


class _Pairs(list[tuple[str, Any]]):
    """The names and values of a JSON object, those too that stand there twice."""


def _index(known: Mapping[str, Any]) -> ShardIndex:
    counts, names, seen, twice = Counter[str](), Counter[str](), set[str](), ""
    mapped = known["weight_map"]
    if not (isinstance(mapped, _Pairs) and mapped):
        raise Unclear("no tensor is named")
    for tensor, file in mapped:
        if not (isinstance(file, str) and _PLAIN.fullmatch(file)) or file in (".", ".."):
            raise Unclear("a shard that is not beside its index")
        if tensor in seen:
            twice = twice or tensor
            continue
        seen.add(tensor)
        counts[file] += 1
        names[file] += name_number(tensor)
        if len(counts) > _MOST_SHARDS:
            raise Unclear("more shards than a model has")
    total = dict(known.get("metadata") or ()).get("total_size")
    size = int(total) if isinstance(total, int | float) and 0 <= total < 2**63 else None
    return ShardIndex(tuple((file, counts[file], names[file]) for file in sorted(counts)), size, _fit(twice))


def joined(
    files: Iterable[tuple[str, TensorFile | None]],
    indexes: Iterable[tuple[str, ShardIndex | None]] = (),
    *,
    all_seen: bool = True,
) -> tuple[Weights, ...]:
    """The models that files make, that which a library would load first at the head.

    None: it could not be read. `all_seen`: the repo has no other files, so that a shard which is not among these is
    nowhere.
    """
    read, told = dict(files), dict(indexes)
    found = [_by_index(path, index, read, all_seen=all_seen) for path, index in told.items() if index is not None]
    unread = {_name_of(path): path for path, index in told.items() if index is None}
    claimed = {shard.path for one in found for shard in one.shards}
    groups: dict[tuple[str, int], dict[str, TensorFile | None]] = {}
    for path in sorted(read.keys() - claimed):
        stem, _, suffix = path.rpartition(".")
        split = _SPLIT.fullmatch(stem)
        name, parts = (f"{split['stem']}.{suffix}", int(split["count"])) if split else (path, 1)
        groups.setdefault((name, parts), {})[path] = read[path]
    for (name, parts), known in groups.items():
        one = _by_name(name, parts, known)
        found.append(replace(one, index=_fit(unread[name]), read_index=False) if name in unread else one)
    return tuple(sorted(found, key=_rank))


def main_weights(found: Sequence[Weights]) -> Weights | None:
    """Those that stand for the repo; None where they are not known whole."""
    return found[0] if found and found[0].whole else None


def _name_of(path: str) -> str:
    """What a model is called whose index is there: as if it were in one file."""
    folder, slash, file = path.rpartition("/")
    shape = _INDEX.fullmatch(file)
    return f"{folder}{slash}{file if shape is None else f'{shape[1]}{shape[2]}{shape[3]}.safetensors'}"


def _by_index(path: str, index: ShardIndex, read: Mapping[str, TensorFile | None], *, all_seen: bool) -> Weights:
    folder, slash, _ = path.rpartition("/")
    absent = ShardState.MISSING if all_seen else ShardState.UNSEEN
    shards: list[WeightShard] = []
    known: list[TensorFile] = []
    for name, tensors, names in index.files:
        at = f"{folder}{slash}{name}"
        header = read.get(at)
        if header is None:
            shards.append(WeightShard(at, ShardState.UNREAD if at in read else absent))
            continue
        known.append(header)
        same = (header.tensors, header.names) == (tensors, names)
        shards.append(WeightShard(at, ShardState.READ if same else ShardState.OTHER, header.tensors, header.parameters))
    made = replace(_summed(_name_of(path), len(shards), known), shards=tuple(shards), index=_fit(path))
    differs = made.files == made.parts and index.size not in (None, made.size)
    return replace(made, twice=index.twice, said=index.size if differs else None)


def _by_name(name: str, parts: int, known: Mapping[str, TensorFile | None]) -> Weights:
    made = _summed(name, parts, [one for one in known.values() if one is not None])
    if parts == 1:
        return made
    found = ((path, one or TensorFile(), ShardState.READ if one else ShardState.UNREAD) for path, one in known.items())
    return replace(
        made, shards=tuple(WeightShard(path, state, one.tensors, one.parameters) for path, one, state in found)
    )


def _summed(name: str, parts: int, read: Sequence[TensorFile]) -> Weights:
    dtypes: Counter[str] = Counter()
    for one in read:
        dtypes.update(dict(one.dtypes))
    return Weights(
        _fit(name),
        parts,
        len(read),
        sum(one.tensors for one in read),
        sum(one.parameters for one in read),
        tuple(dtypes.most_common()),
        tuple(tensor for one in read for tensor in one.first)[:FIRST_SHOWN],
        size=sum(one.size for one in read),
    )


def _rank(one: Weights) -> tuple[bool, int, int, int, str]:
    folder, _, file = one.name.rpartition("/")
    stem = file.rpartition(".")[0]
    return (
        not one.files and any(shard.state is not ShardState.UNREAD for shard in one.shards),  # nothing of it is here
        folder.count("/") + bool(folder),
        _MAIN.index(stem) if stem in _MAIN else len(_MAIN),
        -one.parameters,
        one.name,
    )


def _fit(text: str) -> str:
    """Without the half characters that JSON can name, and no page can hold."""
    return text[:512].encode(errors="replace").decode()
