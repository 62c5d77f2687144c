"""What joins two places of the file: a job and its upstream, a key and its sister, two jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from pydantic import ValidationError

from mirror_sync.config.checks.clashes import Numbered, clashes, repetitions, two_hubs
from mirror_sync.config.checks.door_checks import door_doubts, door_faults
from mirror_sync.config.checks.version_checks import version_doubts
from mirror_sync.config.findings import Finding, Trail, listed, nearest_word, quoted, spoken
from mirror_sync.config.keys.model import EDGE, DefaultsEntry, EveryEntry, File, JobEntry, JobKeys, LicensesEntry
from mirror_sync.config.keys.policy_entries import PolicyEntry
from mirror_sync.config.keys.program_entries import EngineEntry
from mirror_sync.config.keys.select import SelectEntry
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.keys.values.licenses import doubt
from mirror_sync.config.keys.values.scalars import NAME
from mirror_sync.config.yaml.wording import example, value_at
from mirror_sync.domain import nearest
from mirror_sync.domain.content.refs import OURS
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.policy.licences import LicensePolicy, Missing
from mirror_sync.domain.repo import EVERYTHING, Denial, Kind, Repo, RepoPattern

Model = TypeVar("Model", bound=Keys)

_COMMIT = 40  # digits of a commit's id
_HEX = re.compile(r"(?=.*[A-Fa-f])(?=.*[0-9])[0-9A-Fa-f]{7,64}")


@dataclass(frozen=True)  # no slots: its jobs, which may name very many repos, are made once
class Draft:
    """What can be known of a file that may have faults: names as they stand, and the jobs that are sound."""

    upstreams: tuple[str, ...]
    folders: frozenset[str]  # the upstreams of kind: directory
    mirrors: frozenset[str]  # and those of kind: mirror, and of kind: own, which are read as one
    hubs: frozenset[str]  # what is nothing else
    owns: frozenset[str]  # what takes a push
    modelscopes: frozenset[str]  # the upstreams of kind: modelscope
    targets: tuple[str, ...]
    tree: Mapping[str, object]  # all of it, as it was written
    written: tuple[tuple[Trail, Mapping[str, object]], ...]  # defaults and all jobs
    defaults: DefaultsEntry | None  # None: not sound, so that no job is known whole
    licenses: LicensesEntry
    engine: EngineEntry
    policy: PolicyEntry
    jobs: tuple[tuple[int, JobEntry], ...]

    @classmethod
    def of(cls, tree: Mapping[str, object]) -> Draft:
        """What of a file's plain values can be compared; what has faults of its own is left out."""
        listed_jobs = tree.get("jobs")
        jobs = list(enumerate(listed_jobs)) if isinstance(listed_jobs, list) else []
        defaults = tree.get("defaults", {})
        written = [(("defaults",), defaults), *((("jobs", index), job) for index, job in jobs)]
        entries = [(index, _sound(JobEntry, job)) for index, job in jobs]
        return cls(
            upstreams=_names(tree.get("upstreams")),
            folders=_of_kind("directory", tree.get("upstreams")),
            mirrors=_of_kind("mirror", tree.get("upstreams")) | _of_kind("own", tree.get("upstreams")),
            owns=_of_kind("own", tree.get("upstreams")) | _of_kind("directory", tree.get("upstreams")),
            hubs=_of_kind("huggingface", tree.get("upstreams")),
            modelscopes=_of_kind("modelscope", tree.get("upstreams")),
            targets=_names(tree.get("targets")),
            tree=tree,
            written=tuple((trail, mapping) for trail, mapping in written if isinstance(mapping, dict)),
            defaults=_sound(DefaultsEntry, defaults),
            licenses=_sound(LicensesEntry, tree.get("licenses", {})) or LicensesEntry(),
            engine=_sound(EngineEntry, tree.get("engine", {})) or EngineEntry(),
            policy=_sound(PolicyEntry, tree.get("policy", {})) or PolicyEntry(),
            jobs=tuple((index, entry) for index, entry in entries if entry is not None),
        )

    @cached_property
    def numbered(self) -> tuple[Numbered, ...]:
        """The sound jobs that know where they publish, all of them in a file without faults."""
        return tuple(self._numbered())

    def _numbered(self) -> Iterator[Numbered]:
        if self.defaults is None:
            return
        for index, entry in self.jobs:
            source = entry.upstream or self.defaults.upstream or _only(self.upstreams)
            target = entry.target or self.defaults.target or _only(self.targets)
            if target:
                licenses = self.licenses.policy(entry.licenses)
                job = entry.job(self.defaults, (source, target), licenses, self._bases(entry))
                if self.tree.get("profile") == EDGE:
                    workers = entry.workers or self.defaults.workers or 1
                    job = replace(job, workers=workers, segments=job.segments or 1)
                house = self.policy.house.tightened((entry.policy or PolicyEntry()).house)
                yield index, self.policy.inspecting(replace(job, house=house), entry.policy)

    def _bases(self, entry: JobEntry) -> tuple[Repo, ...]:
        """The models that a job looks for variants of."""
        named = () if entry.variants is None else entry.variants.of
        found = (repo for name in named for repo in self.models_of(name))
        return tuple(dict.fromkeys(found))

    def models_of(self, name: str) -> tuple[Repo, ...]:
        """A model itself, or all that a job of this name names one by one; none where there are none."""
        if "/" in name:
            return (Repo(Kind.MODEL, name),)
        named = (one for _, job in self.jobs if job.name == name for one in job.repos or ())
        models = (one for one in named if isinstance(one, RepoPattern) and not one.is_glob and one.kind is Kind.MODEL)
        return tuple(one.repo for one in models)


