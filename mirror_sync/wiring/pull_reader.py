"""`pull`, `list`, `search` and `info`, put together without a jobs.yaml: from the address of a front."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.url import Url
from mirror_sync.engine.pull.places import Folder, HubCache
from mirror_sync.engine.pull.pulling import OpenedSnapshot, Pull, Pulled
from mirror_sync.errors import Interrupted, SigningError, UsageError
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.front_source import FrontSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PullOrder:
    """What is pulled: `folder` None is the cache of the Hub's clients, `signers` a file of public keys."""

    repo: Repo
    revision: str
    folder: Path | None
    include: tuple[str, ...]
    signers: Path | None
    workers: int


class PullReader:
    """One front, asked again where that may help. `stop` ends what waits."""

    def __init__(self, url: str, environ: Mapping[str, str], stop: Event, tell: Observer, workers: int = 4) -> None:
        """UsageError for what is no address of a front."""
        try:
            self._url = f"{Url.parse(url)}".rstrip("/")
        except ValueError as error:
            raise UsageError(f"--from is the address of a front, https://...: {error}") from None
        self._environ, self._stop = environ, stop
        self.token = token_of(environ)
        transport = Transport(timeouts=Timeouts(), connections=workers)
        self._source = FrontSource(self._url, self.token, transport, tell=tell)
        self._again = RetryingSource(self._source, RetryPolicy(), tell, self._sleep, random.random)

    def root(self, repo: Repo, revision: str) -> bytes:
        """See `Documents`."""
        return self._again.again(f"root of {repo}", lambda: self._source.root(repo, revision))

    def shard(self, repo: Repo, commit: CommitId, digest: Sha256) -> bytes:
        """See `Documents`."""
        return self._again.again(f"listing of {repo}", lambda: self._source.shard(repo, commit, digest))

    def published(self, words: tuple[str, ...] = ()) -> Iterator[tuple[Repo, dict[str, Any]]]:
        """What is listed of which the name, a tag, the task or the library holds each word."""
        low = tuple(word.lower() for word in words)
        for kind in Kind:
            found = self._again.again("list repos", lambda kind=kind: [*self._source.published(kind)])  # type: ignore[misc]
            for item in found:
                held = " ".join(map(str, (item["id"], *_texts(item)))).lower()
                if all(word in held for word in low):
                    yield Repo(kind, item["id"]), item

    def opened(self, repo: Repo, revision: str) -> OpenedSnapshot:
        """The snapshot that a revision leads to."""
        return OpenedSnapshot.read(self, repo, revision)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """The names that lead to commits."""
        return self._again.refs(repo)

    def pull(self, order: PullOrder, tell: Callable[[int, int], None]) -> Pulled:
        """Bring it. UpstreamError, DocumentError, SigningError, StoreFull, OSError, Interrupted."""
        opened = self.opened(order.repo, order.revision)
        signer = "" if order.signers is None else self._signer(opened, order.signers)
        folder = order.folder
        place = HubCache(cache_of(self._environ), order.repo, opened.root.commit) if folder is None else Folder(folder)
        selection = Selection(order.include) if order.include else Selection()
        found = Pull(self, self._again, place, self._stop, order.workers, tell).run(opened, selection)
        return replace(found, signer=signer)

    def _signer(self, opened: OpenedSnapshot, signers: Path) -> str:
        """Who has signed that this root is this commit's. SigningError where nobody known has."""
        from mirror_sync.signing.evidence import FrontEvidence
        from mirror_sync.signing.proof import Asked, Prover
        from mirror_sync.wiring.proving import known_signers

        prover = Prover(FrontEvidence(self._url, self.token), known_signers(signers), datetime.now(UTC))
        proof = prover.stated(Asked(opened.repo, opened.revision))
        if proof.problems:
            raise SigningError(f"not proved, and nothing was pulled: {proof.problems[0]}")
        root = proof.stated and proof.commit and proof.stated.snapshots[proof.commit].root
        if proof.signer is None or (proof.commit, root) != (opened.root.commit, opened.digest):
            raise SigningError(
                f"not proved, and nothing was pulled: {opened.revision} is signed to be another snapshot than the "
                "mirror gave; if it has moved just now, pull again"
            )
        return f"{','.join(proof.signer.principals)} ({proof.signer.key.fingerprint})"

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted("stopped while waiting for the mirror")


def _texts(item: Mapping[str, Any]) -> Iterator[str]:
    tags = item.get("tags")
    yield from (tag for tag in (tags if isinstance(tags, list) else []) if isinstance(tag, str))
    yield from (said for said in (item.get("pipeline_tag"), item.get("library_name")) if isinstance(said, str))


def home_of(environ: Mapping[str, str]) -> Path:
    """Where the Hub's clients keep all of theirs. Source: huggingface_hub 2.4, constants.py."""
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expandvars(environ.get("HF_HOME") or f"{cache}/huggingface")).expanduser()


def cache_of(environ: Mapping[str, str]) -> Path:
    """Their cache of files."""
    told = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(told)).expanduser() if told else home_of(environ) / "hub"


def token_of(environ: Mapping[str, str]) -> str | None:
    """HF_TOKEN, else what `hf auth login` has kept; None where neither is. UsageError for what cannot be sent."""
    told = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    where = "HF_TOKEN"
    if not told.strip():
        path = Path(os.path.expandvars(environ.get("HF_TOKEN_PATH") or f"{home_of(environ)}/token")).expanduser()
        where = str(path)
        try:
            told = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError):
            raise UsageError(f"the token in {path} cannot be read") from None
    token = told.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(f"{where} holds what no token has")
    return token or None
