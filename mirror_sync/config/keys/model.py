"""The shape of jobs.yaml: every key with its type, its default, its description and an example.

Models know one mapping at a time; what joins two places of the file (a job and its upstream) is in `checks`. A key that
may be left out is None then: no key takes an empty value from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from mirror_sync.config.keys.endpoints import TargetEntry, UpstreamEntry
from mirror_sync.config.keys.hooks import OnEntry
from mirror_sync.config.keys.limit_entries import BandwidthEntry, OnlyText
from mirror_sync.config.keys.own_entries import TransformEntry, VariantsEntry
from mirror_sync.config.keys.policy_entries import PolicyEntry
from mirror_sync.config.keys.program_entries import (
    AccessEntry,
    CatalogueEntry,
    EngineEntry,
    FrontEntry,
    HaEntry,
    HttpEntry,
    MaintenanceEntry,
    TracesEntry,
)
from mirror_sync.config.keys.select import SelectEntry
from mirror_sync.config.keys.trust_entries import TrustEntry
from mirror_sync.config.keys.values import scalars
from mirror_sync.config.keys.values.base_model import UNION, Keys
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.share import WHOLE
from mirror_sync.domain.job.channel_rules import ChannelRule, Rollout
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.job.hours import Hours
from mirror_sync.domain.job.job import Cron, Every, Job
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.licences import Approval, LicensePolicy, Missing
from mirror_sync.domain.repo import Denial, Repo, RepoPattern

_BESIDE = "stands beside every, where only one can be; remove it or every"
_WORKERS = 8
EDGE = "edge"


class WhenKeys(Keys):
    """What any schedule may say."""

    jitter: scalars.Duration = Field(
        default=timedelta(0),
        description="Start at random up to this much later, so that many jobs do not start at once.",
        examples=["5m"],
        json_schema_extra={"default": "0s"},
    )
    only: OnlyText | None = Field(
        default=None,
        description="The hours at which it runs, and days: what is due outside waits, what goes on at their end stops.",
        examples=["01:00-06:00 mon-fri"],
    )

    def hours(self, timezone: str | None) -> Hours | None:
        """The hours of `only`, by the clock of a zone."""
        zone = timezone or "UTC"
        return None if self.only is None else Hours(self.only, UTC if zone == "UTC" else ZoneInfo(zone))


class EveryEntry(WhenKeys):
    """Run again some time after the last start."""

    elsewhere: ClassVar[Mapping[str, str]] = {"cron": f"cron {_BESIDE}"}

    every: scalars.Interval = Field(
        description="The time from one start to the next: days, hours, minutes, seconds.", examples=["6h"]
    )
    timezone: scalars.Zone | None = Field(
        default=None, description="The IANA time zone that only is meant in.", examples=["Asia/Shanghai"]
    )

    @model_validator(mode="after")
    def _zone_of_something(self) -> Self:
        if self.timezone is not None and self.only is None:
            raise ValueError("timezone is for cron, or for only; remove it")
        return self

    @property
    def schedule(self) -> Every:
        """The schedule that a job has by it."""
        return Every(self.every, self.jitter, self.hours(self.timezone))


class CronEntry(WhenKeys):
    """Run at certain times of the clock."""

    cron: scalars.Crontab = Field(
        description="minute hour day month weekday, as crontab writes them.", examples=["0 3 * * *"]
    )
    timezone: scalars.Zone = Field(
        default="UTC", description="The IANA time zone that cron and only are meant in.", examples=["Asia/Shanghai"]
    )

    @property
    def schedule(self) -> Cron:
        """The schedule that a job has by it."""
        return Cron(self.cron, self.timezone, self.jitter, self.hours(self.timezone))


def _schedule_tag(value: Any) -> str | None:
    if value == "manual":
        return f"{UNION}manual"
    if not isinstance(value, dict) or "every" in value:
        return f"{UNION}every"
    return f"{UNION}cron" if "cron" in value else None


ScheduleEntry = Annotated[
    Annotated[EveryEntry, Tag(f"{UNION}every")]
    | Annotated[CronEntry, Tag(f"{UNION}cron")]
    | Annotated[Literal["manual"], Tag(f"{UNION}manual")],
    Discriminator(_schedule_tag),
]


class ApprovalEntry(Keys):
    """A named person's decision that a repo under review may be mirrored."""

    repo: scalars.RepoId = Field(description="The repo, without wildcards.", examples=["org/name"])
    by: scalars.Sentence = Field(description="Who decided.", examples=["Jane Doe, legal"])
    why: scalars.Sentence = Field(description="Why; it is kept with every snapshot.", examples=["ticket LEGAL-42"])


