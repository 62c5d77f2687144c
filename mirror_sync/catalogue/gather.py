"""What a target publishes of each repo, read once and remembered until its refs.json changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from heapq import nsmallest
from itertools import islice
from typing import Any

from mirror_sync.catalogue import formats
from mirror_sync.catalogue.contents.repo_contents import (
    ContentFile,
    RecentDocuments,
    RepoContents,
    classes_of,
    document,
)
from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.bounds import short
from mirror_sync.domain.catalogue.rows import (
    REASON,
    RELATIONS,
    ShownMove,
    ShownPush,
    ShownSnapshot,
    ShownVerdict,
)
from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import CLOSED, VERSIONS, Refs, name_fault
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.content.snapshot import Root, description
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.content.versions import decode_history
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.torrent_metainfo import FACTS, TorrentFacts
from mirror_sync.domain.formats.weights import Weights, main_weights
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.own.pushed import Pushed, spoken_figure
from mirror_sync.domain.policy.house_rules import bases_of
from mirror_sync.domain.policy.terms import terms_from_card
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import DocumentError, KeyMissing, StoreError
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import (
    MAX_DESCRIPTION,
    Stat,
    Store,
    read_beginning,
    read_refs_json,
)

_FORMAT = "13"  # of what is remembered: a line about refs.json, and then the facts
_SETTLED = 2.0  # seconds, after which a file that was changed once more has another time: clocks count in steps
_SIGNED, _SCANNED = "SHA256SUMS.sig", "scans"  # attachments of a root: what is signed, and was scanned, has them
_WORD, _LICENSES = 200, 10  # characters of a word that upstream chose, and licences
_PATTERNS = 50  # of a selection, that are shown
_TASKS = "task_categories:"  # how a dataset's tags name what it is for
_BRANCH = "main"
_MOVES = 50  # of names, that are shown
_BASES, _NAMES, _COMMITS = 8, 32, 4  # base models, names of commits and commits that are searched for
_LONGEST_ITEM = 8192  # characters
_LEAST = (
    *("_id", "id", "modelId", "author", "sha", "createdAt", "lastModified", "private", "gated", "disabled", "tags"),
    *("pipeline_tag", "library_name"),
)


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """What is published of a repo; the snapshots newest first. `shown` is the commit whose files are `listings`.

    `gone` is the code of why its upstream gives it no more, `since` when it first did not. `left` is what `patterns`,
    the selection in words, leave out of it; None where that is not known. `classes` is the
    digest of the document that an inspection left. `verdicts`, `signed` and `scanned` are of the shown commit.
    `item` is what the Hub's lists say of it, as JSON. `withdrawn`: a person has taken it down. `closed`: its upstream
    gave it to some people only, or did not say that it did not. `parameters` of the weights that stand for the shown
    commit, 0 where nobody knows; `bases` are the models it was made from, by `relation`; `card` and `licence` are the
    files that hold them.
    """

    licenses: tuple[str, ...] = ()
    task: str = ""
    library: str = ""
    verdict: str = ""
    gone: str = ""
    since: str = ""
    shown: str | None = None
    listings: tuple[str, ...] = ()
    snapshots: tuple[ShownSnapshot, ...] = ()
    left: tuple[LeftOut, ...] | None = ()
    patterns: str = ""
    item: str = ""
    classes: str = ""
    withdrawn: bool = False
    verdicts: tuple[ShownVerdict, ...] = ()
    signed: bool = False
    scanned: bool = False
    closed: bool = False
    moves: tuple[ShownMove, ...] = ()
    pushed: ShownPush | None = None
    words: tuple[str, ...] = ()
    parameters: int = 0
    bases: tuple[str, ...] = ()
    relation: str = ""
    card: ContentFile = ContentFile()
    licence: ContentFile = ContentFile()
    refs: str = ""  # the SHA-256 of refs.json
    taken_down: str = ""  # when a person has, in ISO 8601

    @property
    def newest(self) -> ShownSnapshot | None:
        """The snapshot that is shown."""
        return next((one for one in self.snapshots if one.commit == self.shown), None)


def facts_name(repo: Repo) -> str:
    """Under what name the facts of a repo are remembered."""
    return f"{refs_key(repo)}#facts"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is remembered of a repo: its `facts` as they are written, and of which refs.json they are.

    `refs` is the MD5 of that, or what a listing gives for one; `stat` its time and size in a store that lists no MD5.
    """

    refs: str = ""
    stat: tuple[float, int] | None = None
    facts: bytes = b"{}"

    def encode(self) -> bytes:
        return json.dumps([self.refs, self.stat]).encode() + b"\n" + self.facts

    @classmethod
    def decode(cls, body: bytes) -> _Kept:
        """ValueError, TypeError for anything else."""
        head, _, facts = body.partition(b"\n")
        refs, stat = json.loads(head)
        return cls(str(refs), None if stat is None else (float(stat[0]), int(stat[1])), facts)