def _only(names: tuple[str, ...]) -> str:
    """The only one there is; empty where that leaves a choice, or none."""
    return names[0] if len(names) == 1 else ""


def _sound(model: type[Model], value: object) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _names(value: object) -> tuple[str, ...]:
    """The keys that are names; others are faults by themselves, and no message should list them."""
    return tuple(filter(NAME.fullmatch, value)) if isinstance(value, dict) else ()


def _of_kind(kind: str, value: object) -> frozenset[str]:
    entries = value.items() if isinstance(value, dict) else ()
    return frozenset(name for name, entry in entries if isinstance(entry, dict) and entry.get("kind") == kind)


def faults(draft: Draft) -> Iterator[Finding]:
    """Everything between places that makes the file unusable."""
    yield from _doubled(draft)
    yield from _unasked(draft)
    yield from _unranked(draft)
    yield from _unvaried(draft)
    yield from _untransformed(draft)
    yield from _unlisted(draft)
    yield from _unknown_kinds(draft)
    yield from _roads(draft)
    yield from _ends(draft, "upstream", draft.upstreams)
    yield from _ends(draft, "target", draft.targets)
    yield from draft.engine.faults()
    yield from _leased(draft)
    yield from door_faults(draft.tree)
    yield from _undecided(("licenses",), draft.licenses, draft.tree)
    yield from draft.policy.inspection_faults(("policy",))
    yield from _late(("defaults",), draft.defaults or DefaultsEntry())
    yield from _circular(("defaults",), draft.defaults or DefaultsEntry())
    yield from _unclear(("defaults",), draft.defaults or DefaultsEntry())
    for index, entry in draft.jobs:
        yield from _undecided(("jobs", index, "licenses"), entry.licenses or LicensesEntry(), draft.tree)
        yield from _late(("jobs", index), entry)
        yield from _circular(("jobs", index), entry)
        yield from _unclear(("jobs", index), entry)
        own = entry.policy or PolicyEntry()
        yield from own.loosened(("jobs", index, "policy"), draft.policy)
        yield from own.inspection_faults(("jobs", index, "policy"), draft.policy)
    yield from clashes(draft.numbered)
    yield from two_hubs(draft.numbered, draft.modelscopes)


def _leased(draft: Draft) -> Iterator[Finding]:
    """Where the lease of several daemons lies: all of them must mean one place."""
    entry = draft.tree.get("ha")
    if not isinstance(entry, dict):
        return
    named = entry.get("target")
    if named is None and len(draft.targets) > 1:
        yield Finding(
            ("ha", "target"), f"is missing, and there are several targets; write one of {', '.join(draft.targets)}"
        )
    elif isinstance(named, str) and NAME.fullmatch(named) and named not in draft.targets:
        yield Finding(("ha", "target"), f"{quoted(named)} is not under targets; there are: {', '.join(draft.targets)}")


