"""The pages of the catalogue, and the files that they refer to.

All links are relative: the pages work below any address. Nothing in a page is a script or a style, so that a front can
forbid both; see `assets/` for those. Text that is no Unicode (half a surrogate pair) becomes question marks.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from mirror_sync.catalogue import formats, texts
from mirror_sync.catalogue.charts import GROWTH_DAYS, TRAFFIC_DAYS, growth_chart, traffic_chart
from mirror_sync.catalogue.download_commands import PLACEHOLDER, check_by_hand, commands, torrent_fault, wanted_of
from mirror_sync.catalogue.formats import count
from mirror_sync.catalogue.texts import TEXTS, plain
from mirror_sync.domain.catalogue.page_data import BEGINS, ENDS, as_block
from mirror_sync.domain.catalogue.rows import (
    RELATIONS,
    ROWS_PER_PAGE,
    JobEntryView,
    Lack,
    LackGroup,
    ListPage,
    Overview,
    RepoPage,
    RepoRow,
    ShownFile,
    ShownJob,
    page_key,
)
from mirror_sync.domain.content.keys import SITE
from mirror_sync.domain.doors.oci_documents import oci_name
from mirror_sync.domain.doors.torrent_metainfo import DOOR
from mirror_sync.domain.formats.weights import main_weights
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.outcome.wish import UNSAID, HowToAsk, RepoWish
from mirror_sync.domain.policy.gone import DISABLED
from mirror_sync.domain.repo import Repo

_TOP, _BELOW = "", "../"  # from a page to the catalogue's home
_UP = "@up/"  # stands for that way
_RECENT = 4  # on the home page
_WEIGHTS = 24  # models of a repo whose tensors are shown
_SHARDS = 200  # files of a model that are listed
_DEEPEST = 8  # folders of a repo within each other
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


def home(
    overview: Overview, pages: Sequence[ListPage], ask: HowToAsk = UNSAID, found: Mapping[str, bytes] = _NOTHING
) -> bytes:
    """`site/index.html`: the search, the first rows, and links to all pages of the list; `found` are the documents that
    are a part of it, here and elsewhere by their names.
    """
    return _rendered(
        "home.html.j2",
        _TOP,
        brand=overview.name,
        overview=overview,
        pages=pages,
        rows=pages[0].rows[:ROWS_PER_PAGE] if pages else (),
        ask=ask,
        recent=overview.recent[:_RECENT],
        filters=filters([row for page in pages for row in page.rows]),
        orders=_orders(page.rows for page in pages),
        data=_blocks(found),
    )


def list_page(
    page: ListPage,
    previous: ListPage | None,
    following: ListPage | None,
    brand: str = "",
    found: Mapping[str, bytes] = _NOTHING,
) -> bytes:
    """`site/list/<page.name>.html`: a table, with links to the pages beside it. `brand` names the mirror."""
    beside = {"previous": previous, "following": following}
    return _rendered("list.html.j2", _BELOW, brand=brand, page=page, data=_blocks(found), **beside)


def repo_page(
    page: RepoPage, *, url: str = "", brand: str = "", principal: str = "", doors: Collection[str] = ()
) -> bytes:
    """`site/models/<org--name>.html` or `site/datasets/<org--name>.html`.

    `url` is the operator's, if there is one; `brand` names the mirror, and `principal` who signs for it;
    `doors` are those that its fronts open beside the Hub's.
    """
    wanted = wanted_of(page)
    return _rendered(
        "repo.html.j2",
        _BELOW,
        brand=brand,
        page=page,
        row=page.row,
        url=url.rstrip("/"),
        commands=commands(page, doors),
        unnamed="oci" in doors and oci_name(Repo(page.row.kind, page.row.repo)) is None,
        no_torrent=torrent_fault(page) if DOOR in doors else "",
        by_hand=check_by_hand(page, principal),
        resolved=None if wanted is None else wanted.files_at,
        versions=sorted(page.snapshots, key=lambda one: one.committed or one.published or "", reverse=True),
        tree=folder_of(page.files),
        card=_card(page.card.text, f"{_BELOW}../{wanted.files_at}") if wanted and page.card.text else "",
        main=main_weights(page.weights),
        most_weights=_WEIGHTS,
        most_shards=_SHARDS,
        relations=("from", *RELATIONS),
    )


def _card(text: str, files_at: str) -> Markup:
    # a parser, which a run that finds nothing new does not need
    from mirror_sync.catalogue.contents.card_page import rendered

    return rendered(text, files_at)


def mirror_page(overview: Overview, found: Mapping[str, bytes] = _NOTHING) -> bytes:
    """`site/mirror.html`: what the mirror as a whole is like, and its jobs."""
    growth, traffic = overview.growth[-GROWTH_DAYS:], overview.traffic[-TRAFFIC_DAYS:]
    return _rendered(
        "mirror.html.j2",
        _TOP,
        brand=overview.name,
        overview=overview,
        growth=growth,
        traffic=traffic,
        growth_chart=growth_chart(growth),
        traffic_chart=traffic_chart(traffic),
        data=_blocks(found),
    )


def missing_page(brand: str = "", ask: HowToAsk = UNSAID) -> bytes:
    """`site/missing.html`: for a browser where nothing is; whoever sends it knows the way up from there."""
    return _rendered("missing.html.j2", f"{_UP}-/", brand=brand, ask=ask)


def asked_page(brand: str, ask: HowToAsk) -> bytes:
    """`site/asked.html`: what became of a wish; the address says which of its sections it is."""
    return _rendered("asked.html.j2", _TOP, brand=brand, ask=ask)


def wanted_page(brand: str, wishes: Sequence[RepoWish], count: int, ask: HowToAsk) -> bytes:
    """`site/wanted.html`: what was asked for, the first of `count` wishes; nothing of who asked."""
    return _rendered("wanted.html.j2", _TOP, brand=brand, wishes=wishes, count=count, ask=ask)


def assets() -> Mapping[str, bytes]:
    """What the pages refer to, as `site/assets/<name>`. A name holds the digest of its content: it never changes."""
    return {_ASSET_NAMES[name]: content for name, content in _ASSETS.items()}


def _blocks(found: Mapping[str, bytes]) -> list[Markup]:
    """Documents as they stand in a page: nothing in their text ends them."""
    blocks = (as_block(name, body) for name, body in found.items())
    return [Markup(BEGINS.format(name) + said + ENDS) for name, said in blocks]  # noqa: S704  # no `<` is in them


def _read_assets() -> Iterator[tuple[str, bytes]]:
    for one in sorted(files("mirror_sync.catalogue").joinpath("assets").iterdir(), key=lambda one: one.name):
        yield one.name, one.read_bytes()


def _hashed(name: str, content: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{sha256(content).hexdigest()[:8]}.{suffix}"


_ASSETS = dict(_read_assets())
_ASSET_NAMES = {name: _hashed(name, content) for name, content in _ASSETS.items()}


def _rendered(template: str, home: str, **values: object) -> bytes:
    with _Templates.turn:
        templates = _templates()
    page = templates.get_template(template).render({"data": (), **values}, home=home, root=f"{home}../")
    return page.encode("utf-8", errors="replace")


class _Templates(Environment):
    """Compiles each template once: threads that want one at the same time would all do so."""

    turn = threading.RLock()

    def get_template(self, *named: Any, **more: Any) -> Template:
        with self.turn:
            return super().get_template(*named, **more)


@cache
def _templates() -> Environment:
    made = _Templates(
        loader=PackageLoader("mirror_sync.catalogue"),
        undefined=StrictUndefined,
        autoescape=True,
        optimized=False,  # to fold constants is a fifth of compiling templates, and saves next to nothing
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        size=formats.size,
        amount=formats.amount,
        count=formats.count,
        span=texts.span,
        moment=formats.moment,
        share=formats.share,
        wait=formats.wait,
        in_url=formats.in_url,
    )
    made.tests["safe_link"] = formats.is_safe_link
    made.globals.update(
        text=texts.text,
        named=texts.named,
        told=texts.told,
        plain=texts.plain,
        asset=lambda name: f"assets/{_ASSET_NAMES[name]}",
        page_of=_page_of,
        took=_took,
        why=_why,
        because=_because,
        detail=_detail,
        placeholder=PLACEHOLDER,
    )
    return made


def _page_of(row: RepoRow | Lack) -> str:
    """Empty for a pattern, which has none."""
    try:
        return page_key(Repo(row.kind, row.repo)).removeprefix(SITE)
    except ValueError:
        return ""


def _why(one: JobEntryView | Lack | LackGroup | RepoRow) -> Markup:
    """Why something is not here, in words that a reader knows."""
    return _because(one.code, one.state)


def _because(code: str, state: str) -> Markup:
    for key in (f"reason.{code}.{state}", f"reason.{code}", f"reason.{state}"):
        if key in TEXTS:
            return texts.text(key)
    return texts.named("state", state)


_DECIDED = frozenset({RepoState.HELD, RepoState.REFUSED})  # of these alone a reason says more than its code


def _detail(one: JobEntryView | Lack) -> str:
    """What was said beside that, as it was written: English, and for who runs the mirror."""
    return one.reason if one.state in _DECIDED and one.code != DISABLED else ""


def _took(job: ShownJob) -> float | None:
    """How long the last run took, in seconds; None when that is not known."""
    if job.last_started is None or job.last_finished is None:
        return None
    return (datetime.fromisoformat(job.last_finished) - datetime.fromisoformat(job.last_started)).total_seconds()


_READABLE = frozenset(
    (
        *("txt", "md", "rst", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "cfg", "ini", "xml", "csv", "tsv"),
        *("py", "js", "sh", "jinja", "vocab", "merges", "model_card", "gitattributes", "gitignore", "tex", "html"),
    )
)


@dataclass(slots=True)
class TreeFile:
    """A file where it stands; `number` is its place in the listing, `readable` whether its name says it is text."""

    number: int
    name: str
    path: str
    size: int
    sha256: str
    runs: str
    readable: bool


@dataclass(slots=True)
class TreeFolder:
    """A folder of a repo, with how many files are in it and below, and their bytes."""

    name: str
    folders: list[TreeFolder] = field(default_factory=list)
    files: list[TreeFile] = field(default_factory=list)
    count: int = 0
    bytes: int = 0


def folder_of(files: Sequence[ShownFile]) -> TreeFolder:
    """The tree that files make; a folder with nothing in it but one folder is one with it, and so are those deeper than
    some.
    """
    top = TreeFolder("")
    by_path = {"": top}
    for number, file in enumerate(files, 1):
        *names, name = file.path.split("/")
        if len(names) > _DEEPEST:
            names = [*names[: _DEEPEST - 1], "/".join(names[_DEEPEST - 1 :])]
        at, path = top, ""
        at.count, at.bytes = at.count + 1, at.bytes + file.size
        for one in names:
            path = f"{path}/{one}"
            if path not in by_path:
                by_path[path] = TreeFolder(one)
                at.folders.append(by_path[path])
            at = by_path[path]
            at.count, at.bytes = at.count + 1, at.bytes + file.size
        ending = name.rpartition(".")[2]
        readable = file.size > 0 and (ending.lower() in _READABLE or "." not in name)
        at.files.append(TreeFile(number, name, file.path, file.size, file.sha256, file.runs, readable))
    top.folders = [_shortened(one) for one in top.folders]
    return top


def _shortened(folder: TreeFolder) -> TreeFolder:
    while not folder.files and len(folder.folders) == 1:
        [inner] = folder.folders
        folder = replace(inner, name=f"{folder.name}/{inner.name}")
    folder.folders = [_shortened(one) for one in folder.folders]
    return folder


_CHOICES = 200  # of a filter, at most
_SIZES = ("s", "m", "l", "xl")  # `search.js` knows their bounds


@dataclass(frozen=True, slots=True)
class Choice:
    """`value` as the rows have it, and what a reader sees: an option of a select can hold no markup."""

    value: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Filter:
    """`name` is the name of the column's text and of the filter in the page's address."""

    name: str
    choices: tuple[Choice, ...]


def filters(rows: Sequence[RepoRow]) -> list[Filter]:
    """What the list of repos may be narrowed by, with the choices that some row has."""
    return [
        _filter("kind", [row.kind.value for row in rows]),
        _filter("licence", [name for row in rows for name in dict.fromkeys(row.licenses)]),
        _filter("task", [row.task for row in rows if row.task]),
        Filter("size", (_any("size"), *(Choice(size, **plain(f"home.size-{size}")) for size in _SIZES))),
        _filter("state", [row.state for row in rows]),
    ]


_ORDERS = (
    ("name", "name"),
    ("-published", "newest"),
    ("published", "oldest"),
    ("-bytes", "largest"),
    ("bytes", "smallest"),
    ("-parameters", "parameters"),
    ("-downloads", "downloads"),
)


def _orders(pages: Iterable[Sequence[RepoRow]]) -> list[Choice]:
    """In which orders the list can be had; that of downloads only where some were counted."""
    rows = [row for page in pages for row in page]
    has = {"-parameters": any(row.parameters for row in rows), "-downloads": any(row.downloads for row in rows)}
    return [Choice(value, **plain(f"sort.{name}")) for value, name in _ORDERS if has.get(value, True)]


def _filter(name: str, values: Iterable[str]) -> Filter:
    """The choices stand in the order of their names."""
    common = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0]))[:_CHOICES]
    ordered = sorted(common, key=lambda one: (one[0].lower(), one[0]))
    return Filter(name, (_any(name), *(_counted(name, value, rows) for value, rows in ordered)))


def _any(name: str) -> Choice:
    return Choice("", **plain(f"home.any-{name}"))


def _counted(name: str, value: str, rows: int) -> Choice:
    key = f"{name}.{value}"
    spoken = plain(key) if key in TEXTS else {"en": value, "zh": value}
    return Choice(value, f"{spoken['en']} ({count(rows)})", f"{spoken['zh']} ({count(rows)})")
