"""When somebody is told of repos: once for each change of state, not for each attempt, and once a run for one cause."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mirror_sync.domain.content.refs import MAIN, MAINS
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind, Repo

if TYPE_CHECKING:
    from mirror_sync.domain.outcome.traffic import Unusual

NAMED, LISTED = 10, 100  # repos that the text of a notice names, and that its JSON lists
_STUCK = (RepoOutcome.FAILED, RepoOutcome.HELD)
_REASON = 300  # characters of a reason in the text
# As wide as the others in those writings, and no mark to any of them: no mention, no link, no list, no code.
_UNMARKED = str.maketrans({
    "<": "\N{FULLWIDTH LESS-THAN SIGN}", ">": "\N{FULLWIDTH GREATER-THAN SIGN}", "@": "\N{FULLWIDTH COMMERCIAL AT}",
    "[": "\N{FULLWIDTH LEFT SQUARE BRACKET}", "]": "\N{FULLWIDTH RIGHT SQUARE BRACKET}",
    "*": "\N{FULLWIDTH ASTERISK}", "`": "'", "#": "\N{FULLWIDTH NUMBER SIGN}",
})  # fmt: skip
_LINKED = re.compile(r"(?<=[\w-])\.(?=[^\W\d_])|:(?=//)")  # what makes an address of words
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"})


class StateChange(StrEnum):
    """What a hook is told of: how a repo's state, or what is read, has changed."""

    PUBLISHED = "published"  # a snapshot of it
    FAILED = "failed"  # and had not before
    HELD = "held"  # and was not before, or for another cause
    RECOVERED = "recovered"  # published or unchanged, and had failed or was held before
    MOVED = "moved"  # a name of it, by a person's word
    UNUSUAL = "unusual"  # what clients read, by the log of a front


class Shape(StrEnum):
    """The body of a POST, as the receiver wants it."""

    JSON = "json"
    SLACK = "slack"
    WECOM = "wecom"
    FEISHU = "feishu"
    DINGTALK = "dingtalk"
    HUB_WEBHOOK = "hub-webhook"  # as the Hub tells of a change, which /webhook of another mirror-sync takes

    @property
    def one_by_one(self) -> bool:
        """Whether each publication is told by itself, to a program; people read one line for all of a run."""
        return self in (Shape.JSON, Shape.HUB_WEBHOOK)


@dataclass(frozen=True, slots=True)
class HookCommand:
    """A program that gets the notice as JSON on its standard input, and of our environment the names in `env`."""

    arguments: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=30)
    env: tuple[str, ...] = ()

    @property
    def one_by_one(self) -> bool:
        """Whether it is told of each publication by itself, at once: a program may have something to do for it."""
        return True


@dataclass(frozen=True, slots=True)
class HookPost:
    """An address that gets the notice by HTTP POST; it may hold a secret, and so may `headers`."""

    url: str = field(repr=False)
    shape: Shape = Shape.JSON
    timeout: timedelta = timedelta(seconds=30)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def one_by_one(self) -> bool:
        """See `Shape`."""
        return self.shape.one_by_one


Hook = HookCommand | HookPost
Hooks = Mapping[StateChange, tuple[Hook, ...]]


@dataclass(frozen=True, slots=True)
class LastState:
    """What a repo was found in last; `code` is the cause in a word."""

    outcome: RepoOutcome
    code: str = ""