class Gather:
    """Raises StoreError, and DocumentError for what is published and cannot be read. Safe for many threads.

    `now`: when this began, in seconds since the epoch. `anew`: nothing that was remembered is believed.
    """

    def __init__(self, store: Store, read_cache: ReadCache, now: float, *, anew: bool = False) -> None:
        self._store, self._read_cache, self._now, self._anew = store, read_cache, now, anew
        self.documents = RecentDocuments(store)

    def facts(self, repo: Repo, listed: Stat) -> tuple[RepoFacts, str]:
        """The facts, and a word that is another one where they are. `listed` is the repo's refs.json, as a listing gave
        it: what it says is not read again.

        A store that lists no MD5 lists a time and a size. These are enough where they had been so for a while when the
        file was read: what is written since has another time.
        """
        name, stat = facts_name(repo), None if listed.md5 is not None else (listed.modified, listed.size)
        kept = self._recall(name)
        same = kept.refs == listed.md5 if stat is None else kept.stat == stat
        if same and (remembered := _facts_of(kept)) is not None:
            return remembered, _word_of(kept)
        try:
            body = read_refs_json(self._store, repo)
        except KeyMissing:
            return RepoFacts(), ""
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        settled = stat if stat is not None and self._is_settled(listed) else None
        if listed.md5 in (None, md5) and kept.refs == md5 and (remembered := _facts_of(kept)) is not None:
            if settled is not None:
                self._remember(name, replace(kept, stat=settled))
            return remembered, _word_of(kept)
        facts = replace(self._read(Refs.decode(body), _known(kept)), refs=Sha256.of(body))
        written = json.dumps(asdict(facts), separators=(",", ":")).encode()
        made = _Kept(self._version(listed, md5), settled, written)
        self._remember(name, made)
        return facts, _word_of(made)

    def _is_settled(self, listed: Stat) -> bool:
        """Whether what was read just now is what was listed, by a time that is past."""
        return self._now - listed.modified > _SETTLED and self._store.stat(listed.key) == listed

    def _version(self, listed: Stat, md5: str) -> str:
        """What bytes of this MD5 are listed as: by another word where that is no MD5, as of an encrypted object."""
        if listed.md5 in (None, md5):
            return md5
        # the same before and after the bytes were read: so it is theirs
        again = next((stat for stat in self._store.list(listed.key) if stat.key == listed.key), None)
        return listed.md5 if again is not None and (again, again.md5) == (listed, listed.md5) else md5

    def _read(self, refs: Refs, known: Mapping[str, ShownSnapshot]) -> RepoFacts:
        snapshots = sorted(
            (self._snapshot(refs, commit, root, known) for commit, root in refs.snapshots.items()),
            key=lambda one: (one.published or "", one.committed or "", one.commit),
            reverse=True,
        )
        if not snapshots:
            buried = RepoFacts() if refs.tombstone is None else self._taken_down(refs.tombstone)
            gone, since = _gone(refs)
            return replace(buried, gone=gone, since=since, closed=buried.closed or CLOSED in refs.attachments)
        shown = CommitId(refs.commit_of(_BRANCH) or snapshots[0].commit)
        root = Root.decode(document(self._store, refs.snapshots[shown]))
        described = self._since(refs, self._described(root))
        contents = RepoContents(self._store, self.documents, self._read_cache, root)
        main = main_weights(contents.weights())
        others = (one for one in refs.telling if one != refs.snapshots[shown])
        newer = (Root.decode(document(self._store, one)) for one in others)
        gone, since = _gone(refs)
        return replace(
            described,
            closed=described.closed or any(self._described(one).closed for one in newer),
            moves=self._moves(refs),
            verdict=_fit(short(root.reason, REASON)),
            gone=gone,
            since=since,
            shown=shown,
            listings=tuple(shard.digest for shard in root.shards),
            snapshots=tuple(snapshots),
            left=_left(root),
            patterns="" if root.selection == Selection() else _fit(short(str(root.selection), REASON)),
            classes=classes_of(root),
            words=tuple(dict.fromkeys((*described.words, *described.bases, *_spoken(main), *_versions(snapshots)))),
            parameters=main.parameters if main else 0,
            card=contents.card,
            licence=contents.licence,
            verdicts=tuple(
                ShownVerdict(one.rule, one.outcome.value, _fit(short(one.reason, REASON))) for one in root.verdicts
            ),
            signed=_SIGNED in root.attachments,
            scanned=_SCANNED in root.attachments,
        )

    def _taken_down(self, tombstone: Sha256) -> RepoFacts:
        """When, and whether not everybody may hear of it: nobody does where that cannot be read."""
        with suppress(DocumentError):
            word = Tombstone.decode(document(self._store, tombstone))
            return RepoFacts(withdrawn=True, closed=word.closed, taken_down=_utc(word.at))
        return RepoFacts(withdrawn=True, closed=True)

    @staticmethod
    def _since(refs: Refs, described: RepoFacts) -> RepoFacts:
        """The same with what its upstream has closed without a commit."""
        if CLOSED not in refs.attachments:
            return described
        item = json.loads(described.item) | json.loads(CLOSED_MARK.body)
        return replace(described, closed=True, item=json.dumps(item, ensure_ascii=True, separators=(",", ":")))

    def _described(self, root: Root) -> RepoFacts:
        return _described(_there(root.info, partial(read_beginning, self._store, root.info, MAX_DESCRIPTION)))

    def _moves(self, refs: Refs) -> tuple[ShownMove, ...]:
        """The last moves of names, newest first; where their history cannot be read there is none to show."""
        digest = refs.attachments.get(VERSIONS)
        try:
            moves = () if digest is None else decode_history(document(self._store, digest))
        except DocumentError:
            return ()
        return tuple(
            ShownMove(
                one.at,
                one.name,
                one.before or "",
                one.after or "",
                _word(one.by),
                _fit(short(one.why, REASON)),
                _word(one.verb),
            )
            for one in reversed(moves[-_MOVES:])
        )

    def _snapshot(
        self, refs: Refs, commit: CommitId, digest: Sha256, known: Mapping[str, ShownSnapshot]
    ) -> ShownSnapshot:
        ours = (name for name, to in refs.channels.items() if to == commit)
        named = (
            *(ref.shortest for ref in refs.refs if ref.target == commit and ref.shortest not in refs.channels),
            *ours,
        )
        names = tuple(name for name in named if not name_fault(name))  # they stand in commands to copy
        if digest in known and known[digest].commit == commit:
            return replace(known[digest], names=names)
        root = Root.decode(document(self._store, digest))
        stat = self._store.stat(blob_key(digest))
        at = None if stat is None else iso_utc(datetime.fromtimestamp(stat.modified, UTC))
        made = moment(root.last.get("date"))
        committed = None if made is None else iso_utc(made)
        title = _word(root.last.get("title"))
        torrent = self._torrent(root)
        return ShownSnapshot(commit, digest, names, title, committed, at, root.files, root.size, torrent)

    def _torrent(self, root: Root) -> str:
        digest = root.attachments.get(FACTS)
        if digest is None:
            return ""
        known = TorrentFacts.decode(document(self._store, digest))
        return f"!{_fit(short(known.why, REASON))}" if known.why else f"{known.infohash} {known.private}"

    def _recall(self, name: str) -> _Kept:
        if self._anew:
            return _Kept()
        with suppress(StoreError, ValueError, TypeError, IndexError):
            return _Kept.decode(self._read_cache.recall(name, _FORMAT) or b'["",null]')
        return _Kept()

    def _remember(self, name: str, kept: _Kept) -> None:
        with suppress(StoreError):
            self._read_cache.remember(name, _FORMAT, kept.encode())


