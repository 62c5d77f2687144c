"""`policy` of jobs.yaml: what holds for all jobs beside their licences, to which a job may add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mirror_sync.config.findings import Finding, Trail, quoted
from mirror_sync.config.keys.format_entries import FormatsEntry, ScanEntry
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.policy.house_rules import HouseRules, Restriction
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.domain.times import spoken_duration


def _pattern(text: str) -> RepoPattern:
    if text.startswith("!"):
        raise ValueError(f"{quoted(text)} is a denial, and nothing is taken out of this list; write {text[1:121]}")
    return RepoPattern.parse(text)


PolicyGlob = Annotated[RepoPattern, scalars.from_text(_pattern), scalars.TEXT]


class RestrictedEntry(Keys):
    """Repos that wait for a decision, and whether each commit of them does."""

    repos: PolicyGlob = Field(description="A repo, or a glob over those of one owner.", examples=["acme/secret-*"])
    pin: scalars.Switch = Field(default=False, description="Each commit waits for its own decision.", examples=[True])


def _restricted_tag(value: Any) -> str:
    return f"{UNION}entry" if isinstance(value, dict) else f"{UNION}glob"


Restricted = Annotated[
    Annotated[PolicyGlob, Tag(f"{UNION}glob")] | Annotated[RestrictedEntry, Tag(f"{UNION}entry")],
    Discriminator(_restricted_tag),
]


class PolicyEntry(Keys):
    """What may be mirrored, beside the licences, and when."""

    forbidden: tuple[PolicyGlob, ...] | None = Field(
        default=None,
        description="Repos that are never mirrored, whatever else says; no decision lifts it.",
        examples=[["evil-org/*", "dataset:acme/leak"]],
    )
    restricted: tuple[Restricted, ...] | None = Field(
        default=None,
        description="Repos that are held until a decision names them; {repos, pin: true} wants one for each commit.",
        examples=[["meta-llama/*", {"repos": "acme/secret-*", "pin": True}]],
    )
    cooldown: scalars.Interval | None = Field(
        default=None,
        description="A new commit is held until it is that old upstream; published at once when left out.",
        examples=["3d"],
    )
    inherit_base_model: Literal["hold"] | None = Field(
        default=None,
        description="hold: a model waits whose card names a base model of a licence that is not allowed here.",
        examples=["hold"],
    )

    formats: FormatsEntry | None = Field(
        default=None,
        description="What becomes of a snapshot by what its files are; nobody looks at them when left out.",
        examples=[{"refuse": ["executable"], "hold": ["pickle", "code", "unknown"], "allow": ["data", "text"]}],
    )
    scan: ScanEntry | None = Field(
        default=None,
        description="Who scans the files of a snapshot; nobody when left out.",
        examples=[{"hub": "hold", "picklescan": True}],
    )

    @property
    def house(self) -> HouseRules:
        """The rules that these keys are."""
        return HouseRules(
            forbidden=self.forbidden or (),
            restricted=tuple(map(_restriction, self.restricted or ())),
            cooldown=self.cooldown or timedelta(0),
            inherit_base_model=self.inherit_base_model is not None,
        )

    def loosened(self, trail: Trail, common: PolicyEntry) -> Iterator[Finding]:
        """What a job, whose entry this is, would take away from what holds for all of them."""
        if common.cooldown is not None and self.cooldown is not None and self.cooldown < common.cooldown:
            least = spoken_duration(common.cooldown)
            message = f"is shorter than policy.cooldown, which holds for all jobs; write {least} or more, or remove it"
            yield Finding((*trail, "cooldown"), message)
        pinned = {one.pattern for one in common.house.restricted if one.pin}
        for index, entry in enumerate(self.restricted or ()):
            one = _restriction(entry)
            if one.pattern in pinned and not one.pin:
                message = f"policy.restricted, which holds for all jobs, pins {quoted(one.pattern)}; remove it here"
                yield Finding((*trail, "restricted", index), message)

    def inspecting(self, job: Job, own: PolicyEntry | None) -> Job:
        """A job whose files are judged by this policy, which is common to all, and by its own."""
        formats = None if self.formats is None else self.formats.policy()
        if own is not None and own.formats is not None:
            formats = own.formats.policy() if formats is None else own.formats.upon(formats)
        scan = None if self.scan is None else self.scan.policy()
        if own is not None and own.scan is not None:
            more = own.scan.policy(self.scan)
            scan = scan.tightened(more) if scan and more else scan or more
        return replace(job, formats=formats, scan=scan)

    def inspection_doubts(self, trail: Trail) -> Iterator[Finding]:
        """What is odd about scan."""
        if self.scan is not None:
            yield from self.scan.doubts((*trail, "scan"))

    def inspection_faults(self, trail: Trail, common: PolicyEntry | None = None) -> Iterator[Finding]:
        """What is wrong with formats and scan; `common`: of a job, beside what holds for all of them."""
        if self.formats is not None:
            yield from self.formats.doubled((*trail, "formats"))
            if common is not None and common.formats is not None:
                yield from self.formats.loosened((*trail, "formats"), common.formats)
        if self.scan is not None:
            yield from self.scan.faults((*trail, "scan"))
            if common is not None and common.scan is not None:
                yield from self.scan.loosened((*trail, "scan"), common.scan)


def _restriction(entry: RepoPattern | RestrictedEntry) -> Restriction:
    return Restriction(entry) if isinstance(entry, RepoPattern) else Restriction(entry.repos, entry.pin)
