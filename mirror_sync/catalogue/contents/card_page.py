"""A card, which anybody may have written, as HTML that a page can hold: CommonMark with tables, and nothing else.

Raw HTML is left out but for its words; no image is shown; links lead to files of the repo or, by https or http, away.
What is written is made of our own tags and escaped words alone, so nothing in a card is a script, a style, an id or a
request: see docs/design/decisions/0082-the-second-catalogue.md.
"""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from mirror_sync.catalogue import texts

_LONGEST_LINE = 8 * 1024  # characters; what is longer is cut there: marks within one are compared with each other
_NESTED = 12
_FIRST_LEVEL, _LAST_LEVEL = 3, 6  # of headings: a page has two of its own above them
_REL = "nofollow noopener noreferrer external ugc"
_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))
_ONE = threading.Lock()  # a hostile one takes some 70 MB, and a second of the processor that all threads share
_KEPT = frozenset({"href", "rel", "start"})  # attributes of what is written


def rendered(text: str, files_at: str) -> Markup:
    """The card as HTML; `files_at` is where files of the repo are, seen from the page."""
    lines = (line[:_LONGEST_LINE] for line in text.split("\n"))
    with _ONE:
        return _written("\n".join(lines), files_at)


def _written(text: str, files_at: str) -> Markup:
    tokens = _parser().parse(text)
    level, made = _FIRST_LEVEL - 1, []
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1]) + _FIRST_LEVEL - 1, level + 1, _LAST_LEVEL)
            token.tag = f"h{level}"
        elif token.type == "heading_close":
            token.tag = f"h{level}"
        for inner in token.children or ():
            _bind(inner, files_at)
        _strip(token)
        made.append(token)
    return Markup(_parser().renderer.render(made, _parser().options, {}))  # noqa: S704  of our rules alone


def _bind(token: Token, files_at: str) -> None:
    """A link leads where it may, or is none."""
    if token.type == "link_open":
        to = _allowed(str(token.attrGet("href") or ""), files_at)
        token.attrs = {"href": to, "rel": _REL} if to else {}
    _strip(token)


def _strip(token: Token) -> None:
    token.attrs = {name: value for name, value in token.attrs.items() if name in _KEPT}


def _allowed(address: str, files_at: str) -> str:
    """Empty for nowhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.scheme in ("https", "http"):
        return address if parts.hostname and address.isprintable() and " " not in address else ""
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
        return ""
    path = posixpath.normpath(unquote(parts.path))
    return "" if path == ".." or path.startswith(("../", "/")) else files_at + quote(path, safe="/", errors="replace")


@cache
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": True, "maxNesting": _NESTED}).enable(["table", "strikethrough"])
    renderer = RendererHTML(made)
    renderer.rules.update(_RULES)
    made.renderer = renderer
    return made


def _html_block(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    words = _words_of(tokens[at].content)
    return f"<p>{escape(words)}</p>\n" if words.strip() else ""


def _words_of(html: str) -> str:
    for begin, end in _UNSEEN:
        html = _cut_out(html, begin, end)
    return " ".join(_TAG.sub(" ", html).split())


def _cut_out(text: str, begin: str, end: str) -> str:
    kept, lower, at = [], text.lower(), 0
    while (found := lower.find(begin, at)) >= 0:
        kept.append(text[at:found])
        close = lower.find(end, found)
        if close < 0:
            return "".join(kept)
        at = close + len(end)
    return "".join((*kept, text[at:]))


def _html_inline(_tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
    return ""


def _image(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    said = escape(tokens[at].content[:200])
    return f'<span class="image">{texts.text("card.image")}{": " if said else ""}{said}</span>'


def _code(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[at].content)}</code></pre>\n'


def _link_open(tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    named = "".join(f' {name}="{escape(str(value))}"' for name, value in tokens[at].attrs.items())
    return f"<a{named}>"


def _table_open(_tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
    return '<div class="scroll" tabindex="0"><table>'


def _table_close(_tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
    return "</table></div>\n"


_RULES: dict[str, Any] = {
    "html_block": _html_block,
    "html_inline": _html_inline,
    "image": _image,
    "fence": _code,
    "code_block": _code,
    "link_open": _link_open,
    "table_open": _table_open,
    "table_close": _table_close,
}
