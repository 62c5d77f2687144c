"""YAML with places: a file as plain values, and for every key and value the line and column where it stands.

Scalars follow YAML 1.2's core schema in its simplest form (`on`, `no`, `12:30` and dates are text). Anchors and aliases
work; tags and merge keys are refused. What one file can unfold to is bounded, so that aliases cannot fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from mirror_sync.config.files import MISSING, read_text
from mirror_sync.config.findings import Findings, Place, Trail, quoted
from mirror_sync.errors import ConfigError, Fault

_MAX_NODES = 200_000
_MAX_DEPTH = 32
_CORE = "tag:yaml.org,2002:"
_UNFIT = re.compile("[\0\ud800-\udfff]")  # an escape can name what no text may hold


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain values; `keys` and `values` say where each stands. `faults` did not stop the reading."""

    file: str
    value: object
    keys: Mapping[Trail, Place]
    values: Mapping[Trail, Place]
    faults: Findings


def read(path: Path) -> Document:
    """Read and unfold a YAML file. ConfigError, with one fault, when there is nothing to go on with."""
    try:
        text = read_text(path)
    except ValueError as error:
        hint = "; name it with -c FILE, or in $MIRROR_SYNC_CONFIG" if str(error) == MISSING else ""
        raise _alone(path, f"{error}{hint}") from None
    node, tags = _compose(path, text)
    if not isinstance(node, MappingNode):
        found = "empty" if node is None or (isinstance(node, ScalarNode) and not node.value) else "no mapping"
        raise _alone(path, f"the file is {found}; write keys at the left margin, beginning with version: 1")
    return _Walk(str(path), tags).document(node)


def _alone(path: Path, message: str, line: int = 1, column: int = 1) -> ConfigError:
    return ConfigError((Fault(str(path), line, column, "", message),))


def _compose(path: Path, text: str) -> tuple[Node | None, list[Place]]:
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node(), loader.tags
    except yaml.MarkedYAMLError as error:
        began = any(words in (error.problem or "") for words in _FAR_FROM_ITS_CAUSE)
        mark = (error.context_mark if began else None) or error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _alone(path, _plainly(error.problem or ""), line, column) from None
    except yaml.reader.ReaderError as error:
        place = _place_of(text, error.position)
        raise _alone(path, f"the character #x{ord(text[error.position]):04x} is not allowed in YAML", *place) from None
    except RecursionError:
        raise _alone(path, f"the file is nested deeper than {_MAX_DEPTH} levels") from None
    except (ValueError, OverflowError):  # an escape or a directive with a figure beyond all bounds
        line, column = (loader.line + 1, loader.column + 1) if loader else (1, 1)
        raise _alone(path, "an escape or directive here names no character", line, column) from None