class LicensesEntry(Keys):
    """Which licences may be mirrored; what stands on neither list is refused."""

    allow: tuple[scalars.AllowedId, ...] | None = Field(
        default=None,
        description="Hub licence ids that may be mirrored; other:<license_name> for one that the Hub does not know, or "
        "other:<license_name>@<license_link> for that text alone.",
        examples=[["apache-2.0", "mit"]],
    )
    review: tuple[scalars.LicenseId, ...] | None = Field(
        default=None,
        description="Licence ids that wait until the repo is approved by name.",
        examples=[["llama3.1"]],
    )
    missing: Missing | None = Field(
        default=None, description="What to do with a repo that states no licence.", examples=["refuse"]
    )
    approved: tuple[ApprovalEntry, ...] | None = Field(
        default=None,
        description="Repos under review that a person has approved.",
        examples=[[{"repo": "org/name", "by": "Jane Doe, legal", "why": "ticket LEGAL-42"}]],
    )

    def policy(self, own: LicensesEntry | None) -> LicensePolicy:
        """What these lists, common to all jobs, and a job's own come to.

        A job that names allow or review has its own lists, both; missing and approved it inherits where it is silent.
        """
        own = own or LicensesEntry()
        lists = own if own.allow is not None or own.review is not None else self
        approved = own.approved if own.approved is not None else self.approved
        return LicensePolicy(
            allow=frozenset(lists.allow or ()),
            review=frozenset(lists.review or ()),
            missing=own.missing or self.missing or Missing.REFUSE,
            approved=tuple(Approval(entry.repo, entry.by, entry.why) for entry in approved or ()),
        )


class GuardEntry(Keys):
    """When an upstream that suddenly lists less, another repo, or what may be older, is not believed."""

    max_removed: scalars.Share = Field(
        default=0.5,
        description="The share of a snapshot's files that a new commit may remove; 100% for any.",
        examples=["50%"],
        json_schema_extra={"default": "50%"},
    )
    accept: tuple[scalars.Accepted, ...] = Field(
        default=(),
        description="The _id of each repo that may take the place of another of its name, * for any; FROM..TO for a "
        "move of a name, by its commits, that another endpoint than the first asks for.",
        examples=[["621ffdc136468d709f17c3f2"]],
    )

    @property
    def guard(self) -> Guard:
        """The guard that a job has by it."""
        return Guard(self.max_removed, frozenset(self.accept))


class RetentionEntry(Keys):
    """How long prune keeps snapshots that no branch and no tag points to any more."""

    snapshots: scalars.Count = Field(
        default=3, description="So many of a repo's newest snapshots stay, whatever their age.", examples=[3]
    )
    days: scalars.Count = Field(
        default=90, description="Snapshots published less than so many days ago stay.", examples=[90]
    )

    @property
    def retention(self) -> Retention:
        """The retention that a job has by it."""
        return Retention(self.snapshots, timedelta(days=self.days))


ChannelName = Literal["candidate", "stable", "deprecated"]