def _undecided(trail: Trail, entry: LicensesEntry, tree: object) -> Iterator[Finding]:
    for index, found in enumerate(entry.review or ()):
        if found in (entry.allow or ()):
            place = (*trail, "review", index)
            yield Finding(place, f"{quoted(value_at(tree, place))} is under allow as well; keep one of them")


def _late(trail: Trail, entry: JobKeys) -> Iterator[Finding]:
    every = entry.schedule
    if isinstance(every, EveryEntry) and every.jitter >= every.every:
        yield Finding((*trail, "schedule", "jitter"), "must be shorter than every, so that no run skips the next")


def _circular(trail: Trail, entry: JobKeys) -> Iterator[Finding]:
    for name, rule in (entry.channels or {}).items():
        if rule.source.removeprefix(OURS) == name:
            yield Finding((*trail, "channels", name, "from"), f"is {name} itself; write another name, as candidate")


def _unclear(trail: Trail, entry: JobKeys) -> Iterator[Finding]:
    rollout = entry.rollout
    if rollout is None:
        return
    if any(before >= after for before, after in pairwise(rollout.steps)):
        yield Finding((*trail, "rollout", "steps"), "must grow, each above the one before, as [10%, 50%, 100%]")
    bad = rollout.on_bad
    if bool(bad.command) == bool(bad.promql) or bool(bad.promql) != bool(bad.prometheus):
        message = "write either command, or promql and prometheus: one of them says what is bad"
        yield Finding((*trail, "rollout", "on_bad"), message)


def _doubled(draft: Draft) -> Iterator[Finding]:
    first: dict[str, Trail] = {}
    for trail, job in draft.written:
        name = job.get("name")
        if not isinstance(name, str) or trail == ("defaults",):
            continue
        if name in first:
            message = f"{spoken(first[name])} is named {quoted(name)} already; give each job its own name"
            yield Finding((*trail, "name"), message)
        first.setdefault(name, trail)


def _unasked(draft: Draft) -> Iterator[Finding]:
    """Jobs that name nothing, or in two ways at once."""
    for trail, job in draft.written:
        if trail == ("defaults",):
            continue
        repos = job.get("repos")
        only_denies = isinstance(repos, list) and bool(repos) and all(map(_denies, repos))
        ways = [key for key in ("select", "variants") if key in job]
        if "repos" not in job and not ways:
            yield Finding((*trail, "repos"), f"is missing{example(('repos',))}, or select: {{author: Qwen}}")
        if only_denies and not ways:
            yield Finding((*trail, "repos"), "only denies; write beside it what the job mirrors, like owner/*")
        for key in ways if "repos" in job and not only_denies else ways[1:]:
            other = ways[0] if key == "variants" and len(ways) > 1 else "repos"
            message = f"stands beside {other}, where only one can be; remove it or {other}, or make it a job of its own"
            yield Finding((*trail, key), message, key=True)


def _denies(entry: object) -> bool:
    return isinstance(entry, str) and entry.startswith("!")


def _unranked(draft: Draft) -> Iterator[Finding]:
    """Rankings that are asked of what ranks nothing: readers rank, whatever the upstream is."""
    for index, job in draft.numbered:
        if job.ranking is None or job.ranking.demand is not None or isinstance(job.ranking, Variants):
            continue
        for names, what in (
            (draft.folders, "a folder, which ranks nothing"),
            (draft.mirrors, "a mirror, which ranks nothing"),
            (draft.modelscopes, "a ModelScope, which is not read by rank"),
        ):
            if job.upstream in names:
                message = f"upstream {quoted(job.upstream)} is {what}; write repos: [owner/*], or from: misses"
                yield Finding(("jobs", index, "select"), message)


