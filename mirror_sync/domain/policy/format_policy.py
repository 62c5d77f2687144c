"""Which classes of files may be published, by the operator's lists: what stands on none of them is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.policy.rules import Outcome, Verdict

FORMATS = "formats"  # the name of this rule
_WORST_FIRST = (Outcome.REFUSED, Outcome.HELD)
_SAID = {Outcome.HELD: "policy.formats holds", Outcome.REFUSED: "policy.formats refuses"}
_SHOWN = 3  # paths of each class that are named


@dataclass(frozen=True, slots=True)
class FormatPolicy:
    """What is on neither list is allowed."""

    refuse: frozenset[FileClass] = frozenset()
    hold: frozenset[FileClass] = frozenset()

    @classmethod
    def of(cls, refuse: Iterable[FileClass], allow: Iterable[FileClass]) -> FormatPolicy:
        """Lists that stand alone: what they do not name is held."""
        refused = frozenset(refuse)
        return cls(refused, frozenset(FileClass) - refused - frozenset(allow))

    def tightened(self, refuse: Iterable[FileClass], hold: Iterable[FileClass]) -> FormatPolicy:
        """The same with what a job refuses and holds beside it: neither lets in what these lists keep out."""
        refused = self.refuse | frozenset(refuse)
        return FormatPolicy(refused, (self.hold | frozenset(hold)) - refused)

    def outcome(self, of: FileClass) -> Outcome:
        """What becomes of a file of a class."""
        if of in self.refuse:
            return Outcome.REFUSED
        return Outcome.HELD if of in self.hold else Outcome.ALLOWED

    def judge(self, files: Iterable[tuple[str, Classified]]) -> Verdict:
        """Decide for a snapshot by all of its files: paths, and what is there."""
        counts, named = defaultdict[FileClass, int](int), defaultdict[FileClass, list[tuple[str, str]]](list)
        for path, found in files:
            counts[found.of] += 1
            if len(named[found.of]) < _SHOWN:
                named[found.of].append((path, found.what))
        met = [
            (outcome, of) for outcome in _WORST_FIRST for of in FileClass if counts[of] and self.outcome(of) is outcome
        ]
        if not met:
            told = ", ".join(f"{counts[of]:,} {of}" for of in FileClass if counts[of])
            return Verdict(FORMATS, Outcome.ALLOWED, f"files by class: {told or 'none'}")
        said = (f"{_SAID[outcome]} {of}: {_spoken(named[of], counts[of])}" for outcome, of in met)
        return Verdict(FORMATS, met[0][0], "; ".join(said))


def _spoken(named: list[tuple[str, str]], count: int) -> str:
    """The first files, and of the first what it is."""
    (first, what), others = named[0], [plain(path) for path, _ in named[1:_SHOWN]]
    more = f" and {count - len(named):,} more" if count > len(named) else ""
    return ", ".join((f"{plain(first)} ({what})" if what else plain(first), *others)) + more
