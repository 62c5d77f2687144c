"""What somebody meant who wrote the name of a repo that is not known: the same one of another kind, or nearly so."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from mirror_sync.domain.repo import RepoPattern

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