def _unvaried(draft: Draft) -> Iterator[Finding]:
    """Variants of nothing that is known, and what cannot stand beside them."""
    for index, entry in draft.jobs:
        if entry.variants is None:
            continue
        trail = ("jobs", index, "variants", "of")
        for name in entry.variants.of:
            if not draft.models_of(name):
                known = [job.name for _, job in draft.jobs if job is not entry]
                right = "name the models themselves, org/name" if name in known else f"jobs has {listed(known, 'and')}"
                what = "names no model one by one" if name in known else "is no job and no model"
                yield Finding(trail, f"{quoted(name)} {what}; {right}")
        for key in ("readers", "published_as"):
            if getattr(entry, key) is not None:
                yield Finding(("jobs", index, "as" if key == "published_as" else key), "is not for variants; remove it")
        if entry.revisions not in (None, ("main",)):
            yield Finding(("jobs", index, "revisions"), "is not for variants, which are of main; remove it")
    for index, job in draft.numbered:
        if isinstance(job.ranking, Variants) and job.upstream not in draft.hubs and job.upstream in draft.upstreams:
            message = f"upstream {quoted(job.upstream)} is no hub, which alone tells what was made of a model"
            yield Finding(("jobs", index, "variants"), message)


def _untransformed(draft: Draft) -> Iterator[Finding]:
    """What is made, and has nowhere to go."""
    able = [name for name in draft.upstreams if name in draft.owns]
    for index, entry in draft.jobs:
        if entry.transform is None:
            continue
        trail, named = ("jobs", index, "transform"), entry.transform.upstream
        yield from entry.transform.faults(trail)
        if not able:
            message = "has no upstream to push into; add one: own: {kind: own, url: s3://bucket/prefix}"
            yield Finding(trail, message)
        elif named is None and len(able) > 1:
            yield Finding((*trail, "upstream"), f"is missing, and {listed(able, 'and')} take a push; write one of them")
        elif named is not None and named not in able:
            message = f"{quoted(named)} takes no push; {listed(able, 'and')} {'do' if able[1:] else 'does'}"
            yield Finding((*trail, "upstream"), message)


def _roads(draft: Draft) -> Iterator[Finding]:
    """Roads that are no upstreams, or none that may have a Hub's bytes."""
    for index, job in draft.numbered:
        for place, road in enumerate(job.roads):
            trail = ("jobs", index, "roads", place)
            if road not in draft.upstreams:
                right = nearest_word(road, draft.upstreams) or f"; upstreams has {listed(draft.upstreams, 'and')}"
                yield Finding(trail, f"{quoted(road)} is not under upstreams{right}")
            elif road == job.upstream:
                yield Finding(trail, f"{quoted(road)} is the job's own upstream; remove it")
            elif road not in draft.modelscopes:
                yield Finding(trail, f"{quoted(road)} is no upstream of kind: modelscope, and only such are roads")


def _unknown_kinds(draft: Draft) -> Iterator[Finding]:
    """Spaces and kernels, asked of a site that has none."""
    for index, job in draft.numbered:
        for pattern in job.repos if job.upstream in draft.modelscopes else ():
            if pattern.kind not in (Kind.MODEL, Kind.DATASET):
                message = f"{quoted(str(pattern))}: ModelScope has models and datasets alone; take it out"
                yield Finding(("jobs", index, "repos"), message)


def _unlisted(draft: Draft) -> Iterator[Finding]:
    """All repos, or globs of kernels, asked of what does not list them."""
    for index, job in draft.numbered:
        listing = draft.folders | draft.mirrors
        for pattern in (
            one for one in job.repos if one.kind is Kind.KERNEL and one.is_glob and job.upstream not in listing
        ):
            message = f"{quoted(str(pattern))}: there is no list of kernels to ask for; name each, as kernel:owner/name"
            yield Finding(("jobs", index, "repos"), message)
        if job.upstream in draft.upstreams and job.upstream not in draft.mirrors:
            for pattern in (one for one in job.repos if one.glob == EVERYTHING and job.ranking is None):
                right = "must name one owner before its wildcard; write owner/*"
                yield Finding(("jobs", index, "repos"), f"{quoted(str(pattern))} {right}")