def _there(digest: Sha256, read: Callable[[], bytes]) -> bytes:
    """What is published must be there."""
    try:
        return read()
    except KeyMissing as error:
        raise DocumentError(f"document {digest} is missing") from error


def _said(info: bytes) -> Any:
    try:
        return description(info.decode(errors="ignore"))
    except ValueError:  # of another shape than ours
        return json.loads(info)


def _described(info: bytes) -> RepoFacts:
    """What the Hub's info answer says of a repo, whatever shape it has; its beginning, where its files make it long."""
    try:
        said = _said(info)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not an info document: {error!r}") from error
    said = said if isinstance(said, dict) else {}
    card, tags = said.get("cardData"), said.get("tags")
    card = card if isinstance(card, dict) else {}
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    tasks = [tag.removeprefix(_TASKS) for tag in tags if tag.startswith(_TASKS)] or _listed(card.get("task_categories"))
    licenses = tuple(map(_word, nsmallest(_LICENSES, terms_from_card(card, tags).licenses)))
    task = _word(said.get("pipeline_tag")) or _word(card.get("pipeline_tag")) or _word(next(iter(tasks), ""))
    library = _word(said.get("library_name")) or _word(card.get("library_name"))
    facts = RepoFacts(licenses, task, library, item=_item(said), closed=closed_by(said))
    bases = tuple(word for one in bases_of(card)[:_BASES] if (word := _word(one)))
    facts = replace(facts, bases=bases, relation=_relation(card, tags) if bases else "")
    pushed = Pushed.of(said)
    return facts if pushed is None else replace(facts, pushed=_shown(pushed), words=tuple(map(_word, pushed.words)))


