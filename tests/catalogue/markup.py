"""A page taken apart: its tags, the words between them, and where its links lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_LINKS = ("href", "src")


@dataclass
class Page:
    """`tags` with the names of their attributes, in order; `attributes` and `words` as a reader gets them."""

    tags: list[tuple[str, ...]] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    """What no browser runs."""

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def links(self) -> list[str]:
        return [value for _, name, value in self.attributes if name in _LINKS]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._in: str = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = "data" if tag == "script" and dict(attrs).get("type") == "application/json" else tag
        self.page.tags.append((tag, *(name for name, _ in attrs)))
        self.page.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._in = ""
        self.page.tags.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        found = {"script": self.page.scripts, "style": self.page.scripts, "data": self.page.data}
        found.get(self._in, self.page.words).append(data)

    def handle_comment(self, data: str) -> None:
        self.page.tags.append(("comment",))

    def handle_decl(self, decl: str) -> None:
        self.page.tags.append((decl,))


def read(content: bytes) -> Page:
    reader = _Reader()
    reader.feed(content.decode())
    reader.close()
    return reader.page
