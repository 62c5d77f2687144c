"""The metadata at the top of a README.md: YAML between two lines of `---`, as huggingface_hub reads it.

Sources: https://huggingface.co/docs/hub/model-cards, and `huggingface_hub.repocard` (2.4.0), whose pattern finds the
metadata and whose `yaml.safe_load` reads it. What has no metadata states nothing; what has some that cannot be read is
`UnreadableCard`, since a licence that nobody could read is not a licence that is missing.

Everything is bounded before it is built: bytes, levels, and what aliases unfold to.
"""

from __future__ import annotations

import math
import re
from io import BufferedReader
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mirror_sync.domain.bounds import plain, short
from mirror_sync.sources.directory.folder import open_file
from mirror_sync.sources.json_values import check_plain

LIMIT = 64 * 1024  # bytes of metadata, fences and blank lines before them included
DEEPEST = 32  # levels of the metadata, aliases followed
_UNFOLDED = 4 * LIMIT  # values and characters that aliases may unfold to
_BOM = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-16, in either order
_BLOCK = re.compile(r"(\s*---(?:\r\n|\r|\n))([\S\s]*?)(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$)")
_FENCE = re.compile(r"\s*---[ \t]*(?:\r|\n|$)")
_BITS = 1024  # of a whole number, more than any that is meant
_SAID = 200  # characters of a parser's words
# The parser's own slips, too: `1:1:...:1.0` overflows, `!!int ""` has no first digit, `!!bool x` is no key of a table.
_SLIPS = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class UnreadableCard(Exception):
    """Metadata that stands there and cannot be read; the text is the reason, in one printable line."""


def read_card(readme: Path) -> dict[str, Any]:
    """The metadata as plain JSON values; empty when there is none. UnreadableCard, OSError."""
    with BufferedReader(open_file(readme)) as stream:
        head = stream.read(LIMIT + 1)
    front, line = _front(head, cut=len(head) > LIMIT)
    return _parsed(front, line) if front else {}


def _front(head: bytes, *, cut: bool) -> tuple[str, int]:
    """The text between the fences, empty for none, and the number of its first line; `cut`: the file goes on."""
    if head.startswith(_OTHER_MARKS):
        raise UnreadableCard("it is UTF-16; save it as UTF-8")
    text = head.removeprefix(_BOM).decode(errors="surrogateescape")
    found = _BLOCK.match(text)
    if found is None and _FENCE.match(text) is None and not (cut and not text.strip()):
        return "", 0
    if found is None or (cut and found.end() == len(text)):
        why = f"its metadata is longer than {LIMIT // 1024} KiB" if cut else "no line of --- alone ends its metadata"
        raise UnreadableCard(why if cut or not _odd_opening(text) else "its first --- has spaces behind it")
    line = found[1].count("\n") + 1
    try:
        found[2].encode()
    except UnicodeEncodeError as error:
        raise UnreadableCard(f"line {line + found[2].count(chr(10), 0, error.start)}: it is not UTF-8") from None
    return found[2], line


def _odd_opening(text: str) -> bool:
    return re.match(r"\s*---[ \t]", text) is not None


def _parsed(front: str, line: int) -> dict[str, Any]:
    loader: _CardLoader | None = None
    try:
        loader = _CardLoader(front)
        node = loader.get_single_node()
        if node is None:
            return {}
        _weigh(node, {})
        card = _plain(loader.construct_document(node))
        check_plain(card)
    except _SLIPS as error:
        raise UnreadableCard(_reason(error, line)) from error
    if card is None:
        return {}
    if not isinstance(card, dict):
        raise UnreadableCard("its metadata is no mapping of keys to values")
    return card


def _reason(error: Exception, line: int) -> str:
    """The parser's words; `line` is that of the file in which the metadata begins."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        at = f"line {error.problem_mark.line + line}: " if error.problem_mark else ""
        return plain(f"{at}{short(error.problem, _SAID)}")
    if isinstance(error, UnicodeError):
        return "a text of its metadata holds half a character"
    if isinstance(error, yaml.YAMLError) or type(error) is _RefusedCard:
        return plain(short(str(error).partition("\n")[0], _SAID))
    return f"the YAML parser gives up ({type(error).__name__})"


class _RefusedCard(ValueError):
    """Metadata that is sound and beyond our bounds."""


class _CardLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which goes no deeper than DEEPEST levels."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0

    def compose_node(self, parent: Node | None, index: object) -> Node | None:
        self._level += 1
        _expect_level(self._level)
        try:
            return super().compose_node(parent, index)  # type: ignore[arg-type]  # the stubs know no sequence's index
        finally:
            self._level -= 1


def _expect_level(level: int) -> None:
    if level > DEEPEST:
        raise _RefusedCard(f"its metadata is nested deeper than {DEEPEST} levels")


Weight = tuple[int, int]  # values and characters, and levels


def _weigh(node: Node, known: dict[int, Weight | None]) -> Weight:
    """What a node unfolds to, each one looked at once. _Refused beyond the bounds, and for an alias within itself.

    Merge keys, which copy the entries of others, make no more than the aliases that they are written with.
    """
    weight = known.get(id(node))
    if weight is not None:
        return weight
    if id(node) in known:
        raise _RefusedCard("an alias of its metadata contains itself")
    known[id(node)] = None
    inner = [_weigh(child, known) for child in _children(node)]
    size = 1 + sum(size for size, _ in inner) + (len(node.value) if isinstance(node, ScalarNode) else 0)
    level = 1 + max((level for _, level in inner), default=0)
    _expect_level(level)
    if size > _UNFOLDED:
        raise _RefusedCard(f"its aliases unfold to more than {_UNFOLDED // 1024} KiB")
    known[id(node)] = size, level
    return size, level


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _plain(value: Any) -> Any:
    """As JSON has it: dates as text, and null for what is no number, as the Hub (JavaScript) writes it."""
    match value:
        case dict():
            return {_key(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case set():
            return sorted(map(str, value))
        case float() if not math.isfinite(value):
            return None
        case int() if value.bit_length() > _BITS:
            raise _RefusedCard("a number of its metadata has too many digits")
        case None | str() | bool() | int() | float():
            return value
    return str(value)


def _key(key: object) -> str:
    match key:
        case bool():
            return str(key).lower()
        case None:
            return "null"
    return str(key)
