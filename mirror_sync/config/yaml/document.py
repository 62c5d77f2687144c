"""YAML with places: a file as plain values, and for every key and value the line and column where it stands.

Scalars follow YAML 1.2's core schema in its simplest form (`on`, `no`, `12:30` and dates are text). Anchors and aliases
work; tags and merge keys are refused. What one file can unfold to is bounded, so that aliases cannot fill the memory.

A file that has none of these, and no fault, is read by libyaml where PyYAML was built with it, in a tenth of the time.
Of all others PyYAML's own parser knows more to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.error import Mark
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from mirror_sync.config.findings import FilePosition, Findings, Trail, quoted
from mirror_sync.config.yaml.text_file import MISSING, read_text
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import ConfigError, Fault

_MAX_NODES = 200_000
_MAX_DEPTH = 32
_CORE = "tag:yaml.org,2002:"
_NO_TAGS = "tags (!!name) are not read here; remove it, or put the whole value in quotes"
_UNFIT = re.compile("[\0\ud800-\udfff]")  # an escape can name what no text may hold


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A file's plain values; `keys` and `values` say where each stands. `faults` did not stop the reading.

    `digest` is that of the file as it was read.
    """

    file: str
    value: object
    keys: Mapping[Trail, FilePosition]
    values: Mapping[Trail, FilePosition]
    faults: Findings
    digest: Sha256 = Sha256.of(b"")


def read(path: Path) -> YamlDocument:
    """Read and unfold a YAML file. ConfigError, with one fault, when there is nothing to go on with."""
    try:
        found = read_text(path)
    except ValueError as error:
        hint = "; name it with -c FILE, or in $MIRROR_SYNC_CONFIG" if str(error) == MISSING else ""
        raise _alone(path, f"{error}{hint}", 0, 0) from None
    return replace(read_from(path, found.text), digest=found.digest)


def read_from(path: Path, text: str) -> YamlDocument:
    """Unfold a text as if it stood in a file. ConfigError as of `read`."""
    plain = read_plainly(path, text)
    return read_by_nodes(path, text) if plain is None else plain


def read_by_nodes(path: Path, text: str) -> YamlDocument:
    """By PyYAML's own parser, which knows of every fault where it stands. ConfigError as of `read`."""
    node, tags = _compose(path, text)
    if not isinstance(node, MappingNode):
        what = "empty" if node is None or (isinstance(node, ScalarNode) and not node.value) else "no mapping"
        raise _alone(path, f"the file is {what}; write keys at the left margin, beginning with version: 1")
    return _Walk(str(path), tags).document(node)


def read_plainly(path: Path, text: str) -> YamlDocument | None:
    """None for whatever is more than mappings and lists of plain or quoted values, or than this can read."""
    if _ODD.search(text):
        return None
    try:
        from yaml.cyaml import CParser  # type: ignore[attr-defined]  # not there where PyYAML has no libyaml

        parser = CParser(text)
    except (ImportError, yaml.YAMLError):
        return None
    try:
        return _Plainly(parser).document(str(path))
    except (_NotPlain, yaml.YAMLError, ValueError, OverflowError):
        return None
    finally:
        parser.dispose()


def _alone(path: Path, message: str, line: int = 1, column: int = 1) -> ConfigError:
    return ConfigError((Fault(str(path), line, column, "", message),))


def _compose(path: Path, text: str) -> tuple[Node | None, Mapping[FilePosition, str]]:
    loader = None
    try:
        loader = _YamlLoader(text)
        return loader.get_single_node(), loader.tags
    except yaml.MarkedYAMLError as error:
        message, place = _cause(text, error)
        raise _alone(path, message, *place) from None
    except yaml.reader.ReaderError as error:
        place = _place_of(text, error.position)
        raise _alone(path, f"the character #x{ord(text[error.position]):04x} is not allowed in YAML", *place) from None
    except RecursionError:
        raise _alone(path, f"the file is nested deeper than {_MAX_DEPTH} levels") from None
    except (ValueError, OverflowError):  # an escape or a directive with a figure beyond all bounds
        line, column = (loader.line + 1, loader.column + 1) if loader else (1, 1)
        raise _alone(path, "an escape or directive here names no character", line, column) from None


def _place_of(text: str, position: int) -> FilePosition:
    before = text[:position]
    return FilePosition(before.count("\n") + 1, position - before.rfind("\n"))