@dataclass(frozen=True, slots=True)
class ToldRepo:
    """A repo in a notice; `before` None where nothing was known of it."""

    report: RepoReport
    before: RepoOutcome | None

    @property
    def name(self) -> str:
        """The repo and its revision, as people write them."""
        return self.report.spoken

    def encode(self) -> dict[str, Any]:
        """An entry of `repos` in a notice's JSON; the reason is one line."""
        return {"before": self.before, **asdict(self.report), "reason": one_line(self.report.reason)}


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told of all repos that one run brought into one state for one cause, in the order of finding.

    `at` is ISO 8601 in UTC; `several` is false where each repo has a notice of its own.
    """

    turn: StateChange
    at: str
    run: str
    repos: tuple[ToldRepo, ...]
    several: bool = True

    @property
    def about(self) -> str:
        """In a word, for the log."""
        return f"{self.first.repo} and {len(self.repos) - 1:,} more" if len(self.repos) > 1 else self.first.repo

    @property
    def first(self) -> RepoReport:
        """Its reason is the first cause: what came after it may only be its echo."""
        return self.repos[0].report

    @property
    def text(self) -> str:
        """One line: mirror-sync held: acme/one@main (job models): the guard's reason."""
        head, names, reason = self._parts()
        return f"{head}: {names}{f': {reason}' if reason else ''}"

    def encode(self) -> dict[str, Any]:
        """What a command reads; sizes in bytes. The fields of the first repo stand at the top, too."""
        return {
            "event": self.turn,
            "at": self.at,
            "run": self.run,
            "text": self.text,
            "count": len(self.repos),
            "repos": [told.encode() for told in self.repos[:LISTED]],
            **self.repos[0].encode(),
        }

    def body(self, shape: Shape) -> dict[str, Any]:
        """What an address gets. Source: the incoming-webhook pages of Slack, WeCom, Feishu and DingTalk.

        What upstreams say stands in it as text: it mentions nobody and links nowhere.
        """
        if shape is Shape.HUB_WEBHOOK:
            report = self.first
            return _changed(Repo(Kind(report.kind), report.repo), report.revision, report.commit)
        return self.encode() if shape is Shape.JSON else _said(shape, self.text, self._slack())

    def _slack(self) -> str:
        """Names and reason as code, in which Slack sees no links, names and marks."""
        head, names, reason = (part.translate(_SLACK) for part in self._parts())
        return f"{head}: `{names}`{f': `{reason}`' if reason else ''}"

    def _parts(self) -> tuple[str, str, str]:
        report, count = self.first, len(self.repos)
        commit = f", commit {report.commit[:8]}" if report.commit and count == 1 else ""
        names = one_line(", ".join(told.name for told in self.repos[:NAMED]))
        more = f" and {count - NAMED:,} more" if count > NAMED else ""
        head = f"mirror-sync {self.turn}" if count == 1 else f"mirror-sync {self.turn}: {count:,} repos"
        return head, f"{names}{more} (job {report.job}{commit})", one_line(report.reason, _REASON)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What somebody is told of clients of a target that were not told of before. `at` is ISO 8601 in UTC."""

    target: str
    at: str
    clients: tuple[Unusual, ...]
    turn: StateChange = StateChange.UNUSUAL
    several: bool = True
    run: str = ""

    @property
    def about(self) -> str:
        """What it is of, in a few words."""
        return f"target {self.target}"

    @property
    def text(self) -> str:
        """One line: mirror-sync unusual: target bucket: sweep: client 10.0.0.7, ..."""
        more = len(self.clients) - NAMED
        told = "; ".join(one.text for one in self.clients[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return one_line(f"mirror-sync {self.turn}: target {self.target}: {told}")

    def encode(self) -> dict[str, Any]:
        """The notice as JSON; of many clients the first 100, as of repos."""
        found = [one.encode() for one in self.clients[:LISTED]]
        common = {"event": self.turn, "at": self.at, "target": self.target, "text": self.text}
        return {**common, "count": len(self.clients), "clients": found}

    def body(self, shape: Shape) -> dict[str, Any]:
        """What is sent to a service that wants it in this shape."""
        return self.encode() if shape is Shape.JSON else _said(shape, self.text, f"`{self.text.translate(_SLACK)}`")


@dataclass(frozen=True, slots=True)
class NameNotice:
    """What somebody is told of a name that a person has moved. `at` is ISO 8601 in UTC, commits None where none is."""

    target: str
    repo: str
    name: str
    verb: str
    before: str | None
    after: str | None
    by: str
    why: str
    at: str
    turn: StateChange = StateChange.MOVED
    several: bool = True
    run: str = ""

    @property
    def about(self) -> str:
        """What it is of, in a few words."""
        return self.repo

    @property
    def text(self) -> str:
        """One line: mirror-sync moved: acme/x stable from 1a2b3c4d to 5e6f7a8b (promote by alice@host): reason."""
        before, after = (one[:8] if one else "nothing" for one in (self.before, self.after))
        why = f": {one_line(self.why, _REASON)}" if self.why else ""
        moved = f"{self.repo} {self.name} from {before} to {after} ({self.verb} by {self.by})"
        return one_line(f"mirror-sync {self.turn}: {moved}{why}")

    def encode(self) -> dict[str, Any]:
        """The notice as JSON."""
        names = ("at", "target", "repo", "name", "verb", "before", "after", "by", "why", "text")
        return {"event": self.turn, **{name: getattr(self, name) for name in names}}

    def body(self, shape: Shape) -> dict[str, Any]:
        """What is sent to a service that wants it in this shape."""
        if shape is Shape.HUB_WEBHOOK:
            return _changed(Repo.parse(self.repo), self.name, self.after)
        return self.encode() if shape is Shape.JSON else _said(shape, self.text, f"`{self.text.translate(_SLACK)}`")


AnyNotice = Notice | Alarm | NameNotice


def _changed(repo: Repo, revision: str, commit: str | None) -> dict[str, Any]:
    """The Hub's payload of a change of files; of another name than main all that is followed is to be looked at.

    Source: https://huggingface.co/docs/hub/webhooks, version 3.
    """
    moved = [{"ref": MAIN, "oldSha": None, "newSha": commit}] if revision in MAINS else None
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": repo.kind.value, "name": repo.id, "headSha": commit},
        "webhook": {"version": 3},
        **({} if moved is None else {"updatedRefs": moved}),
    }


def _said(shape: Shape, text: str, slack: str) -> dict[str, Any]:
    """The body of one line for a chat."""
    match shape:
        case Shape.SLACK:
            return {"text": slack, "unfurl_links": False, "unfurl_media": False}
        case Shape.FEISHU:
            return {"msg_type": "text", "content": {"text": unmarked(text)}}
        case _:
            return {"msgtype": "text", "text": {"content": unmarked(text)}}


def one_line(text: str, most: int = 4000) -> str:
    """Text of others as a part of our line: no breaks, nothing that cannot be seen, and an end."""
    seen = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * most])
    seen = " ".join(seen.split())
    return seen if len(seen) <= most else f"{seen[: most - 3]}..."


def unmarked(text: str) -> str:
    """A line without anything that a chat makes a mention, a link or a mark of."""
    return _LINKED.sub(
        lambda found: "\N{FULLWIDTH FULL STOP}" if found[0] == "." else "\N{FULLWIDTH COLON}", text
    ).translate(_UNMARKED)


def turns(before: LastState | None, report: RepoReport) -> tuple[StateChange, ...]:
    """What a report changes of what was known; a refusal by policy is an answer, and nobody is told.

    Nor of what a target has let go of, which waits for no person, and of its return but that it is published.
    """
    if report.code == LET_GO:
        return ()
    was = before.outcome if before and before.code != LET_GO else None
    match report.outcome:
        case RepoOutcome.PUBLISHED:
            return (StateChange.RECOVERED, StateChange.PUBLISHED) if was in _STUCK else (StateChange.PUBLISHED,)
        case RepoOutcome.UNCHANGED if was in _STUCK:
            return (StateChange.RECOVERED,)
        case RepoOutcome.FAILED if was is not RepoOutcome.FAILED:
            return (StateChange.FAILED,)
        case RepoOutcome.HELD if before != LastState(RepoOutcome.HELD, report.code):
            return (StateChange.HELD,)
    return ()