def _listed(value: object) -> list[object]:
    """What a card names, one or several."""
    return value if isinstance(value, list) else [value]


def _relation(card: Mapping[str, Any], tags: Sequence[str]) -> str:
    """What a repo is to its base model, as its card or a tag (`base_model:quantized:org/name`) says; empty for none."""
    said = (card.get("base_model_relation"), *(tag.split(":")[1] for tag in tags if tag.startswith("base_model:")))
    return next((one for one in said if isinstance(one, str) and one in RELATIONS), "")


def _spoken(main: Weights | None) -> Iterator[str]:
    """How many parameters, and of which types, as somebody would search for that."""
    if main is not None and main.parameters:
        yield formats.amount(main.parameters)
        yield from (dtype for dtype, _ in main.dtypes[:4])


def _versions(snapshots: Sequence[ShownSnapshot]) -> Iterator[str]:
    """The names of commits, and the newest of these."""
    yield from islice((_word(name) for one in snapshots for name in one.names if name != _BRANCH), _NAMES)
    yield from (one.commit for one in snapshots[:_COMMITS])


def _shown(pushed: Pushed) -> ShownPush:
    made = pushed.made_from
    return ShownPush(
        _word(pushed.by),
        _fit(short(pushed.message, REASON)),
        tuple((_word(name), spoken_figure(value)) for name, value in pushed.metrics.items()),
        tuple(
            (_word(name), _word(value if isinstance(value, str) else ", ".join(value)))
            for name, value in pushed.card.items()
        ),
        "" if made is None else _word(f"{made.repo} {made.commit}"),
        "" if made is None else _word(f"{made.tool} {made.version}"),
    )


