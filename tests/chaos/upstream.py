"""The upstream: a stand-in Hub whose repos change at random, each change noted as truth before anybody can see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.truth import Bytes, RepoName, Truth
from tests.standin import LFS, File, Generated, Hub, Repo

MIB = 1 << 20
ALLOWED = "mit"
FORBIDDEN = "cc-by-nc-4.0"
REVISIONS = ("main", "stable", "v*")
WEIGHTS = RepoName("models", "chaos/weights")
MANY = RepoName("models", "chaos/many")
COPIES = RepoName("models", "chaos/copies")
ROWS = RepoName("datasets", "chaos/rows")
REPOS = (WEIGHTS, MANY, COPIES, ROWS)
_FEWEST = 10  # files that a repo keeps, so that no removal comes near to the guard's half
_GENERATED = MIB
"""Bytes from which on a content is made while it is read: a smaller one costs less as it is."""
_UNLIKE = 10
"""Bytes that no two contents have in common by chance."""
_TAGS = ("v1", "v2", "stable")


@dataclass
class Upstream:
    """Changes a Hub by dice, and says afterwards what was done in words."""

    hub: Hub
    dice: Random
    truth: Truth = field(default_factory=Truth)
    closed: dict[RepoName, str] = field(default_factory=dict)
    """Repos that must not or cannot be mirrored now, and why."""
    refused: set[RepoName] = field(default_factory=set)
    """Repos that ever were."""
    large: tuple[int, int] = (17 * MIB, 128 * MIB)
    """Bytes of large files, at least and at most."""

    def populate(self) -> None:
        """The first commits."""
        self._commit(WEIGHTS, self._card() | self._small(8) | {"model.safetensors": self._large()})
        self._commit(MANY, self._card() | self._small(60) | self._lfs(6))
        self._commit(COPIES, self._card() | self._small(9) | self._lfs(2))
        self._commit(ROWS, self._card() | self._small(12) | {"data/train.parquet": self._large()})
        for repo in REPOS:
            for tag in _TAGS:
                self._tag(repo, tag, self.repo(repo).head())

    def change(self, *, terms: bool) -> str:
        """One random change; `terms` allows those that close a repo."""
        weights = {"edit": 5, "add": 3, "remove": 2, "rename": 2, "weights": 5, "copy": 2, "tag": 3, "force": 1}
        weights |= {"terms": 2, "open": 3} if terms else {}
        kind = self.dice.choices(list(weights), list(weights.values()))[0]
        repo = self.dice.choice(REPOS)
        done = _CHANGES[kind](self, repo)
        return f"{kind} {done or repo.in_jobs}"

    def open_all(self) -> None:
        """Every repo can be mirrored again."""
        for repo in [*self.closed]:
            self._open(repo)

    def repo(self, name: RepoName) -> Repo:
        """The stand-in's own repo."""
        return self.hub.model(name.id) if name.kind == "models" else self.hub.dataset(name.id)

    def content(self, low: int, high: int) -> bytes | Generated:
        """A content that was never there before, of `low` to `high` bytes."""
        size = self.dice.randint(low, high)
        if size < _GENERATED:
            return self.dice.randbytes(max(size, _UNLIKE))
        return Generated(size, self.dice.getrandbits(60))

    def edit(self, repo: RepoName) -> None:
        """Some small files get other bytes."""
        paths = self._pick(repo, self.dice.randint(1, 6), lambda file: file.size < MIB and not file.lfs)
        self._commit(repo, {path: self.content(10, 9000) for path in paths})

    def add(self, repo: RepoName) -> None:
        """New files."""
        self._commit(repo, self._small(self.dice.randint(1, 8)) | self._lfs(self.dice.randint(0, 2)))

    def remove(self, repo: RepoName) -> None:
        """Some files go."""
        if len(self._files(repo)) > _FEWEST:
            self._commit(repo, {}, delete=self._pick(repo, self.dice.randint(1, 2)))

    def rename(self, repo: RepoName) -> None:
        """Some files move, large ones too."""
        paths = self._pick(repo, self.dice.randint(1, 3))
        self._commit(repo, {}, rename={path: f"moved/{self._name()}-{path.rpartition('/')[2]}" for path in paths})

    def weights(self, repo: RepoName) -> None:
        """A file that is larger than a part of an upload, new or in the place of an older one."""
        large = self._pick(repo, 1, lambda file: file.size > 16 * MIB)
        self._commit(repo, {large[0] if large else f"weights-{self._name()}.bin": self._large()})

    def copy(self, repo: RepoName) -> None:
        """A content that another repo has already."""
        other = self.dice.choice(REPOS)
        paths = self._pick(other, 2, lambda file: file.lfs)
        self._commit(repo, {f"copied/{self._name()}": LFS(self._files(other)[path].content) for path in paths})

    def tag(self, repo: RepoName) -> None:
        """A tag moves to any commit, often an old one."""
        self._tag(repo, self.dice.choice(_TAGS), self.dice.choice([*self.repo(repo).commits]))

    def force(self, repo: RepoName) -> None:
        """Main goes back one commit."""
        here = self.repo(repo)
        parent = here.commits[here.head()].parent
        if parent is not None:
            self.truth.move(repo, "main", parent.id)
            here.branch("main", parent.id)

    def close(self, repo: RepoName) -> str:
        """A repo becomes gated, disabled, or gets a licence that no job allows."""
        self._open(repo)
        way = self.dice.choice(("gated", "disabled", "licence"))
        here = self.repo(repo)
        if way == "gated":
            here.set(gated="auto")
        elif way == "disabled":
            here.set(disabled=True)
        else:
            here.set(license=FORBIDDEN)
        self.closed[repo] = way
        self.refused.add(repo)
        return f"{repo.in_jobs} {way}"

    def reopen(self, _repo: RepoName) -> str:
        """One closed repo is as before."""
        repo = self.dice.choice([*self.closed]) if self.closed else None
        if repo is not None:
            self._open(repo)
        return f"{repo.in_jobs if repo else 'none'}"

    def forbids(self, repo: RepoName, commit: str) -> bool:
        """Whether the licence at a commit is one that no job allows: a commit keeps the card that it was made with."""
        here = self.repo(repo)
        return here.card_at(here.commits[commit]).get("license") != ALLOWED

    def _open(self, repo: RepoName) -> None:
        self.repo(repo).set(gated=False, disabled=False, license=ALLOWED)
        self.closed.pop(repo, None)

    def _commit(self, repo: RepoName, files: Mapping[str, Any], **words: Any) -> None:
        """Truth first: nobody may see a commit that the truth does not know."""
        here = self.repo(repo)
        with self.hub.world.lock:
            commit = here.commit(files, **words)
            tree = here.commits[commit].tree.files
            parent = here.commits[commit].parent
            files = {path: _bytes_of(file) for path, file in tree.items()}
            self.truth.learn(repo, commit, files, parent.id if parent else None)
            self.truth.move(repo, "main", commit)

    def _tag(self, repo: RepoName, name: str, commit: str) -> None:
        self.truth.move(repo, name, commit)
        self.repo(repo).tag(name, commit)

    def _files(self, repo: RepoName) -> Mapping[str, File]:
        here = self.repo(repo)
        return here.commits[here.head()].tree.files

    def _pick(self, repo: RepoName, count: int, fits: Callable[[File], bool] = lambda _: True) -> list[str]:
        known = sorted(path for path, file in self._files(repo).items() if path != "README.md" and fits(file))
        return self.dice.sample(known, min(count, len(known)))

    def _card(self) -> dict[str, Any]:
        return {"README.md": f"---\nlicense: {ALLOWED}\n---\n# A repo\n", "config.json": self.content(20, 400)}

    def _small(self, count: int) -> dict[str, Any]:
        return {f"part-{self.dice.randrange(8)}/{self._name()}.json": self.content(1, 9000) for _ in range(count)}

    def _lfs(self, count: int) -> dict[str, Any]:
        return {f"lfs/{self._name()}.bin": LFS(self.content(20_000, 2 * MIB)) for _ in range(count)}

    def _large(self) -> LFS:
        return LFS(self.content(*self.large))

    def _name(self) -> str:
        return f"{self.dice.randrange(1 << 32):08x}"


def _bytes_of(file: File) -> Bytes:
    return Bytes(file.size, file.content.sha256, file.oid, len(file.pointer) if file.lfs else None)


def total(contents: Iterable[Bytes]) -> int:
    """The bytes of distinct contents."""
    return sum({one.sha256: one.size for one in contents}.values())


_CHANGES: Mapping[str, Callable[[Upstream, RepoName], str | None]] = {
    "edit": Upstream.edit,
    "add": Upstream.add,
    "remove": Upstream.remove,
    "rename": Upstream.rename,
    "weights": Upstream.weights,
    "copy": Upstream.copy,
    "tag": Upstream.tag,
    "force": Upstream.force,
    "terms": Upstream.close,
    "open": Upstream.reopen,
}
