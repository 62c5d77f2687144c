"""jobs.yaml to settings: read, put variables in, validate, check. All faults at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from mirror_sync.config.checks import credentials, cross_checks, decision_checks, target_identity
from mirror_sync.config.decisions.decisions_file import DecisionsFile, read_decisions
from mirror_sync.config.findings import FilePosition, Finding, Findings, Trail, quoted, spoken
from mirror_sync.config.keys.endpoints import Surroundings
from mirror_sync.config.keys.limit_entries import BandwidthEntry
from mirror_sync.config.keys.model import EDGE, File
from mirror_sync.config.keys.program_entries import FrontEntry
from mirror_sync.config.keys.trust_entries import principal_of
from mirror_sync.config.keys.values.base_model import Keys
from mirror_sync.config.settings import Settings
from mirror_sync.config.yaml import wording
from mirror_sync.config.yaml.document import YamlDocument, read
from mirror_sync.config.yaml.variables import Expansion
from mirror_sync.domain.job.targets import S3Target, Target
from mirror_sync.errors import ConfigError, Fault

_LONGEST = 600  # characters of a message


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings that `path` describes, with `environ` for its variables. ConfigError carries every fault of it."""
    document = read(path)
    expansion = Expansion(environ)
    tree = expansion.expand(document.value)
    assert isinstance(tree, dict)  # noqa: S101  read() refuses all else
    base = path.absolute().parent
    tokens = credentials.read_tokens(tree, base)
    secrets = credentials.met(tree, expansion.used, tokens.tokens.values())

    found = document.faults
    found.extend(expansion.faults)
    file, draft = _validate(tree, found), cross_checks.Draft.of(tree)
    found.extend(credentials.faults(tree))
    found.extend(tokens.faults)
    found.extend(cross_checks.faults(draft))
    found.extend(target_identity.faults(tree, base))
    decided, undecided = _decisions(tree, path)
    if file is None or len(found) or undecided:
        wrong = {finding.trail for finding in found}
        odd = (doubt for doubt in cross_checks.license_doubts(draft) if doubt.trail not in wrong)
        raise ConfigError((*_faults(found, document, secrets), *undecided), _faults(odd, document, secrets))
    settings = _settings(file, draft, path.absolute(), Surroundings(base, tokens.tokens, expansion.used))
    settings = with_decisions(settings, decided)
    doubts = [
        *cross_checks.warnings(file, draft),
        *target_identity.doubts(tree, base),
        *target_identity.uncounted(settings.targets, by_digest=settings.front.by_digest),
        *target_identity.openness(settings.state_dir),
        *credentials.doubts(tree, tokens.tokens),
        *credentials.ways(file, settings),
        *credentials.readers(settings),
        *credentials.exposed(document.value, tree, tokens.tokens, path),
    ]
    if decided is not None and not decided.there:
        doubts.append(Finding(("decisions",), f"{quoted(decided.path)} is not there: nothing is decided yet"))
    odd_decisions = () if decided is None else decision_checks.doubts(decided, settings.jobs, datetime.now(UTC))
    told = (*_faults(doubts, document, secrets), *odd_decisions)
    return replace(settings, digest=document.digest, secrets=secrets, warnings=told)


def with_decisions(settings: Settings, file: DecisionsFile | None) -> Settings:
    """The same with what a file holds, for all jobs."""
    if file is None:
        return settings
    jobs = tuple(replace(job, decisions=file.decisions) for job in settings.jobs)
    return replace(settings, decisions=file.path.absolute(), jobs=jobs)


def _decisions(tree: Mapping[str, object], path: Path) -> tuple[DecisionsFile | None, tuple[Fault, ...]]:
    """What is decided, None where jobs.yaml names no file for it; and the faults of that file."""
    named = tree.get("decisions")
    if not isinstance(named, str) or not named.strip():
        return None, ()
    try:
        return read_decisions(path.parent / named), ()
    except ConfigError as error:
        return None, error.faults


def fault_at(path: Path, trail: Trail, message: str) -> Fault:
    """What is wrong at a place of a file that was loaded, though the file as such is right."""
    return _fault(Finding(trail, message), read(path), ())


def _validate(tree: dict[str, object], found: Findings) -> File | None:
    judges: dict[int, type[Keys]] = {}
    try:
        file = File.model_validate(tree, context=judges)
    except ValidationError as error:
        found.extend(wording.findings(error, tree, judges))
        file = None
    found.extend(wording.blanks(tree))
    return file


def _settings(file: File, draft: cross_checks.Draft, path: Path, around: Surroundings) -> Settings:
    """The settings of a file without faults, secrets and warnings left to be added."""
    return Settings(
        path=path,
        state_dir=around.base / file.state_dir,
        upstreams={name: entry.upstream(("upstreams", name), around) for name, entry in file.upstreams.items()},
        targets={name: _cached(entry.target(around.base), file.front) for name, entry in file.targets.items()},
        jobs=tuple(job for _, job in draft.numbered),
        hooks=file.on.hooks,
        bandwidth=(file.bandwidth or BandwidthEntry()).bandwidth,
        connections=file.connections,
        front=file.front.based(around.base),
        http=file.http,
        engine=file.engine,
        traces=file.traces,
        site=file.site,
        maintenance=file.maintenance,
        access=file.access.access,
        tokens=None if file.access.tokens is None else around.base / file.access.tokens,
        edge=file.profile == EDGE,
        ha=file.ha,
        trust=file.trust.trust(around.base, principal_of(file.site.name, file.site.url, file.front.url)),
    )


def _cached(target: Target, front: FrontEntry) -> Target:
    """With what its objects say to caches, where it is a bucket: as the front's own answers."""
    replicas = tuple(replace(one, at=_cached(one.at, front)) for one in target.replicas)
    tiers = target.tiers
    if tiers is not None and tiers.at is not None:
        tiers = replace(tiers, at=_cached(tiers.at, front))
    if isinstance(target, S3Target):
        return replace(target, caching=front.caches.caching, replicas=replicas, tiers=tiers)
    return replace(target, replicas=replicas, tiers=tiers)


def _faults(found: Iterable[Finding], document: YamlDocument, secrets: Iterable[str]) -> tuple[Fault, ...]:
    """Findings as faults: placed, sorted by place, told once, free of secrets."""
    kept = tuple(secrets)
    faults = {_fault(finding, document, kept) for finding in found}
    return tuple(sorted(faults, key=lambda fault: (fault.line, fault.column, fault.where, fault.message)))


def _fault(finding: Finding, document: YamlDocument, secrets: tuple[str, ...]) -> Fault:
    place = finding.place or _nearest(finding, document)
    message = credentials.redacted(finding.message, secrets)
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}..."
    where = credentials.redacted(spoken(finding.trail), secrets)
    return Fault(document.file, place.line, place.column, where, message)


def _nearest(finding: Finding, document: YamlDocument) -> FilePosition:
    """Where the value (or key) stands; for a key that is missing, where the mapping does that misses it."""
    trail = finding.trail
    if finding.key and trail in document.keys:
        return document.keys[trail]
    while trail and trail not in document.values:
        trail = trail[:-1]
    return document.values[trail]