def _item(said: Mapping[str, Any]) -> str:
    """What the Hub's lists say of a repo, as JSON: all that is known of it where that is not long."""
    counted = {"downloads": 0, "likes": 0}
    whole = {name: value for name, value in said.items() if name != "siblings"}
    least = {name: value for name, value in whole.items() if name in _LEAST}
    bare = {name: whole.get(name) for name in ("id", "sha")}
    for item in (whole, least):
        text = json.dumps({**counted, **item}, ensure_ascii=True, separators=(",", ":"))
        if len(text) <= _LONGEST_ITEM:
            return text
    return json.dumps({**counted, **bare}, ensure_ascii=True, separators=(",", ":"))


def _left(root: Root) -> tuple[LeftOut, ...] | None:
    if root.selection == Selection():
        return ()
    if root.left is None:
        return None
    known = [one for one in root.left if one.rule in ("exclude", "include")][:_PATTERNS]
    return tuple(replace(one, patterns=tuple(map(_word, one.patterns[:_PATTERNS]))) for one in known)


def _word(value: object) -> str:
    return _fit(short(value, _WORD)) if isinstance(value, str) else ""


def _fit(text: str) -> str:
    """Without the half characters that JSON can name, and no page can hold."""
    return text.encode(errors="replace").decode()


def _utc(at: str) -> str:
    """A time as all times here are; empty for what is none."""
    known = moment(at)
    return "" if known is None else iso_utc(known)


def _gone(refs: Refs) -> tuple[str, str]:
    """Why upstream gives it no more, by a code, and since when; empty while it does."""
    if refs.gone is None or refs.gone.code == LET_GO:  # which is a state of what is asked for, and no upstream's doing
        return "", ""
    return _word(refs.gone.code), iso_utc(refs.gone.since)


def _facts_of(kept: _Kept) -> RepoFacts | None:
    """None for what was not written by us."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        return _decoded(json.loads(kept.facts))
    return None


def _word_of(kept: _Kept) -> str:
    return hashlib.sha256(kept.facts).hexdigest()


def _known(kept: _Kept) -> dict[str, ShownSnapshot]:
    """Snapshots that were read before, by their roots."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        return {one.root: one for one in _snapshots(json.loads(kept.facts)["snapshots"])}
    return {}


def _snapshots(kept: list[dict[str, Any]]) -> Iterator[ShownSnapshot]:
    return (ShownSnapshot(**{**one, "names": tuple(one["names"])}) for one in kept)


def _decoded(kept: dict[str, Any]) -> RepoFacts:
    lists = {name: tuple(kept[name]) for name in ("licenses", "listings", "words", "bases")}
    left = None if kept["left"] is None else tuple(_left_out(one) for one in kept["left"])
    verdicts = tuple(ShownVerdict(**one) for one in kept["verdicts"])
    moves = tuple(ShownMove(**one) for one in kept["moves"])
    snapshots = tuple(_snapshots(kept["snapshots"]))
    made = {"snapshots": snapshots, "left": left, "verdicts": verdicts, "moves": moves, "pushed": _push(kept["pushed"])}
    files = {name: ContentFile(**kept[name]) for name in ("card", "licence")}
    return RepoFacts(**{**kept, **lists, **made, **files})


def _push(kept: dict[str, Any] | None) -> ShownPush | None:
    if kept is None:
        return None
    pairs = {name: tuple((one, said) for one, said in kept[name]) for name in ("metrics", "fields")}
    return ShownPush(**{**kept, **pairs})


def _left_out(kept: dict[str, Any]) -> LeftOut:
    return LeftOut(**{**kept, "patterns": tuple(kept["patterns"])})
