"""Adds a repo to a job of jobs.yaml in place: what a person has written there stays, byte for byte.

It goes behind the last entry of the job's `repos`, in the way in which that list is written. What comes out is read and
checked as a whole before it is kept: it must be the same settings, and the repo.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from mirror_sync.config.edited_files import alone_at, replace_file
from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.domain.job.job import Job, denials
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.nearest import jobs_instead
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.errors import ConfigError, UsageError


def with_repo(text: str, job: str, repo: Repo) -> str:
    """The text of a jobs.yaml in which a job names one repo more. UsageError where nothing can be added to it."""
    listed, said = _repos_of(text, job), _said(repo)
    if listed is None or not (listed.flow_style or listed.value):
        raise UsageError(_by_hand(job, said))
    if listed.flow_style:
        at = listed.end_mark.index - 1
        tail = re.sub(r"#[^\n]*", "", text[listed.value[-1].end_mark.index : at]) if listed.value else ","
        return f"{text[:at]}{'' if ',' in tail else ', '}{said}{text[at:]}"
    ends = "\r\n" if "\r\n" in text else "\n"
    entry = f"{' ' * listed.start_mark.column}- {said}{ends}"
    line = text.find("\n", listed.value[-1].end_mark.index)
    return f"{text[: line + 1]}{entry}{text[line + 1 :]}" if line >= 0 else f"{text}{ends}{entry}"


def _said(repo: Repo) -> str:
    return str(repo) if repo.kind is Kind.MODEL and "/" in repo.id else f'"{repo}"'


def _by_hand(job: str, said: str) -> str:
    return f"job {job} is written in a way in which nothing can be added to it: add to its repos: {said}"


def _repos_of(text: str, job: str) -> yaml.SequenceNode | None:
    jobs = _value(yaml.compose(text, Loader=yaml.SafeLoader), "jobs")
    for entry in jobs.value if isinstance(jobs, yaml.SequenceNode) else ():
        name, repos = _value(entry, "name"), _value(entry, "repos")
        if isinstance(name, yaml.ScalarNode) and name.value == job and isinstance(repos, yaml.SequenceNode):
            return repos
    return None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def add_repo(settings: Settings, job: str, repo: Repo, environ: Mapping[str, str]) -> Settings:
    """Write jobs.yaml anew with one repo more in a job; owner and mode stay. Returns what it says now.

    ConfigError where the edited text has faults, or the file has by now; UsageError where the job is none, names the
    repo already, names none by itself (`select`, `variants`), or cannot be edited; OSError. Nothing has changed then.
    """
    path = settings.path.resolve()
    with alone_at(path):
        before = load(path, environ)
        found = next((one for one in before.jobs if one.name == job), None)
        if found is None:
            raise UsageError(f"{path.name} has no job {job!r}{jobs_instead(job, before.jobs)}")
        if found.denied_by(repo) is not None:
            raise UsageError(f"{denials([found], repo)}; take that out first")
        if found.ranking is not None:
            finds = "variants find" if isinstance(found.ranking, Variants) else "select finds"
            raise UsageError(
                f"job {job} takes what its {finds}, "
                f"and its limits or rules may leave {repo} out at any run: grant it to a job with repos, which names it"
            )
        if found.names(repo):
            raise UsageError(f"job {job} names {repo} already: mirror-sync sync {job} --repo {repo} brings it")
        with path.open("rb") as file:
            text = file.read().decode()
        made = with_repo(text, job, repo)
        with _beside(path, made) as draft:
            after = _loaded(draft, path, environ)
        named = RepoPattern(repo.kind, repo.id)
        wanted = tuple(
            replace(one, repos=(*one.repos, named), _named=None) if one.name == job else one for one in before.jobs
        )
        if tuple(map(_plain, after.jobs)) != tuple(map(_plain, wanted)):
            raise UsageError(_by_hand(job, _said(repo)))
        replace_file(path, made.encode())
    return after


def _plain(job: Job) -> Job:
    """Without the models that it looks for variants of, of which it may get one more by what another job names."""
    ranking = job.ranking
    return replace(job, ranking=replace(ranking, bases=())) if isinstance(ranking, Variants) else job


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A draft in the same folder, from which relative paths are meant; for nobody else to read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _loaded(draft: Path, path: Path, environ: Mapping[str, str]) -> Settings:
    """Faults are told as those of the file itself."""
    try:
        return load(draft, environ)
    except ConfigError as error:
        faults = tuple(replace(one, file=str(path)) if one.file == str(draft) else one for one in error.faults)
        raise ConfigError(faults, error.warnings) from None
