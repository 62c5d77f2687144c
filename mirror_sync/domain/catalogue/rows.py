"""What the catalogue shows of a mirror, as values: what a page needs and no more, so that equal values are equal pages.

Times are ISO 8601 in UTC, None where they are not known; sizes are in bytes. No value here tells when somebody last
looked: a repo whose facts are the same keeps its page, byte for byte, however often runs look at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.formats.weights import Weights
from mirror_sync.domain.outcome.front_counts import FrontDay
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.repo import Kind, Repo

ROWS_PER_PAGE = 250  # on average; a page of the list is cut like a shard of a listing
FILES_SHOWN = 1000  # of a repo on its page; the rest is in its listing
LACKS_SHOWN = 25  # of each reason, on the page of the mirror
REASONS_SHOWN = 40
LARGEST = 64 * 1024 * 1024  # bytes of an object of the catalogue: larger ones are neither written, read nor served
WHOLE = "all/"  # below the catalogue: what tells of repos that not everybody may see
_REPO_PAGE = re.compile(r"(model|dataset|space|kernel)s/([A-Za-z0-9_.\-]+)\.html", re.ASCII)
RELATIONS = ("finetune", "adapter", "quantized", "merge")  # of a model to its base, as cards say
REASON = 400  # characters of a reason that are shown


@dataclass(frozen=True, slots=True)
class RepoRow:
    """A repo in the list. `state` is a word of `status`; `licenses`, `task` and `library` are upstream's words.

    `files`, `bytes`, `commit` and `published` are those of the snapshot that its page shows. `why` is why nothing of it
    is, `code` the same in a word, and `item` what the Hub's lists say of it, as JSON. `words` are searched for beside
    its name: the names of its commits, its base models, metrics and fields of what was pushed. `parameters` of its
    tensors, 0 where nobody knows; `downloads` as far as they were counted; `bases` are the models it was made from.
    """

    kind: Kind
    repo: str
    state: str
    licenses: tuple[str, ...] = ()
    task: str = ""
    library: str = ""
    files: int = 0
    bytes: int = 0
    commit: str | None = None
    published: str | None = None
    why: str = ""
    item: str = ""
    words: tuple[str, ...] = ()
    code: str = ""
    parameters: int = 0
    downloads: int = 0
    bases: tuple[str, ...] = ()
    relation: str = ""


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file as its repo's page lists it; `size` in bytes. `runs`: its class where it runs code when it is loaded."""

    path: str
    size: int
    sha256: str
    runs: str = ""


@dataclass(frozen=True, slots=True)
class ShownSnapshot:
    """A mirrored commit, and the branches and tags that stand for it. `root` is the digest of its root document.

    `torrent` are the infohashes of it, open and private, with a space between; or why it has none, after a `!`; empty
    where nobody has made one.
    """

    commit: str
    root: str
    names: tuple[str, ...]
    title: str
    committed: str | None
    published: str | None
    files: int
    bytes: int
    torrent: str = ""


@dataclass(frozen=True, slots=True)
class ShownVerdict:
    """What a rule said of the shown snapshot when it was published; `outcome` is a word of the rules."""

    rule: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShownMove:
    """Who moved a name of the repo, when and why; commits are empty where there was, or is, none."""

    at: str
    name: str
    before: str
    after: str
    by: str
    why: str
    verb: str


