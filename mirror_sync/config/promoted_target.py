"""Lets a target and one of its replicas change places in jobs.yaml, in place: comments and all else stay.

What says where something lies (url, keys, grace) moves; what is said of a replica (hours, alerts) stays where replicas
are. The target gets the replica's name, and the replica the target's, so that a name stands for the same place as
before; jobs that name the target follow, and so does `ha`. `front`, where readers find one of the places, is left out.
What comes out is read again: it must say exactly that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mirror_sync.config.edited_files import alone_at, replace_file
from mirror_sync.config.keys.place_keys import BucketPlace, FolderPlace
from mirror_sync.errors import UsageError

_PLACE = frozenset(FolderPlace.model_fields) | frozenset(BucketPlace.model_fields)
_LEFT = "front"
_NAMING = ("defaults", "ha")  # beside jobs
_UNSAFE = frozenset(",[]{}#&*!|>'\"%@`")  # in a plain value that comes to stand in brackets

Pairs = Mapping[str, tuple[ScalarNode, Node]]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def promote_in_file(path: Path, target: str, replica: str) -> None:
    """Write the file anew; owner and mode stay. UsageError, with what to do, where it cannot be; OSError."""
    path = path.resolve()
    with alone_at(path):
        text = path.read_bytes().decode()
        replace_file(path, promoted(path, text, target, replica).encode())


def expect_promotable(path: Path, target: str, replica: str) -> None:
    """UsageError where `promote_in_file` could not write it anew; OSError."""
    promoted(path, path.read_bytes().decode(), target, replica)


def promoted(path: Path, text: str, target: str, replica: str) -> str:
    """The text in which they have changed places. UsageError where it is written in a way that cannot be changed."""
    wanted = _swapped(path, yaml.load(text, Loader=yaml.BaseLoader), target, replica)  # noqa: S506  it makes text alone
    made = text
    try:
        for edit in sorted(_edits(text, target, replica), reverse=True):
            made = made[: edit.start] + edit.text + made[edit.end :]
        if yaml.load(made, Loader=yaml.BaseLoader) == wanted:  # noqa: S506
            return made
    except (yaml.YAMLError, KeyError, AttributeError, TypeError):
        pass
    raise UsageError(
        f"{path} is written in a way that cannot be changed by a command: let {target} and {replica} change places "
        "under targets by hand, and their names in jobs"
    )


def _swapped(path: Path, tree: Any, target: str, replica: str) -> Any:
    """The same as plain values."""
    entry = tree["targets"][target]
    index = next(at for at, one in enumerate(entry["replicas"]) if one["name"] == replica)
    if replica in tree["targets"]:
        raise UsageError(f"{path}: there is a target {replica} already: rename it, or the replica")
    if any(one["name"] == target for one in entry["replicas"]):
        raise UsageError(f"{path}: target {target} has a replica of its own name: rename it")
    other = entry["replicas"][index]
    cold = entry["tiers"]["cold"] if "tiers" in entry else {}
    if "class" in cold and not other["url"].startswith("s3:"):
        raise UsageError(
            f"{path}: tiers of target {target} name a class of storage, which the folder of {replica} has not: thaw "
            "what is cold, and remove tiers first"
        )
    above = {key: value for key, value in entry.items() if key not in _PLACE} | _placed(other)
    stays = {key: value for key, value in other.items() if key not in _PLACE and key != _LEFT}
    below = stays | {"name": target} | _placed(entry)
    above["replicas"] = [below if at == index else one for at, one in enumerate(entry["replicas"])]
    targets = {
        replica if name == target else name: above if name == target else one for name, one in tree["targets"].items()
    }
    found = {**tree, "targets": targets}
    if isinstance(tree.get("jobs"), list):
        found["jobs"] = [_following(job, target, replica) for job in tree["jobs"]]
    found |= {key: _following(tree[key], target, replica) for key in _NAMING if key in tree}
    return found


def _placed(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key in _PLACE}


def _following(entry: Any, target: str, replica: str) -> Any:
    return {**entry, "target": replica} if isinstance(entry, dict) and entry.get("target") == target else entry


def _edits(text: str, target: str, replica: str) -> Iterator[_Edit]:
    top = _pairs(yaml.compose(text, Loader=yaml.BaseLoader))
    name, entry = _pairs(top["targets"][1])[target]
    mine = _pairs(entry)
    others = mine["replicas"][1]
    assert isinstance(others, SequenceNode)  # noqa: S101  for the type checker: it was read before
    other = next(one for one in others.value if _pairs(one)["name"][1].value == replica)
    theirs = _pairs(other)
    yield _Edit(*_span(name), _raw(text, theirs["name"][1]))
    yield _Edit(*_span(theirs["name"][1]), _raw(text, name))
    if _LEFT in theirs:
        yield _left_out(text, theirs, _mapping(other))
    yield from _tails_cut((mine, _mapping(entry)), theirs)
    yield from _tails_cut((theirs, _mapping(other)), mine)
    for key in sorted(_PLACE & (mine.keys() | theirs.keys())):
        if key in mine and key in theirs:
            yield _Edit(*_span(mine[key][1]), _value(text, theirs[key][1], _mapping(entry)))
            yield _Edit(*_span(theirs[key][1]), _value(text, mine[key][1], _mapping(other)))
        elif key in mine:
            yield from _moved(text, key, (mine, _mapping(entry)), (theirs, _mapping(other)))
        else:
            yield from _moved(text, key, (theirs, _mapping(other)), (mine, _mapping(entry)))
    for node in (*_jobs(top), *(_pairs(top[key][1]) for key in _NAMING if isinstance(_node(top, key), MappingNode))):
        if "target" in node and node["target"][1].value == target:
            yield _Edit(*_span(node["target"][1]), replica)


def _node(top: Pairs, key: str) -> Node | None:
    return top[key][1] if key in top else None


def _jobs(top: Pairs) -> Iterator[Pairs]:
    jobs = top["jobs"][1] if "jobs" in top else None
    if isinstance(jobs, SequenceNode):
        yield from (_pairs(one) for one in jobs.value if isinstance(one, MappingNode))


def _moved(text: str, key: str, of: tuple[Pairs, MappingNode], to: tuple[Pairs, MappingNode]) -> Iterator[_Edit]:
    pairs, node = of
    at, value = pairs[key]
    if not node.flow_style:
        yield _without(text, at, value)
    elif key not in _tail(pairs, to[0]):
        yield _Edit(at.start_mark.index, _after(pairs, key), "")
    pairs, node = to
    beside, before = pairs["url"]
    said = f"{key}: {_value(text, value, node)}"
    if node.flow_style:
        yield _Edit(before.end_mark.index, before.end_mark.index, f", {said}")
    else:
        end = _line_end(text, before.end_mark.index)
        yield _Edit(end, end, f"\n{' ' * beside.start_mark.column}{said}")


def _tail(pairs: Pairs, others: Pairs) -> list[str]:
    """The last pairs of a mapping, as far as they leave it."""
    return list(takewhile(lambda key: key in _PLACE and key not in others, reversed(list(pairs))))


def _tails_cut(of: tuple[Pairs, MappingNode], others: Pairs) -> Iterator[_Edit]:
    """In brackets, what leaves at the end goes with the comma before it."""
    pairs, node = of
    if node.flow_style and (gone := _tail(pairs, others)):
        stays = next(key for key in reversed(list(pairs)) if key not in gone)
        yield _Edit(pairs[stays][1].end_mark.index, pairs[gone[0]][1].end_mark.index, "")


def _left_out(text: str, pairs: Pairs, node: MappingNode) -> _Edit:
    key, value = pairs[_LEFT]
    if not node.flow_style:
        return _without(text, key, value)
    names = list(pairs)
    if names[0] == _LEFT:
        return _Edit(key.start_mark.index, _after(pairs, _LEFT), "")
    return _Edit(pairs[names[names.index(_LEFT) - 1]][1].end_mark.index, value.end_mark.index, "")


def _after(pairs: Pairs, key: str) -> int:
    """Where the next pair of a mapping in brackets begins."""
    names = list(pairs)
    return int(pairs[names[names.index(key) + 1]][0].start_mark.index)


def _without(text: str, key: ScalarNode, value: Node) -> _Edit:
    """A pair taken out, with its line; a comment beside it stays."""
    start, end = key.start_mark.index, value.end_mark.index
    comment = text[end : _line_end(text, end)].strip()
    if comment:
        return _Edit(start, _line_end(text, end), comment)
    begin = text.rfind("\n", 0, start)
    if text[begin + 1 : start].strip():  # behind a dash: what follows comes up to it
        return _Edit(start, start, "")
    return _Edit(max(begin, 0), _line_end(text, end), "")


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - (text[end - 1 : end] == "\r")


def _pairs(node: Node | None) -> Pairs:
    return {key.value: (key, value) for key, value in _mapping(node).value}


def _mapping(node: Node | None) -> MappingNode:
    if not isinstance(node, MappingNode):
        raise TypeError("no mapping")
    return node


def _span(node: Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _raw(text: str, node: Node) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _value(text: str, node: Node, within: MappingNode) -> str:
    """As it is written; in quotes where it comes to stand in brackets and could not be read there."""
    raw = _raw(text, node)
    plain = isinstance(node, ScalarNode) and node.style is None
    return json.dumps(node.value, ensure_ascii=False) if plain and within.flow_style and _UNSAFE & set(raw) else raw
