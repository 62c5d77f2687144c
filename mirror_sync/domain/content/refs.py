"""refs.json, by which alone a repo is published: which commits are mirrored, and under which names.

It is the Hub's answer to `/api/{kind}s/{id}/refs`, restricted to what is mirrored, plus

    "format": 2
    "snapshots": {"<commit>": "<SHA-256 of its root document>"}
    "channels": {"<name>": "<commit>"}  names that this mirror gives to commits
    "attachments": {"<name>": "<SHA-256>"}  documents of the repo as a whole
    "absent": {...}                     of a repo that its upstream no longer gives (gone.py)
    "log": [...]                        what changed last (ref_log.py)
    "gone": {"since": "..."}            nothing but a word to programs that know format 1 alone

One PUT of it publishes or un-publishes. Format 1 says no format, and has none of these but `snapshots` and, for
`absent`, `gone`. Programs of that time know no format of a refs.json, and would write it anew without the rest: they
stop at this `since`, which is no time, and repeat what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import FORMAT, exactly, few, format_of, in_brief, word
from mirror_sync.domain.content.ref_log import LOGGED_OURS, LogEntry, newest, read_log, write_log
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.errors import DocumentError

DEFAULT_BRANCH = "main"
HEAD = "HEAD"  # git's name for the default branch, by which clients in JavaScript ask
MAIN = f"refs/heads/{DEFAULT_BRANCH}"
MAINS = (DEFAULT_BRANCH, HEAD, MAIN)  # all names of main
OURS = "refs/channels/"  # begins the full name of a name that this mirror gives
_SHORT = ("branches", "tags")
_ASKED = 8  # snapshots of a repo without a main branch
GROUPS = (*_SHORT, "converts", "pullRequests")  # the Hub's lists of refs
TOMBSTONE = "tombstone"  # the attachment that says why all of a repo was taken down (tombstone.py)
LEFT_BEHIND = "left-behind"  # that lists what it named, as long as the take-down is not at its end
MOST_CHANNELS = 256
MOST_ATTACHMENTS = 64
VERSIONS = "versions"  # the attachment that tells who moved names of ours, and why (versions.py)
PINNED = "pinned"  # that keeps main where it is, and says why
CLOSED = "closed"  # that says that the upstream has closed the repo since main was published (closed_repos.py)
HELD = "held."  # begins the name of an attachment about a commit that is held: see held_note.py
STATEMENT, STATEMENT_SIGNATURE = "statement", "statement.sig"
"""The attachments by which a mirror signs what a refs.json says; they are of that refs.json alone."""
_KEYS = ("format", *GROUPS, "channels", "snapshots", "attachments", "log", "gone")
_TO_FORMAT_1 = {"since": "this is format 2, which only a newer mirror-sync reads"}
LONGEST_NAME = 255  # bytes: a client's cache has a file of that name, and most file systems know none longer
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_FULL_NAMES = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/convert/": "converts", "refs/pr/": "pullRequests"}


def name_fault(name: str) -> str:
    """Why no branch or tag may be called so, by a short name or a full one; empty where it may.

    The rules are those of git-check-ref-format(1) and, since a name is shown and stands in commands to copy, two more:
    every character can be seen, and it is no longer than LONGEST_NAME.
    """
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    if not name.isprintable():
        return "it has characters that nobody sees"
    parts = name.split("/")
    odd_part = any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    if _NEVER.search(name) or odd_part or name.startswith("-") or name.endswith(".") or name == "@":
        return "git knows no such name (git check-ref-format)"
    return ""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A mutable name of a commit: `name` main, `ref` refs/heads/main; `group` is the Hub's list it stands in."""

    group: str
    name: str
    ref: str
    target: CommitId

    @property
    def shortest(self) -> str:
        """The shortest name that leads here: conversions and pull requests have their full one alone, as on the Hub."""
        return self.name if self.group in _SHORT else self.ref

    @classmethod
    def of_full_name(cls, ref: str, target: CommitId) -> Ref | None:
        """`refs/convert/parquet` and the like say by themselves what they are; None for a short name."""
        for prefix, group in _FULL_NAMES.items():
            if ref.startswith(prefix):
                return cls(group, ref.removeprefix(prefix), ref, target)
        return None