@dataclass(frozen=True, slots=True)
class ShownPush:
    """Who pushed the shown commit, and what they said: metrics and fields of its card by name, each written out.

    `made_from` tells which published commit it was made of and `tool` by what; empty for what nothing has made.
    """

    by: str
    message: str
    metrics: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    made_from: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class JobEntryView:
    """What a job makes of a repo: its state, and why in one line; `code` is that in a word."""

    job: str
    revision: str
    state: str
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class ShownText:
    """The words of a file of the shown commit; `whole` where these are all."""

    path: str = ""
    text: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class RepoPage:
    """A repo's own page. `files` are the first of the newest snapshot of `main`, or of the newest there is.

    `shown_commit` names that snapshot; `listings` are the digests of its shards, which hold all files. `verdict` is why
    its licence allows it; `gone` says by a code why upstream no longer gives it, empty while it does, and `since` when.
    `upstream` is its address.
    `unread` says that what is published of it cannot be read, and is left out. `left` is what patterns leave out of the
    shown commit: None where its `patterns` leave something out and nobody knows how much. `classes` is the digest of
    what an inspection found, empty where nobody looked: then names alone tell which files run code. `running` is how
    many files of the shown commit run code, by their class; by names it is how many of `files`.

    Of the shown commit, too: `card` without its metadata, and the text of its `licence`; `weights` among its first
    files, those that stand for the repo at the head; `verdicts` of the rules under which it was published; `signed`,
    whether its sums are; `scanned`, whether its root says which scanners looked at it; `pushed`, where somebody has
    pushed it. `moves` are the last of the names that this mirror gives, newest first.
    """

    row: RepoRow
    verdict: str
    gone: str
    upstream: str
    asked: tuple[JobEntryView, ...]
    snapshots: tuple[ShownSnapshot, ...]
    shown_commit: str | None
    files: tuple[ShownFile, ...]
    listings: tuple[str, ...]
    unread: bool = False
    left: tuple[LeftOut, ...] | None = ()
    patterns: str = ""
    classes: str = ""
    running: tuple[tuple[str, int], ...] = ()
    verdicts: tuple[ShownVerdict, ...] = ()
    signed: bool = False
    scanned: bool = False
    moves: tuple[ShownMove, ...] = ()
    pushed: ShownPush | None = None
    card: ShownText = ShownText()
    licence: ShownText = ShownText()
    weights: tuple[Weights, ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job as it stands after a run. `schedule` as jobs.yaml writes it; `last_state` is a word of the history.

    `succeeded`: when it last came to its end with nothing left undone. `checked`: when it last came to its end, and had
    asked the upstream about each repo of which it does not say otherwise; of what is shown, not of what is kept.
    """

    name: str
    schedule: str
    repos: int
    mirrored: int
    last_started: str | None
    last_finished: str | None
    last_state: str
    next_run: str | None
    paused: bool = False
    succeeded: str | None = None
    checked: str | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """One day, UTC: what was mirrored in all at its end, or what was read of it."""

    day: str
    bytes: int
    repos: int = 0
    downloads: int = 0
    clients: int = 0


@dataclass(frozen=True, slots=True)
class Lag:
    """How old upstream's newest commits were when they could be read here, over the last publications; in seconds."""

    publications: int
    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Lack:
    """A revision that a job asks for and that is not here, or a pattern that no run has listed."""

    kind: Kind
    repo: str
    revision: str
    job: str
    state: str
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class LackGroup:
    """All that is not here for one reason: its state and code, how many revisions, and the first of them."""

    state: str
    code: str
    count: int
    first: tuple[Lack, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The mirror as a whole. `name` and `url` are the operator's, empty where nothing is said.

    `growth` and `traffic` are days in order, oldest first; empty where nothing is known. `recent` are the repos that
    were published last, newest first. `lacking` are the `gaps` by their reasons, none of them private. `verified` and
    `pruned` are when that was last done to all of it from this machine, `faults` what the verify found wrong.
    `replicas` as they were when this was written: they are copied to after it. `unusual`: the last day of which traffic
    was counted, and how many clients did on it what they never do. `front` is the last day of the one that this machine
    watches, None for none.
    """

    name: str
    url: str
    version: str
    at: str
    repos: int
    complete: bool
    gaps: int
    files: int
    bytes: int
    jobs: tuple[ShownJob, ...]
    recent: tuple[RepoRow, ...] = ()
    lag: Lag | None = None
    growth: tuple[Day, ...] = ()
    traffic: tuple[Day, ...] = ()
    lacking: tuple[LackGroup, ...] = ()
    verified: str | None = None
    faults: int = 0
    pruned: str | None = None
    unusual: tuple[str, int] = ("", 0)
    replicas: tuple[ReplicaStatus, ...] = ()
    front: FrontDay | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """Some rows in the order of their names. `name` is a property of the first, so that pages keep their names."""

    name: str
    first: str
    last: str
    rows: tuple[RepoRow, ...]


def cut_list(rows: Iterable[RepoRow]) -> Iterator[ListPage]:
    """The list in pages whose boundaries are properties of names: one new repo rewrites one page, at most two."""
    page: list[RepoRow] = []
    for row in sorted(rows, key=_order):
        if page and _begins_page(row):
            yield _page(page)
            page = []
        page.append(row)
    if page:
        yield _page(page)


def page_key(repo: Repo) -> str:
    """The key of a repo's page."""
    return site_key(_page_name(repo))


def whole_key(name: str) -> str:
    """The key of the same object for those who may see more than everybody; there only where it differs."""
    return site_key(f"{WHOLE}{name}")


def repo_of_page(name: str) -> Repo | None:
    """Whose page an object of the catalogue is; None for what is no repo's."""
    found = _REPO_PAGE.fullmatch(name)
    try:
        return None if found is None else Repo(Kind(found[1]), found[2].replace("--", "/"))
    except ValueError:
        return None


def _page_name(repo: Repo) -> str:
    return f"{repo.kind.plural}/{repo.id.replace('/', '--')}.html"


def _order(row: RepoRow) -> tuple[str, str]:
    return row.repo.lower(), row.kind.value


def _hash(row: RepoRow) -> str:
    return sha256(f"{row.kind.plural}/{row.repo}".encode()).hexdigest()


def _begins_page(row: RepoRow) -> bool:
    return int(_hash(row)[:16], 16) % ROWS_PER_PAGE == 0


def _page(rows: list[RepoRow]) -> ListPage:
    return ListPage(_hash(rows[0])[:12], rows[0].repo, rows[-1].repo, tuple(rows))