class ChannelEntry(Keys):
    """When a channel moves by itself, at the end of a run of the job."""

    source: scalars.Revision = Field(
        alias="from",
        description="The name whose commit the channel gets: another channel, main, a branch or a tag.",
        examples=["candidate"],
    )
    after: scalars.Duration = Field(
        default=timedelta(0),
        description="How long that name must have stood for the commit.",
        examples=["7d"],
        json_schema_extra={"default": "0s"},
    )
    command: tuple[scalars.Argument, ...] = Field(
        default=(),
        alias="if",
        description="A program and its arguments, no shell: exit status 0 lets it move, 1 leaves it. It gets job, "
        "target, kind, repo, channel, from and to as JSON on its standard input.",
        examples=[["/usr/local/bin/evaluated"]],
    )


class OnBadEntry(Keys):
    """Who says that what the readers of a grey release are given is bad: a command, or a Prometheus."""

    command: tuple[scalars.Argument, ...] = Field(
        default=(),
        description="A program and its arguments, no shell: exit status 0 is well, 1 is bad. It gets job, target, "
        "kind, repo, channel, percent and commit as JSON on its standard input.",
        examples=[["/usr/local/bin/is-bad"]],
    )
    promql: scalars.Sentence | None = Field(
        default=None,
        description="An expression of Prometheus: bad where it finds any series, as of an alert.",
        examples=['rate(inference_errors_total{arm="candidate"}[10m]) > 0.05'],
    )
    prometheus: scalars.Endpoint | None = Field(
        default=None, description="The address of that Prometheus.", examples=["http://127.0.0.1:9090"]
    )


class RolloutEntry(Keys):
    """How a grey release grows, up to main itself, and is taken back where it is bad; a person begins it, by share."""

    steps: tuple[scalars.Part, ...] = Field(
        min_length=1,
        description="The shares, each above the one before; 100% is main itself.",
        examples=[["10%", "50%", "100%"]],
    )
    every: scalars.Interval = Field(description="How long a step stands at least.", examples=["1d"])
    on_bad: OnBadEntry = Field(
        description="Who says that it is bad: then all get main again as it was.",
        examples=[{"command": ["/usr/local/bin/is-bad"]}],
    )

    @property
    def rollout(self) -> Rollout:
        """As a job has it."""
        steps, bad = tuple(round(step * WHOLE) for step in self.steps), self.on_bad
        return Rollout(steps, self.every, bad.command, bad.promql or "", bad.prometheus or "")


class JobKeys(Keys):
    """What a job may say itself or take from defaults."""

    upstream: scalars.Name | None = Field(
        default=None,
        description="A name under upstreams; may be left out when there is only one.",
        examples=["hub"],
    )
    target: scalars.Name | None = Field(
        default=None, description="A name under targets; may be left out when there is only one.", examples=["mirror"]
    )
    workers: scalars.Workers | None = Field(
        default=None, description="How many files are in flight at once; 8 when left out.", examples=[8]
    )
    connections: scalars.Connections | None = Field(
        default=None,
        description="How many requests and transfers a job has open at its upstream at once; no bound when left out.",
        examples=[8],
    )
    segments: scalars.Segments | None = Field(
        default=None,
        description="How many segments of one large file come at once, 1 to 16; auto, or left out: as its rate gains.",
        examples=["auto"],
    )
    bandwidth: BandwidthEntry | None = Field(
        default=None,
        description="How fast a job may read from the upstream, and when; as fast as it can when left out.",
        examples=[{"limit": "100MB/s"}],
    )
    schedule: ScheduleEntry | None = Field(
        default=None,
        description="When to run; left out, or manual beside a default: by hand only.",
        examples=[{"every": "6h"}],
    )
    revisions: tuple[scalars.Revision, ...] | None = Field(
        default=None,
        min_length=1,
        description="Branches, tags, globs of them, commit ids; [main] when left out.",
        examples=[["main"]],
    )
    include: tuple[scalars.PathGlob, ...] | None = Field(
        default=None,
        min_length=1,
        description="Globs of the files to mirror, as huggingface_hub's allow_patterns; all files when left out.",
        examples=[["*"]],
    )
    exclude: tuple[scalars.PathGlob, ...] | None = Field(
        default=None,
        description="Globs of the files to leave out, as huggingface_hub's ignore_patterns; none when left out.",
        examples=[["*.bin"]],
    )
    guard: GuardEntry | None = Field(
        default=None,
        description="When a commit that removes files, or another repo, is held; half of the files when left out.",
        examples=[{"max_removed": "50%"}],
    )
    channels: dict[ChannelName, ChannelEntry] | None = Field(
        default=None,
        description="Channels that move by themselves at the end of a run; people alone move them when left out.",
        examples=[{"stable": {"from": "candidate", "after": "7d", "if": ["/usr/local/bin/evaluated"]}}],
    )
    rollout: RolloutEntry | None = Field(
        default=None,
        description="How a grey release grows, and is taken back, by itself; it stays as a person said when left out.",
        examples=[{"steps": ["10%", "50%"], "every": "1d", "on_bad": {"command": ["/usr/local/bin/is-bad"]}}],
    )
    keep_rollbacks: scalars.Count | None = Field(
        default=None,
        description="So many of the commits that main stood for before stay, for rollback; none for that when left "
        "out, and 8 at the most.",
        examples=[5],
    )
    on_gone: OnGone | None = Field(
        default=None,
        description="What to do when the upstream gives a mirrored repo no more: keep, freeze or withdraw it.",
        examples=["keep"],
    )
    retention: RetentionEntry | None = Field(
        default=None,
        description="How long prune keeps snapshots that nothing points to; 3 snapshots, 90 days when left out.",
        examples=[{"snapshots": 3, "days": 90}],
    )