def _place_of(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


_FAR_FROM_ITS_CAUSE = ("could not find expected ':'", "unexpected end of stream")  # noticed lines after it began
_PLAIN_WORDS = (
    (r"character '\\t'", "a tab cannot indent in YAML; use spaces"),
    (r"character '.*' that cannot start", "this character cannot begin a value; put the value in quotes"),
    (r"mapping values are not allowed", "a second ': ' in one line; put the value in quotes, or begin a new line"),
    (r"could not find expected ':'", "a key without ': ' after it"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (
        r"expected ',' or '[\]}]'",
        "brackets that are not closed, or lack a comma; between brackets, put ${NAME} in quotes",
    ),
    (r"end of stream", "the file ends inside a quoted value"),
    (r"undefined alias", "no anchor (&name) of this name stands above; put a value that begins with * in quotes"),
    (r"another document", "the file holds a second document; remove the line ---"),
    (r"duplicate anchor|second occurrence", "this anchor (&name) stands already above"),
)


def _plainly(problem: str) -> str:
    """A parser's words in plain ones. What it quotes may be part of a secret, and is left out."""
    for pattern, words in _PLAIN_WORDS:
        if re.search(pattern, problem):
            return words
    return "this is no YAML: " + re.sub(r"'[^']*'", "something", problem)


class _Resolver(BaseResolver):
    """Scalars that are not text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  how PyYAML keeps them: one table a class


_Resolver.add_implicit_resolver(f"{_CORE}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Resolver.add_implicit_resolver(f"{_CORE}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Resolver.add_implicit_resolver(f"{_CORE}int", re.compile(r"[-+]?[0-9]{1,18}$"), list("-+0123456789"))
_Resolver.add_implicit_resolver(f"{_CORE}float", re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}$"), list("-+0123456789"))


class _Loader(Reader, Scanner, Parser, Composer, _Resolver):
    """PyYAML up to its tree of nodes, which notes the tags it meets: afterwards they look like resolved ones."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self.tags: list[Place] = []

    def compose_node(self, parent: Node | None, index: object) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        if getattr(event, "tag", None) is not None:
            self.tags.append(Place(event.start_mark.line + 1, event.start_mark.column + 1))
        return super().compose_node(parent, index)  # type: ignore[arg-type]  # the stubs know no sequence's index


@dataclass
class _Walk:
    """From nodes to plain values; every value an alias repeats is built anew, with its own trail."""

    file: str
    tags: list[Place]
    keys: dict[Trail, Place] = field(default_factory=dict)
    values: dict[Trail, Place] = field(default_factory=dict)
    faults: Findings = field(default_factory=Findings)

    def document(self, node: MappingNode) -> Document:
        for place in self.tags:
            self.faults.add((), "tags (!name) are not read here; remove it, or put the whole value in quotes", place)
        value = self._value(node, ())
        return Document(self.file, value, self.keys, self.values, self.faults)

    def _value(self, node: Node, trail: Trail) -> object:
        self.values[trail] = Place.of(node)
        self._stay_bounded(node, trail)
        if isinstance(node, MappingNode):
            return {key: self._value(child, (*trail, key)) for key, child in self._entries(node, trail)}
        if isinstance(node, SequenceNode):
            return [self._value(child, (*trail, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, trail)

    def _stay_bounded(self, node: Node, trail: Trail) -> None:
        place = Place.of(node)
        if len(trail) > _MAX_DEPTH:
            message = f"the file is nested deeper than {_MAX_DEPTH} levels, or an alias contains itself"
            raise _alone(Path(self.file), message, place.line, place.column)
        if len(self.values) > _MAX_NODES:
            message = f"the file unfolds to more than {_MAX_NODES:,} values; use fewer aliases"
            raise _alone(Path(self.file), message, place.line, place.column)

    def _entries(self, node: MappingNode, trail: Trail) -> Iterator[tuple[str, Node]]:
        """The sound entries of a mapping; the others are faults."""
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place, key = Place.of(key_node), self._key(key_node, trail)
            if key is None:
                continue
            if key in seen:
                first = seen[key]
                self.faults.add((*trail, key), f"the key stands already in line {first.line}; keep one of them", place)
                continue
            seen[key] = place
            self.keys[(*trail, key)] = place
            yield key, value_node

    def _key(self, node: Node, trail: Trail) -> str | None:
        place = Place.of(node)
        if not isinstance(node, ScalarNode):
            self.faults.add(trail, "a key must be text; a list or mapping stands here", place)
        elif node.tag != f"{_CORE}str":
            self.faults.add(trail, f"a key must be text; put {quoted(node.value)} in quotes", place)
        elif _UNFIT.search(node.value):
            self.faults.add(trail, "a key holds a character that no text may hold", place)
        elif node.value == "<<" and node.style is None:
            self.faults.add(trail, "merge keys (<<) are not read here; put common keys under defaults", place)
        else:
            return str(node.value)
        return None

    def _scalar(self, node: Node, trail: Trail) -> object:
        text = str(node.value)
        match node.tag.removeprefix(_CORE):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
        if _UNFIT.search(text):
            self.faults.add(trail, "the text holds a character that no text may hold")
        return text