def _ends(draft: Draft, side: str, known: tuple[str, ...]) -> Iterator[Finding]:
    """The upstreams (or targets) that jobs and defaults name, and those that there are."""
    has_default = False
    for trail, mapping in draft.written:
        said = mapping.get(side)
        has_default = has_default or (trail == ("defaults",) and side in mapping)
        if isinstance(said, str) and said not in known:
            yield _stranger((*trail, side), said, known)
        if side not in mapping and not has_default and len(known) > 1 and trail != ("defaults",):
            right = f"write {side}: {known[0]} here or under defaults"
            yield Finding((*trail, side), f"is missing, and there are {listed(known, 'and')}; {right}")


def _stranger(trail: Trail, name: str, known: tuple[str, ...]) -> Finding:
    plural = f"{trail[-1]}s"
    there = f"{plural} has {listed(known, 'and')}" if known else f"{plural} names none"
    return Finding(trail, f"{quoted(name)} is not under {plural}{nearest_word(name, known) or f'; {there}'}")


def warnings(file: File, draft: Draft) -> Iterator[Finding]:
    """What is odd, but usable."""
    yield from repetitions(draft.numbered)
    yield from version_doubts(draft.numbered)
    yield from _shortened(("defaults", "revisions"), file.defaults.revisions or ())
    for index, job in draft.numbered:
        entries = file.jobs[index].repos or ()
        yield from _denials(("jobs", index, "repos"), entries, job)
        yield from _repeated(("jobs", index, "repos"), entries, alike=job.upstream not in draft.folders)
        yield from _shortened(("jobs", index, "revisions"), file.jobs[index].revisions or ())
        if file.front.oci:
            yield from _unregistered(("jobs", index, "repos"), entries)
        if file.front.s3:
            yield from _without_key(("jobs", index, "repos"), entries)
    yield from door_doubts(file)
    jobs = dict(draft.numbered)
    yield from license_doubts(draft)
    yield from file.policy.inspection_doubts(("policy",))
    yield from _idle_approvals(("licenses",), file.licenses, tuple(jobs.values()))
    for index, entry in enumerate(file.jobs):
        yield from (entry.policy or PolicyEntry()).inspection_doubts(("jobs", index, "policy"))
        yield from entry.transform.doubts(("jobs", index, "transform")) if entry.transform else ()
        yield from _idle_approvals(("jobs", index, "licenses"), entry.licenses or LicensesEntry(), (jobs[index],))
        policy = jobs[index].policy
        yield from _idle_licenses(("jobs", index, "select", "licenses"), entry.select, policy, draft.tree)
        if not policy.allow and not policy.review and policy.missing is Missing.REFUSE:
            message = "no licence is allowed for this job, so all its repos are refused; write licenses: {allow: [...]}"
            yield Finding(("jobs", index), message)


def _denials(trail: Trail, entries: Sequence[RepoPattern | Denial], job: Job) -> Iterator[Finding]:
    """What a job names and denies at once, and denials of what it does not name."""
    for index, entry in enumerate(entries):
        if isinstance(entry, Denial):
            if not any(_meet(entry.pattern, named) for named in job.repos):
                message = f"{quoted(entry)} denies nothing: the job names no repo that it could match"
                yield Finding((*trail, index), message)
        elif job.denied and not entry.is_glob and (denied := job.denied_by(entry.repo)) is not None:
            message = f"{quoted(entry)} is not mirrored: {quoted(Denial(denied))} denies it, which always wins"
            yield Finding((*trail, index), message)


def _repeated(trail: Trail, entries: Sequence[RepoPattern | Denial], *, alike: bool) -> Iterator[Finding]:
    """What a job names twice; `alike`: the upstream takes other letters for the same repo."""
    first: dict[str, str] = {}
    for index, entry in enumerate(entries):
        said = str(entry)
        glob = isinstance(entry, Denial) or entry.is_glob
        above = first.setdefault(said if glob or not alike else said.lower(), said)
        if above is not said:
            letters = "" if above == said else f" as {quoted(above)}, in other letters"
            yield Finding((*trail, index), f"{quoted(entry)} stands above already{letters}; one of them is enough")
    yield from _without_owner(trail, entries) if alike else ()