class DefaultsEntry(JobKeys):
    """Keys of a job, for all jobs."""


class JobEntry(JobKeys):
    """What to mirror, when, from where, to where. That either repos or select is there, `checks` sees."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("repos", "select", "variants")]}
    )

    name: scalars.Name = Field(description="The job's name, once in the file.", examples=["embeddings"])
    repos: tuple[scalars.RepoEntry, ...] | None = Field(
        default=None,
        min_length=1,
        description="Repos: org/name is a model, dataset:org/name a dataset, org/* all of an owner; "
        '"!org/x" or "!org/*-test" takes some out again, wherever it stands, also beside select.',
        examples=[["sentence-transformers/all-MiniLM-L6-v2"]],
    )
    select: SelectEntry | None = Field(
        default=None,
        description="The most downloaded, most liked or newest repos of an author or of the whole hub, or those that "
        "readers ask for, in place of repos that name any.",
        examples=[{"author": "Qwen", "sort": "downloads", "limit": 20}],
    )
    variants: VariantsEntry | None = Field(
        default=None,
        description="Quantised repos that others have made of models, in place of repos that name any.",
        examples=[{"gguf": ["Q4_K_M"], "of": "Qwen/Qwen3-8B"}],
    )
    transform: TransformEntry | None = Field(
        default=None,
        description="What a program makes of each repo after its publication; it is pushed under a name of one's own.",
        examples=[{"command": ["/usr/local/bin/quantise", "{input}", "{output}"], "into": "acme/{name}-int8"}],
    )
    licenses: LicensesEntry | None = Field(
        default=None,
        description="Replaces the global lists for this job.",
        examples=[{"allow": ["cc-by-4.0"]}],
    )
    readers: Literal["everyone"] | None = Field(
        default=None,
        description="everyone: what is gated or private upstream is read here by all who may read what is public.",
        examples=["everyone"],
    )
    published_as: scalars.PublishedNames | None = Field(
        default=None,
        alias="as",
        description="The names of its repos here, made of those at the upstream, which are kept when it is left out.",
        examples=["ms-{org}/{name}"],
    )
    roads: tuple[scalars.Name, ...] = Field(
        default=(),
        description="Upstreams of kind: modelscope that may have the same files: large ones come from the quickest.",
        examples=[["ms"]],
    )
    policy: PolicyEntry | None = Field(
        default=None,
        description="Adds to the policy that holds for all jobs; takes nothing away.",
        examples=[{"cooldown": "7d", "formats": {"refuse": ["pickle"]}}],
    )

    @model_validator(mode="after")
    def _are_names(self) -> Self:
        if self.published_as is not None:
            for one in self.repos or ():
                self.published_as.pattern(one if isinstance(one, RepoPattern) else one.pattern)
        return self

    def job(
        self, defaults: DefaultsEntry, ends: tuple[str, str], policy: LicensePolicy, bases: tuple[Repo, ...] = ()
    ) -> Job:
        """The job, with `defaults` where it is silent; `ends` are the names of its upstream and its target, `bases` the
        models that it looks for variants of.
        """
        silent = [key for key in JobKeys.model_fields if getattr(self, key) is None]
        said = self.model_copy(update={key: getattr(defaults, key) for key in silent})
        named = [found for found in self.repos or () if isinstance(found, RepoPattern)]
        denied = tuple(dict.fromkeys(found.pattern for found in self.repos or () if isinstance(found, Denial)))
        ranking: Ranking | None = self.select.ranking if self.select else None
        selection = Selection(include=said.include or ("*",), exclude=said.exclude or ())
        if self.variants is not None:
            variants = ranking = self.variants.variants(bases)
            selection = replace(variants.selection(self.include or ()), exclude=selection.exclude)
        if self.published_as is not None:
            names = self.published_as
            named, denied = [names.pattern(one) for one in named], tuple(names.pattern(one) for one in denied)
            if ranking is not None:
                without = tuple(names.pattern(one) for one in ranking.without)
                ranking = replace(ranking, pattern=names.pattern(ranking.pattern), without=without)
        if ranking is not None:  # what is denied takes no place
            ranking = replace(ranking, without=(*ranking.without, *denied))
        return Job(
            name=self.name,
            repos=(ranking.pattern,) if ranking else tuple(dict.fromkeys(named)),
            ranking=ranking,
            denied=denied,
            upstream=ends[0],
            target=ends[1],
            revisions=tuple(dict.fromkeys(said.revisions or ("main",))),
            selection=selection,
            policy=policy,
            schedule=said.schedule.schedule if isinstance(said.schedule, EveryEntry | CronEntry) else None,
            workers=said.workers or _WORKERS,
            guard=(said.guard or GuardEntry()).guard,
            on_gone=said.on_gone or OnGone.KEEP,
            connections=said.connections,
            segments=said.segments if isinstance(said.segments, int) else None,
            bandwidth=(said.bandwidth or BandwidthEntry()).bandwidth,
            retention=replace((said.retention or RetentionEntry()).retention, rollbacks=said.keep_rollbacks or 0),
            opens=self.readers is not None,
            published_as=self.published_as,
            roads=tuple(dict.fromkeys(self.roads)),
            transform=None if self.transform is None else self.transform.transform,
            rollout=None if said.rollout is None else said.rollout.rollout,
            channels=tuple(
                ChannelRule(name, one.source, one.after, one.command) for name, one in (said.channels or {}).items()
            ),
        )


class File(Keys):
    """All of jobs.yaml."""

    version: scalars.Version = Field(default=1, description="The version of this format.", examples=[1])
    profile: Literal["server", "edge"] = Field(
        default="server",
        description="What machine it is: edge works with one repo, file and segment at once, and in 100 MiB of memory.",
        examples=["edge"],
    )
    state_dir: scalars.FilePath = Field(
        default="./var/state",
        description="A folder for history, resume notes and caches; all of it can be lost and rebuilt.",
        examples=["./var/state"],
    )
    upstreams: dict[scalars.Name, UpstreamEntry] = Field(
        min_length=1,
        description="Where files come from, by name.",
        examples=[{"hub": {"kind": "huggingface"}}],
    )
    targets: dict[scalars.Name, TargetEntry] = Field(
        min_length=1,
        description="Where files are published, by name.",
        examples=[{"mirror": {"url": "file:///srv/mirror"}}],
    )
    front: FrontEntry = Field(
        default_factory=FrontEntry,
        description="How the mirror is served.",
        examples=[{"listen": "127.0.0.1:8080"}],
    )
    on: OnEntry = Field(
        default_factory=OnEntry,
        description="Who is told when a repo's state changes.",
        examples=[{"failed": [{"post": "${SLACK_URL}", "shape": "slack"}]}],
    )
    connections: scalars.Connections | None = Field(
        default=None,
        description="How many requests and transfers all jobs together have open at once; no bound when left out.",
        examples=[16],
    )
    bandwidth: BandwidthEntry | None = Field(
        default=None,
        description="How fast all jobs together may read from upstreams, and when; as fast as they can when left out.",
        examples=[{"limit": "200MB/s", "windows": [{"hours": "08:00-20:00", "days": "mon-fri", "limit": "20MB/s"}]}],
    )
    http: HttpEntry = Field(
        default_factory=HttpEntry,
        description="Where the daemon answers those that watch it.",
        examples=[{"listen": "127.0.0.1:9108"}],
    )
    ha: HaEntry | None = Field(
        default=None,
        description="Two daemons for these jobs, of which one works at a time; one alone when left out.",
        examples=[{"lease": "30s"}],
    )
    engine: EngineEntry = Field(
        default_factory=EngineEntry,
        description="Who brings changed repos up to date; this process alone when left out.",
        examples=[{"kind": "dask", "address": "tcp://scheduler:8786"}],
    )
    traces: TracesEntry = Field(
        default_factory=TracesEntry,
        description="Where runs are told as OpenTelemetry traces; nowhere when left out.",
        examples=[{"endpoint": "http://127.0.0.1:4318"}],
    )
    site: CatalogueEntry = Field(
        default_factory=CatalogueEntry,
        description="The catalogue that is published beside what is mirrored.",
        examples=[{"enabled": False}],
    )
    maintenance: MaintenanceEntry = Field(
        default_factory=MaintenanceEntry,
        description="When the daemon verifies and prunes what is published; never when left out.",
        examples=[{"verify": {"cron": "0 2 * * sun"}, "prune": {"cron": "30 4 * * sat"}}],
    )
    access: AccessEntry = Field(
        default_factory=AccessEntry,
        description="Who may read what; everybody all that is public upstream, when left out.",
        examples=[{"anonymous": ["*"], "tokens": "/etc/mirror-sync/tokens.yaml"}],
    )
    trust: TrustEntry = Field(
        default_factory=TrustEntry,
        description="Which keys sign what is published; nothing is signed when left out.",
        examples=[{"key": "/etc/mirror-sync/signing.key"}],
    )
    defaults: DefaultsEntry = Field(
        default_factory=DefaultsEntry,
        description="What every job takes that does not say otherwise itself.",
        examples=[{"upstream": "hub", "target": "mirror", "workers": 8}],
    )
    licenses: LicensesEntry = Field(
        default_factory=LicensesEntry,
        description="Which licences may be mirrored; left out, none is.",
        examples=[{"allow": ["apache-2.0", "mit"], "missing": "refuse"}],
    )
    decisions: scalars.FilePath | None = Field(
        default=None,
        description="The file in which people approve or reject what is held; no decisions when left out.",
        examples=["./decisions.yaml"],
    )
    policy: PolicyEntry = Field(
        default_factory=PolicyEntry,
        description="What is never mirrored, what waits for a person or for time, and what may be in a repo.",
        examples=[{"forbidden": ["evil-org/*"], "cooldown": "3d"}],
    )
    jobs: tuple[JobEntry, ...] = Field(
        min_length=1,
        description="What to mirror.",
        examples=[[{"name": "embeddings", "repos": ["sentence-transformers/all-MiniLM-L6-v2"]}]],
    )
