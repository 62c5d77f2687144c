"""What the answers of several endpoints to one question mean together: whose word is the last, and what is missing.

The endpoints do not all hold the same. What one of them has not, the next is asked for, and it is missing when all say
so: while one of them could not be asked, nothing is. Any other refusal is the last word where the first gives it; that
of another stands when all have been asked.
"""

from __future__ import annotations

from mirror_sync.errors import (
    BadAnswer,
    FileNotFound,
    IntegrityError,
    MirrorError,
    NoSuchCall,
    NotFoundOrPrivate,
    RateLimited,
    RevisionNotFound,
    Unreachable,
    UpstreamError,
)

SILENT = (Unreachable, BadAnswer, IntegrityError)
"""No answer; all else is one."""
_KNOWS = {NotFoundOrPrivate: 0, NoSuchCall: 1, RevisionNotFound: 2, FileNotFound: 3}
"""How much an endpoint must know of a repo to refuse it so, where that speaks for this endpoint alone."""
_ABSENT = tuple(_KNOWS)


class EmptyList(NotFoundOrPrivate):
    """An endpoint lists nothing: as little the last word as a 404."""


class Answers:
    """What became of one question at several endpoints, by their index; `answered` is the one that gave an answer."""

    def __init__(self) -> None:
        self.silent: list[MirrorError] = []
        self.silent_of: set[int] = set()
        self.refused: dict[int, UpstreamError] = {}
        self.resting: list[int] = []
        self.answered = 0

    def fall_silent(self, index: int, error: MirrorError) -> None:
        """Note that one gave no answer."""
        self.silent.append(error)
        self.silent_of.add(index)

    def refuse(self, index: int, error: UpstreamError) -> None:
        """Note a refusal; raise it where it is the last word."""
        self.refused[index] = error
        if isinstance(error, RateLimited) or (index == 0 and not isinstance(error, _ABSENT)):
            raise error

    @property
    def all_lack_it(self) -> bool:
        """Whether everybody who was asked has answered that it is not there, or not for us."""
        return bool(self.refused) and not self.silent

    @property
    def error(self) -> MirrorError | None:
        """What to say when none gave an answer; None when all that might have were left alone."""
        if self.silent:
            return self._doubted(self.silent[0])
        if self.resting or not self.refused:
            return None
        by_index = [error for _, error in sorted(self.refused.items())]
        if isinstance(self.refused.get(0), _ABSENT):  # what others refuse otherwise, they alone do
            by_index = [error for error in by_index if isinstance(error, _ABSENT)]
        return max(by_index, key=_knows)  # of equals the first

    def _doubted(self, error: MirrorError) -> MirrorError:
        """The error of one that could not be asked, and why what the others say is not the answer."""
        if not self.refused or not isinstance(error, Unreachable | BadAnswer):
            return error
        said = self.refused[min(self.refused)]
        return type(error)(f"{error}; not believed until it answers: {said}")


def _knows(error: UpstreamError) -> int:
    return 1 if isinstance(error, EmptyList) else _KNOWS.get(type(error), len(_KNOWS))