def _cause(text: str, error: yaml.MarkedYAMLError) -> tuple[str, FilePosition]:
    """What is wrong, and where. A parser says where it noticed, which may be lines after the slip of the pen."""
    problem, within = error.problem or "", error.context or ""
    began, noticed = error.context_mark, error.problem_mark
    bare = _bare(text, began, noticed) if began and noticed and "expected ','" in problem else None
    if bare is not None:
        return _wants_quotes(text[bare]), _place_of(text, bare)
    if began and within.endswith(("an alias", "an anchor", "a tag", "a node")) and text[began.index] in _SIGILS:
        return _wants_quotes(text[began.index]), _mark(began)
    if began and "could not find expected ':'" in problem:
        return _without_colon(text.splitlines()[began.line]), _mark(began)
    if noticed and "mapping values are not allowed" in problem:
        return _stray_colon(text, noticed)
    return _plainly(problem), _mark((began if "unexpected end of stream" in problem else None) or noticed)


def _mark(mark: Mark | None) -> FilePosition:
    return FilePosition(mark.line + 1, mark.column + 1) if mark else FilePosition(1, 1)


_SIGILS = {"*": "*.bin", "&": "&name", "!": "!org/name"}  # with an example of text that begins so
_BARE = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|[\[{,:]\s*(?P<sigil>!)""")
_FAR = 4000  # characters of a bracket's content that are looked at


def _wants_quotes(sigil: str) -> str:
    return f'a value that begins with {sigil} wants quotes, as in "{_SIGILS[sigil]}"'


def _bare(text: str, began: Mark, noticed: Mark) -> int | None:
    """Where a value between brackets begins with a ! outside of quotes: it takes comma and bracket with it."""
    found = _BARE.finditer(text, began.index, min(noticed.index, began.index + _FAR))
    return next((match.start("sigil") for match in found if match["sigil"]), None)


def _stray_colon(text: str, noticed: Mark) -> tuple[str, FilePosition]:
    """A key where a value ends that began in a line above: that line lacks its colon, or this one stands too deep."""
    lines = text.splitlines()[: noticed.line + 1]
    key = lines[noticed.line][: noticed.column]
    above = next((line for line in range(noticed.line - 1, -1, -1) if lines[line].strip()), None)
    if above is None or not _LONE_KEY.fullmatch(key):
        return _plainly("mapping values are not allowed"), _mark(noticed)
    if _HAS_COLON.search(lines[above]):
        return _plainly("expected <block end>"), FilePosition(noticed.line + 1, _margin(key) + 1)
    return _without_colon(lines[above]), FilePosition(above + 1, _margin(lines[above]) + 1)


_LONE_KEY = re.compile(r"\s*[A-Za-z0-9._\-]+\s*")
_HAS_COLON = re.compile(r":(?:\s|$)")
_FIRST_WORD = re.compile(r"\s*(?:-\s+)*([a-z_]+)")


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_colon(line: str) -> str:
    """A line that holds no key. Its first word is repeated if a key is called so: any other may be part of a secret."""
    from mirror_sync.config.keys.schema import keys  # only a fault needs them, and they need all models

    word = _FIRST_WORD.match(line)
    named = word[1] if word and word[1] in keys() else ""
    if not named or word is None:
        return "a key without ': ' after it"
    slip = "a space after the colon of" if line[word.end() :].startswith(":") else "a colon after"
    return f"lacks {slip} {named}; write {named}: and its value"


_PLAIN_WORDS = (
    (r"character '\\t'", "a tab cannot indent in YAML; use spaces"),
    (r"character '.*' that cannot start", "this character cannot begin a value; put the value in quotes"),
    (r"mapping values are not allowed", "a second ': ' in one line; put the value in quotes, or begin a new line"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (
        r"expected ',' or '[\]}]'",
        "brackets that are not closed, or lack a comma; between brackets, put ${NAME} in quotes",
    ),
    (r"end of stream", "the file ends inside a quoted value"),
    (
        r"undefined alias",
        'no anchor (&name) of this name stands above; a value that begins with * wants quotes, as in "*.bin"',
    ),
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


class _YamlLoader(Reader, Scanner, Parser, Composer, _Resolver):
    """PyYAML up to its tree of nodes, which notes the tags it meets: afterwards they look like resolved ones."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self.tags: dict[FilePosition, str] = {}

    def compose_node(self, parent: Node | None, index: object) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        if getattr(event, "tag", None) is not None:
            self.tags[FilePosition(event.start_mark.line + 1, event.start_mark.column + 1)] = event.tag
        return super().compose_node(parent, index)  # type: ignore[arg-type]  # the stubs know no sequence's index


_ODD = re.compile(r"[\t%\ufeff\x85\xa0\u2028\u2029]")  # where both parsers differ: tabs, directives, odd spaces
_BLOCKS = ("|", ">")


class _NotPlain(Exception):
    """Something stands in a file that only its nodes tell enough about."""


class _Plainly:
    """From libyaml's events to plain values, as `_Walk` makes them of nodes."""

    def __init__(self, parser: Any) -> None:
        self._next, self._count = parser.get_event, 0
        self._keys: dict[Trail, FilePosition] = {}
        self._values: dict[Trail, FilePosition] = {}

    def document(self, file: str) -> YamlDocument:
        """The only document of a file. _NotPlain, yaml.YAMLError."""
        self._expect(StreamStartEvent, DocumentStartEvent)
        first = self._next()
        if not isinstance(first, MappingStartEvent):
            raise _NotPlain
        value = self._value(first, ())
        self._expect(DocumentEndEvent, StreamEndEvent)
        return YamlDocument(file, value, self._keys, self._values, Findings())

    def _expect(self, *kinds: type[Event]) -> None:
        for kind in kinds:
            if not isinstance(self._next(), kind):
                raise _NotPlain

    def _value(self, event: Any, trail: Trail) -> object:
        mark = event.start_mark
        self._values[trail] = FilePosition(mark.line + 1, mark.column + 1)
        self._count += 1
        if self._count > _MAX_NODES or len(trail) > _MAX_DEPTH or event.anchor is not None:
            raise _NotPlain
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if event.tag is not None:
            raise _NotPlain
        return self._mapping(trail) if isinstance(event, MappingStartEvent) else self._list(trail)

    def _mapping(self, trail: Trail) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            if not isinstance(event, ScalarEvent) or event.anchor is not None:
                raise _NotPlain
            key = self._scalar(event)
            if not isinstance(key, str) or key in found or key == "<<":
                raise _NotPlain
            mark: Any = event.start_mark
            below = (*trail, key)
            self._keys[below] = FilePosition(mark.line + 1, mark.column + 1)
            found[key] = self._value(self._next(), below)
        return found

    def _list(self, trail: Trail) -> list[object]:
        found: list[object] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            found.append(self._value(event, (*trail, len(found))))
        return found

    def _scalar(self, event: Any) -> object:
        text: str = event.value
        if event.tag is not None or event.style in _BLOCKS or _UNFIT.search(text):
            raise _NotPlain
        if not event.style and (not text or "?" in text):  # where both parsers differ
            raise _NotPlain
        for tag, pattern in _Resolver.yaml_implicit_resolvers.get(text[:1], ()) if event.implicit[0] else ():
            if pattern.match(text):
                return _plain_value(tag, text)
        return text


def _plain_value(tag: str, text: str) -> object:
    """What a scalar of a tag stands for."""
    match tag.removeprefix(_CORE):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
    return text


@dataclass
class _Walk:
    """From nodes to plain values; every value an alias repeats is built anew, with its own trail."""

    file: str
    tags: Mapping[FilePosition, str]
    keys: dict[Trail, FilePosition] = field(default_factory=dict)
    values: dict[Trail, FilePosition] = field(default_factory=dict)
    faults: Findings = field(default_factory=Findings)

    def document(self, node: MappingNode) -> YamlDocument:
        for place, tag in self.tags.items():
            known = tag.startswith(_CORE)
            self.faults.add((), _NO_TAGS if known else f"{_wants_quotes('!')}; tags are not read here", place)
        value = self._value(node, ())
        return YamlDocument(self.file, value, self.keys, self.values, self.faults)

    def _value(self, node: Node, trail: Trail) -> object:
        self.values[trail] = FilePosition.of(node)
        self._stay_bounded(node, trail)
        if isinstance(node, MappingNode):
            return {key: self._value(child, (*trail, key)) for key, child in self._entries(node, trail)}
        if isinstance(node, SequenceNode):
            return [self._value(child, (*trail, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, trail)

    def _stay_bounded(self, node: Node, trail: Trail) -> None:
        place = FilePosition.of(node)
        if len(trail) > _MAX_DEPTH:
            message = f"the file is nested deeper than {_MAX_DEPTH} levels, or an alias contains itself"
            raise _alone(Path(self.file), message, place.line, place.column)
        if len(self.values) > _MAX_NODES:
            message = f"the file unfolds to more than {_MAX_NODES:,} values; use fewer aliases"
            raise _alone(Path(self.file), message, place.line, place.column)

    def _entries(self, node: MappingNode, trail: Trail) -> Iterator[tuple[str, Node]]:
        """The sound entries of a mapping; the others are faults."""
        seen: dict[str, FilePosition] = {}
        for key_node, value_node in node.value:
            place, key = FilePosition.of(key_node), self._key(key_node, trail)
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
        place = FilePosition.of(node)
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
        if self.values[trail] in self.tags:
            self.faults.mute(trail)  # what is left of the value without its tag is not what was meant
        value = _plain_value(node.tag, text)
        if value is text and _UNFIT.search(text):
            self.faults.add(trail, "the text holds a character that no text may hold")
        return value
