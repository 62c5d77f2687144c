"""When somebody is told of a repo: once for each change of its state, not for each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from mirror_sync.domain.repo import Repo
from mirror_sync.domain.report import RepoOutcome, RepoReport

_STUCK = (RepoOutcome.FAILED, RepoOutcome.HELD)


class Turn(StrEnum):
    PUBLISHED = "published"  # a snapshot of it
    FAILED = "failed"  # and had not before
    HELD = "held"  # and was not before, or for another cause
    RECOVERED = "recovered"  # published or unchanged, and had failed or was held before


class Shape(StrEnum):
    """The body of a POST, as the receiver wants it."""

    JSON = "json"
    SLACK = "slack"
    WECOM = "wecom"
    FEISHU = "feishu"
    DINGTALK = "dingtalk"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that gets the notice as JSON on its standard input."""

    arguments: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Post:
    """An address that gets the notice by HTTP POST; it may hold a secret."""

    url: str = field(repr=False)
    shape: Shape = Shape.JSON
    timeout: timedelta = timedelta(seconds=30)


Hook = Command | Post
Hooks = Mapping[Turn, tuple[Hook, ...]]


@dataclass(frozen=True, slots=True)
class State:
    """What a repo was found in last; `code` is the cause in a word."""

    outcome: RepoOutcome
    code: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told; `at` is ISO 8601 in UTC, `before` None where nothing was known."""

    turn: Turn
    at: str
    run: str
    report: RepoReport
    before: RepoOutcome | None

    @property
    def text(self) -> str:
        """One line: held: acme/one@main (job models): the guard's reason."""
        report = self.report
        name = f"{Repo(report.kind, report.repo)}@{report.revision}"
        commit = f", commit {report.commit[:8]}" if report.commit else ""
        reason = f": {report.reason}" if report.reason else ""
        return f"mirror-sync {self.turn}: {name} (job {report.job}{commit}){reason}"

    def encode(self) -> dict[str, Any]:
        """What a command reads; sizes in bytes."""
        return {
            "event": self.turn,
            "at": self.at,
            "run": self.run,
            "before": self.before,
            "text": self.text,
            **asdict(self.report),
        }

    def body(self, shape: Shape) -> dict[str, Any]:
        """What an address gets. Source: the incoming-webhook pages of Slack, WeCom, Feishu and DingTalk."""
        match shape:
            case Shape.JSON:
                return self.encode()
            case Shape.SLACK:
                return {"text": self.text}
            case Shape.FEISHU:
                return {"msg_type": "text", "content": {"text": self.text}}
            case Shape.WECOM | Shape.DINGTALK:
                return {"msgtype": "text", "text": {"content": self.text}}


def turns(before: State | None, report: RepoReport) -> tuple[Turn, ...]:
    """What a report changes of what was known; a refusal by policy is an answer, and nobody is told."""
    was = before.outcome if before else None
    match report.outcome:
        case RepoOutcome.PUBLISHED:
            return (Turn.RECOVERED, Turn.PUBLISHED) if was in _STUCK else (Turn.PUBLISHED,)
        case RepoOutcome.UNCHANGED if was in _STUCK:
            return (Turn.RECOVERED,)
        case RepoOutcome.FAILED if was is not RepoOutcome.FAILED:
            return (Turn.FAILED,)
        case RepoOutcome.HELD if before != State(RepoOutcome.HELD, report.code):
            return (Turn.HELD,)
    return ()
