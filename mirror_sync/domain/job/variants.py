"""Quantised repos that others have made of a model: which of them a job takes, and why not the rest.

The Hub computes the tag `base_model:quantized:org/name` of what a repo's card says, which anybody may write: so a repo
also has to name its base in its own name, as all that makers of GGUF publish do, and is judged like any other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from mirror_sync.domain.bounds import short
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.repo import EVERYTHING, Kind, Repo, RepoPattern

ALL_MODELS = RepoPattern(Kind.MODEL, EVERYTHING)
_SOUND = re.compile(r"[^a-z0-9]")
_FORMAT = "gguf"
_SHOWN = 8  # words for quants that a reason names


@dataclass(frozen=True, slots=True)
class Variants(Ranking):
    """The most downloaded `limit` repos of each of `bases` that have one of `quants`, by one of `authors`, if any."""

    bases: tuple[Repo, ...] = ()
    quants: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()

    @property
    def is_wide(self) -> bool:
        """The names of repos say what they were made of."""
        return False

    def takes(self, repo: Repo) -> bool:
        """Whether a repo may be one of them, by its name."""
        return not self._stranger(repo) and not any(pattern.matches(repo) for pattern in self.without)

    def objection(self, repo: Repo, paths: Collection[str], taken: int) -> str:
        """Why a repo that says that it was made of a base is not taken; `taken` are those before it; empty for none."""
        if why := self._stranger(repo):
            return why
        by = next((pattern for pattern in self.without if pattern.matches(repo)), None)
        if by is not None:
            return f"{by} is under variants.without, or denied"
        from mirror_sync.domain.doors.gguf_quants import quant_words

        there = sorted({word for path in paths for word in quant_words(path)})
        if not set(there) & set(self.quants):
            shown = ", ".join(short(word, 40) for word in there[:_SHOWN]) or "no GGUF file with a quant in its name"
            return f"it has none of {', '.join(self.quants)}: it has {shown}"
        return f"variants.limit is {self.limit}, and so many are downloaded more" * (taken >= self.limit)

    def selection(self, include: Collection[str] = ()) -> Selection:
        """The files of these quants, whole or in parts, and what else is included."""
        words = [spelled for quant in self.quants for spelled in (quant, quant.lower())]
        ends = (".gguf", "-?????-of-?????.gguf")
        return Selection((*(f"*[-.]{word}{end}" for word in dict.fromkeys(words) for end in ends), *include))

    def _stranger(self, repo: Repo) -> str:
        if repo.kind is not Kind.MODEL or repo in self.bases:
            return "it is no variant, but the model itself"
        if self.authors and repo.owner not in self.authors:
            return f"{repo.owner} is not among variants.authors"
        name = _sound(repo.id.rpartition("/")[2])
        if _FORMAT not in name or not any(_sound(base.id.rpartition("/")[2]) in name for base in self.bases):
            return "its name does not say that it is a GGUF of the model that its card names"
        return ""

    def __str__(self) -> str:
        return f"{', '.join(self.quants)} of {', '.join(map(str, self.bases))}"


def _sound(name: str) -> str:
    return _SOUND.sub("", name.lower())
