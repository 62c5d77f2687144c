"""What a job asks for, as reports, records and keys name it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror_sync.domain.repo import Kind, Repo, RepoPattern

_SEVERAL = ", "
_UNEXPANDED = re.compile(r"[*?\[ ]")  # in no name of a branch or tag: git-check-ref-format(1)


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A revision of a repo that a job asks for; before it is expanded a glob for either, or several revisions.

    `repo` is an id or a glob. `revision` is a name, a glob, or several of these with `, ` between them.
    """

    job: str
    kind: Kind
    repo: str
    revision: str

    @classmethod
    def of(cls, job: str, named: Repo | RepoPattern, *revisions: str) -> Subject:
        """`named` may be a glob; each of the `revisions`, too."""
        repo = named.id if isinstance(named, Repo) else named.glob
        return Subject(job, named.kind, repo, _SEVERAL.join(revisions))

    @property
    def subject(self) -> Subject:
        """These four alone, of whatever is told of them: the key by which it is known."""
        return Subject(*self.parts)

    @property
    def parts(self) -> tuple[str, Kind, str, str]:
        """Job, kind, repo and revision, as documents and databases have them."""
        return self.job, self.kind, self.repo, self.revision

    @property
    def pattern(self) -> RepoPattern:
        """The repo, or the glob, as an entry of jobs.yaml has it."""
        return RepoPattern(self.kind, self.repo)

    @property
    def one_repo(self) -> Repo | None:
        """The repo; None for a glob, and for what is no id."""
        try:
            return Repo(self.kind, self.repo)
        except ValueError:
            return None

    @property
    def revisions(self) -> tuple[str, ...]:
        """The names or globs that `revision` joins."""
        return tuple(self.revision.split(_SEVERAL))

    @property
    def is_expanded(self) -> bool:
        """Whether it is one revision of one repo."""
        return not self.pattern.is_glob and _UNEXPANDED.search(self.revision) is None

    @property
    def spoken(self) -> str:
        """`acme/x@main`, `dataset:acme/x@main`."""
        return f"{self.pattern}@{self.revision}"
