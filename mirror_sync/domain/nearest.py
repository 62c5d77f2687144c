"""What somebody meant who wrote a name that is not known: the same repo of another kind, one nearly so, or a job's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo, RepoPattern

_NEAR = 0.75  # of difflib: one or two letters of a name
_MOST = 3


def did_you_mean(wanted: RepoPattern, known: Iterable[RepoPattern]) -> str:
    """`; did you mean dataset:acme/x?`, at most three, the surest first; empty where none is near."""
    names = {str(one): one for one in known if one != wanted}
    letters = wanted.glob.casefold()
    same = [name for name, one in names.items() if one.glob.casefold() == letters]
    bare = [name for name, one in names.items() if one.glob.rpartition("/")[2].casefold() == letters]  # no owner given
    found = (sorted(same) or sorted(bare))[:_MOST]
    if not found and not wanted.is_glob:
        spelled = {one.glob.casefold(): name for name, one in names.items()}
        found = [spelled[text] for text in get_close_matches(letters, spelled, n=_MOST, cutoff=_NEAR)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def jobs_instead(wanted: str, jobs: Sequence[Job]) -> str:
    """`; it has: a, b`, and which of them is nearly so, or names the repo that was given in a job's place."""
    names = [job.name for job in jobs]
    if "/" in wanted:
        having = [job.name for job in jobs if _names(job, wanted)]
        hint = f"; {wanted} is a repo of {', '.join(having[:_MOST])}" if having else ""
        return f"; it has: {', '.join(names)}{hint}"
    return names_instead(wanted, names)


def names_instead(wanted: str, names: Iterable[str]) -> str:
    """`; it has: a, b`, and which of them is nearly so."""
    known = list(names)
    near = get_close_matches(wanted, known, n=1, cutoff=_NEAR)
    return f"; it has: {', '.join(known) or 'none'}{f'; did you mean {near[0]}?' if near else ''}"


def _names(job: Job, text: str) -> bool:
    try:
        return job.names(Repo.parse(text))
    except ValueError:
        return False