def held_name(commit: CommitId) -> str:
    """The name of the attachment about a commit that is held."""
    return f"{HELD}{commit}"


def refs_named(refs: Iterable[Ref], revision: str) -> list[Ref]:
    """What a name may stand for, the best first: a full name, a branch, a tag; see decision 0015."""
    asked = MAIN if revision == HEAD else revision
    found = [ref for ref in refs if asked in (ref.ref, ref.shortest)]
    return sorted(found, key=lambda ref: (ref.ref != asked, GROUPS.index(ref.group)))


@dataclass(frozen=True, slots=True)
class Refs:
    """The names and snapshots of one mirrored repo; `log` says what changed last.

    `attachments` are documents of the repo as a whole, by their names: whoever walks follows them without knowing one.
    """

    refs: tuple[Ref, ...] = ()
    snapshots: dict[CommitId, Sha256] = field(default_factory=dict)
    gone: Gone | None = None
    channels: dict[str, CommitId] = field(default_factory=dict)
    attachments: dict[str, Sha256] = field(default_factory=dict)
    log: tuple[LogEntry, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether something of a repo is published, or was until it was withdrawn or taken down."""
        return bool(self.snapshots) or self.gone is not None or self.tombstone is not None

    @property
    def named(self) -> frozenset[CommitId]:
        """The commits that some name leads to, of the upstream's or of ours."""
        return frozenset((*(ref.target for ref in self.refs), *self.channels.values()))

    @property
    def tombstone(self) -> Sha256 | None:
        """The digest of the document that says why the repo was taken down; None where it was not."""
        return self.attachments.get(TOMBSTONE)

    def commit_of(self, revision: str) -> CommitId | None:
        """The mirrored commit that a branch, tag, full ref name, HEAD or commit id stands for."""
        if CommitId.matches(revision):
            return CommitId(revision) if revision in self.snapshots else None
        return next((ref.target for ref in refs_named(self.refs, revision) if ref.target in self.snapshots), None)

    def leads_to(self, revision: str) -> CommitId | None:
        """What a reader gets who asks for a revision: as `commit_of`, and a name of ours before the upstream's.

        Jobs ask the upstream, and so `commit_of`: what it calls stable is not what we call so.
        """
        ours = None if CommitId.matches(revision) else self.channels.get(revision.removeprefix(OURS))
        return ours if ours in self.snapshots else self.commit_of(revision)

    def pins(self, revision: str) -> bool:
        """Whether a revision is main, and main is pinned: then nobody moves it but a person."""
        return PINNED in self.attachments and revision in MAINS

    @property
    def newest_words(self) -> tuple[Sha256, ...]:
        """The roots that may hold the upstream's newest words on the repo, main's first; empty without a main.

        While main is pinned those are of a commit that came since, or was left: of whatever the log remembers.
        """
        main = self.root_of(DEFAULT_BRANCH)
        if main is None or PINNED not in self.attachments:
            return () if main is None else (main,)
        told = (commit for entry in reversed(self.log) for commit in (entry.after, entry.before))
        return tuple(dict.fromkeys((main, *(self.snapshots[one] for one in told if one in self.snapshots))))

    @property
    def telling(self) -> tuple[Sha256, ...]:
        """The roots that tell whether the upstream gave the repo to everybody; without a main whatever is published."""
        return self.newest_words or tuple(sorted(set(self.snapshots.values()))[:_ASKED])

    def shown(self) -> dict[str, list[dict[str, str]]]:
        """The Hub's lists of refs as readers are given them: a name leads where it is listed to lead.

        A name of ours stands among the branches, by a full name of its own; the upstream's of the same short name is
        left out, and answers to its full one.
        """
        found: dict[str, list[dict[str, str]]] = {group: [] for group in GROUPS}
        ours = {name: to for name, to in sorted(self.channels.items()) if to in self.snapshots}
        for ref in self.refs:
            if ref.shortest not in ours:
                found[ref.group].append({"name": ref.name, "ref": ref.ref, "targetCommit": ref.target})
        found[GROUPS[0]] += ({"name": name, "ref": OURS + name, "targetCommit": to} for name, to in ours.items())
        return found

    def root_of(self, revision: str) -> Sha256 | None:
        """The digest of the root document of what a revision stands for; None where nothing is mirrored."""
        commit = self.commit_of(revision)
        return None if commit is None else self.snapshots[commit]

    def names_of(self, commit: CommitId) -> tuple[str, ...]:
        """The upstream's names that stand for a commit, and its id."""
        return (*(ref.shortest for ref in self.refs if ref.target == commit), commit)

    def with_snapshot(self, commit: CommitId, root: Sha256, ref: Ref | None, *, from_fallback: bool = False) -> Refs:
        """Publish a snapshot, and move `ref` onto it, unless it is pinned; a mirrored commit stays readable by its id.

        A repo of which something is published anew is not gone, nor is the commit held any more. `from_fallback`:
        another endpoint than the first one told of it, whose word opens nothing.
        """
        if ref is not None and self.pins(ref.ref):
            ref = None
        kept = [known for known in self.refs if ref is None or (known.group, known.name) != (ref.group, ref.name)]
        refs = tuple(sorted(kept if ref is None else [*kept, ref]))
        told = {held_name(commit)}
        if ref is not None and ref.ref == MAIN and self.snapshots.get(commit) != root and not from_fallback:
            told.add(CLOSED)  # its own info is what the upstream says now
        attached = {name: digest for name, digest in self.attachments.items() if name not in told}
        return replace(self, refs=refs, snapshots={**self.snapshots, commit: root}, gone=None, attachments=attached)

    def attaching(self, attachments: Mapping[str, Sha256]) -> Refs:
        """The same with these documents of the repo as a whole, and no others."""
        return replace(self, attachments=dict(attachments))

    def without(self, commits: Collection[CommitId]) -> Refs:
        """Un-publish some commits, and the names that stand for them."""
        return replace(
            self,
            refs=tuple(ref for ref in self.refs if ref.target not in commits),
            snapshots={commit: root for commit, root in self.snapshots.items() if commit not in commits},
            channels={name: commit for name, commit in self.channels.items() if commit not in commits},
        )

    def noting(self, gone: Gone | None) -> Refs:
        """Remember, or forget, that the upstream no longer gives the repo."""
        return self if gone == self.gone else replace(self, gone=gone)

    def withdrawn(self, gone: Gone | None) -> Refs:
        """Un-publish everything. What was stated last stays named, since the next statement counts on from there."""
        return Refs(gone=gone, attachments=self._statement)

    def with_attachments(self, named: Mapping[str, Sha256]) -> Refs:
        """The same with these documents of the repo as a whole, in the place of others of their names."""
        return replace(self, attachments={**self.attachments, **named})

    def without_attachment(self, name: str) -> Refs:
        """The same without a document of the repo as a whole, where there is one."""
        return replace(self, attachments={known: one for known, one in self.attachments.items() if known != name})

    def moving_main(self, commit: CommitId) -> Refs:
        """The same with main at a published commit, whether it is pinned or not: by a person's word."""
        kept = (ref for ref in self.refs if ref.ref != MAIN)
        return replace(self, refs=tuple(sorted((*kept, Ref(GROUPS[0], DEFAULT_BRANCH, MAIN, commit)))))

    def unstated(self) -> Refs:
        """The same without the statement of what stood here before."""
        kept = {name: one for name, one in self.attachments.items() if name not in (STATEMENT, STATEMENT_SIGNATURE)}
        return replace(self, attachments=kept)

    def with_tombstone(self, tombstone: Sha256, left_behind: Sha256 | None = None) -> Refs:
        """Take everything down, with the word why; `left_behind` lists what is to be removed still.

        The last statement stays named as in `withdrawn`.
        """
        left = {} if left_behind is None else {LEFT_BEHIND: left_behind}
        return Refs(attachments={**self._statement, TOMBSTONE: tombstone, **left})

    @property
    def _statement(self) -> dict[str, Sha256]:
        names = (STATEMENT, STATEMENT_SIGNATURE)
        return {name: self.attachments[name] for name in names if name in self.attachments}

    def logged(self, before: Refs, at: str, by: str) -> Refs:
        """The same with what changed since `before` in its log; `at` in ISO 8601, `by`: which verb, of which job.

        Where nothing is published any more nothing is told: the names may be of a repo that is private by now.
        """
        if not self.snapshots:
            return replace(self, log=())
        changed = (LogEntry(at, *change, by) for change in _changes(before, self))
        # while main is pinned the log is where newer words of the upstream are found: no move of ours drives them out
        return replace(self, log=newest((*before.log, *changed), pinned=PINNED in self.attachments))

    def encode(self) -> bytes:
        """As format FORMAT writes it, whatever format was read. DocumentError for a name with half a character, which
        no file can hold, and for more channels or attachments than a reader takes.
        """
        document: dict[str, Any] = {"format": FORMAT, **{group: [] for group in GROUPS}}
        for ref in self.refs:
            document[ref.group].append({"name": ref.name, "ref": ref.ref, "targetCommit": ref.target})
        try:
            document["channels"] = _channels(dict(sorted(self.channels.items())))
            document["snapshots"] = dict(sorted(self.snapshots.items()))
            document["attachments"] = _attachments(dict(sorted(self.attachments.items())))
            if self.gone is not None:
                document["absent"] = self.gone.encode()
            document |= {"log": write_log(self.log), "gone": _TO_FORMAT_1}
            return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError as error:
            raise DocumentError(f"the name of a ref cannot be written: {ascii(error.object)[:120]}") from error
        except ValueError as error:
            raise DocumentError(f"cannot be written as a refs.json: {in_brief(error)}") from error

    @classmethod
    def decode(cls, body: bytes) -> Refs:
        """DocumentError when the bytes are no refs.json of a known format."""
        try:
            document = json.loads(body.decode())
            first = format_of(document, "refs.json", unsaid=1) == 1
            known = document if first else exactly(document, _KEYS, ("absent",))
            gone = known.get("gone" if first else "absent")
            return cls(
                refs=tuple(_refs(known)),
                snapshots={CommitId(commit): Sha256(root) for commit, root in known["snapshots"].items()},
                gone=Gone.decode(gone) if gone else None,
                channels={} if first else _channels(known["channels"]),
                attachments={} if first else _attachments(known["attachments"]),
                log=() if first else read_log(known["log"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DocumentError(f"not a refs.json: {in_brief(error)}") from error


def _refs(document: Mapping[str, Any]) -> Iterator[Ref]:
    for group in GROUPS:
        for item in document[group]:
            yield Ref(group, text(item["name"]), text(item["ref"]), CommitId(item["targetCommit"]))


def _channels(document: Mapping[str, Any]) -> dict[str, CommitId]:
    few(document, MOST_CHANNELS)
    return {word(name): CommitId(commit) for name, commit in document.items()}


def _attachments(document: Mapping[str, Any]) -> dict[str, Sha256]:
    few(document, MOST_ATTACHMENTS)
    return {word(name): Sha256(digest) for name, digest in document.items()}


def _changes(before: Refs, after: Refs) -> Iterator[tuple[str | None, CommitId | None, CommitId | None]]:
    """What each name left and leads to now, where that differs; then commits that came or went beside them."""
    old, new = _targets(before), _targets(after)
    told = set[CommitId | None]()
    for name in sorted(old.keys() | new.keys()):
        change = old.get(name), new.get(name)
        if change[0] != change[1]:
            told |= {one for one in change if (one in before.snapshots) != (one in after.snapshots)}
            yield (name, *change)
    for commit in sorted(before.snapshots.keys() | after.snapshots.keys()):
        if before.snapshots.get(commit) != after.snapshots.get(commit) and commit not in told:
            yield None, commit if commit in before.snapshots else None, commit if commit in after.snapshots else None


def _targets(refs: Refs) -> dict[str, CommitId]:
    ours = {f"{LOGGED_OURS}{name}": to for name, to in refs.channels.items()}
    return {ref.ref: ref.target for ref in refs.refs} | ours