def _without_owner(trail: Trail, entries: Sequence[RepoPattern | Denial]) -> Iterator[Finding]:
    """Old models that a job names twice: the Hub has moved those without an owner to one."""
    named = [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, RepoPattern)]
    owned = {(entry.kind, entry.glob.partition("/")[2].lower()): entry for _, entry in named if not entry.is_glob}
    for index, entry in named:
        whole = owned.get((entry.kind, entry.glob.lower()))
        if whole is not None:
            same = f"is likely {quoted(whole)}, to which an old name without an owner leads"
            yield Finding((*trail, index), f"{quoted(entry)} {same}; one of them is enough")


def _unregistered(trail: Trail, entries: Sequence[RepoPattern | Denial]) -> Iterator[Finding]:
    """What clients of registries have no name for, where front opens that door."""
    from mirror_sync.domain.doors.oci_documents import oci_name

    for index, entry in enumerate(entries):
        if isinstance(entry, RepoPattern) and not entry.is_glob and oci_name(entry.repo) is None:
            message = f"{quoted(entry)} is not in the registry (front: {{oci: true}}): its clients take no such name"
            yield Finding((*trail, index), message)


def _without_key(trail: Trail, entries: Sequence[RepoPattern | Denial]) -> Iterator[Finding]:
    """What has no key, where front opens the S3 door."""
    for index, entry in enumerate(entries):
        if isinstance(entry, RepoPattern) and not entry.is_glob and "/" not in entry.glob:
            message = f"{quoted(entry)} has no key of S3 (front: {{s3: true}}): keys are org/name/revision/path"
            yield Finding((*trail, index), message)


def _shortened(trail: Trail, revisions: Sequence[str]) -> Iterator[Finding]:
    """What was likely meant for the id of a commit; a branch may be called so."""
    for index, said in enumerate(revisions):
        if _HEX.fullmatch(said) and not CommitId.matches(said):
            what = f"{quoted(said)} is taken for the name of a branch or tag"
            wants = f"the id of a commit has 40 digits (0-9, a-f), not {len(said)}"
            small = "the id of a commit has small letters alone"
            yield Finding((*trail, index), f"{what}: {small if len(said) == _COMMIT else wants}")


def _meet(denied: RepoPattern, named: RepoPattern) -> bool:
    """Whether a denial may match something that is named; of two globs only their owners tell."""
    if not named.is_glob:
        return denied.matches(named.repo)
    if not denied.is_glob:
        return named.matches(denied.repo)
    return (denied.kind, denied.owner) == (named.kind, named.owner)


def _idle_approvals(trail: Trail, entry: LicensesEntry, jobs: Sequence[Job]) -> Iterator[Finding]:
    """Approvals of what none of the jobs names: likely of another spelling than theirs."""
    for index, approval in enumerate(entry.approved or ()):
        repo = approval.repo
        if not any(job.names(repo) for job in jobs):
            who = "no job names it" if len(jobs) != 1 else f"job {jobs[0].name} does not name it"
            named = (pattern for job in jobs for pattern in job.repos if not pattern.is_glob)
            near = nearest.did_you_mean(RepoPattern(repo.kind, repo.id), named)
            message = f"{quoted(repo)} is approved, and {denials(jobs, repo) or who}{near}"
            yield Finding((*trail, "approved", index, "repo"), message)


def _idle_licenses(trail: Trail, entry: SelectEntry | None, policy: LicensePolicy, tree: object) -> Iterator[Finding]:
    """Licences that take places of a ranking and are refused then."""
    for index, found in enumerate((entry.licenses if entry else None) or ()):
        if found not in policy.allow | policy.review and not doubt(found):
            said = quoted(value_at(tree, (*trail, index)))
            yield Finding(
                (*trail, index), f"{said} is not under licenses.allow: its repos take places, and are refused"
            )


def license_doubts(draft: Draft) -> Iterator[Finding]:
    """Licences that the Hub is not known to use, wherever they are listed; the rest of the file may have faults."""
    jobs = [trail for trail, _ in draft.written if trail != ("defaults",)]
    lists = [(*trail, "licenses", key) for trail in ((), *jobs) for key in ("allow", "review")]
    for trail in (*lists, *((*job, "select", "licenses") for job in jobs)):
        ids = value_at(draft.tree, trail)
        for index, said in enumerate(ids if isinstance(ids, list) else ()):
            message = doubt(said) if isinstance(said, str) else None
            if message:
                yield Finding((*trail, index), message)
