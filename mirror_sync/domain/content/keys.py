"""The bucket's keys.

    blobs/sha256/<2 hex>/<64 hex>                immutable: contents and documents, named by their digest
    hub/<kinds>/<org--name>/refs.json            what is published of a repo; mutable. <kinds> is models, datasets,
                                                 spaces or kernels
    hub/<kinds>/<org--name>/alias.json           the id that another spelling of it, or a former name, stands for;
                                                 <org--name> is in lower case here; mutable, may be lost
    site/...                                     the catalogue: derived from the others, mutable, may be lost
    audit/<machine>/<10 digits>.jsonl            what was done here, by whom: a chain of segments of each machine,
                                                 written once, and removed by nothing; `.sig` beside one signs it
    trust/allowed_signers                        which keys sign for this mirror; mutable
    trust/withdrawn/<2 hex>                      digests that are given to nobody: of what is being taken down; mutable
    replicas/<name>/<kinds>/<org--name>.json     what a replica with a front of its own is known to have of a repo;
                                                 mutable, may be lost
    tiers/cold.json                              says that there is a cold place, which bears site/cold.json
    prunes/<id>.<active|done>                    says to syncs on every machine that blobs are, or were, being removed
    prunes/<id>.moving                           says to prunes what a refs.json is about to become, by a move of a name

`--` cannot stand in a repo id, so `org--name` never collides; no key is a prefix of another, so the same keys work in a
directory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo

AUDIT = "audit/"
BLOBS = "blobs/sha256/"
COLD_MARK, COLD_BEGUN = "site/cold.json", "tiers/cold.json"  # of a cold place, in it; in its target, that it has it
HUB = "hub/"
PRUNES = "prunes/"
REPLICAS = "replicas/"
SITE = "site/"
TRUST = "trust/"
_MOVING = ".moving"
WITHDRAWAL = "withdrawal-"  # before the id of a take-down, in the place of a prune's
ALLOWED_SIGNERS = f"{TRUST}allowed_signers"
WITHDRAWN = f"{TRUST}withdrawn/"

SITE_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
}
"""Media types by the suffix of what lies below SITE; everything else in a bucket is just bytes."""

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_SEGMENT = re.compile(r"audit/([0-9a-f]{12})/([0-9]{10})\.jsonl")
_REFS = re.compile(r"hub/(models|datasets|spaces|kernels)/([^/]+)/refs\.json")


def blob_key(digest: Sha256) -> str:
    """The key under which the bytes of a digest lie."""
    return f"{BLOBS}{digest[:2]}/{digest}"


def blob_of(key: str) -> Sha256 | None:
    """The digest that a key names, None when it is no blob's key."""
    match = _BLOB.fullmatch(key)
    return Sha256(match[2]) if match else None


def refs_key(repo: Repo) -> str:
    """The key of a repo's refs.json."""
    return f"{HUB}{repo.kind.plural}/{repo.id.replace('/', '--')}/refs.json"


def alias_key(repo: Repo) -> str:
    """Where it stands which repo is meant by an id: the same for all spellings that differ in capitals only."""
    return f"{HUB}{repo.kind.plural}/{repo.id.lower().replace('/', '--')}/alias.json"


def replica_key(replica: str, repo: Repo) -> str:
    """Where it stands what a replica of a name is known to have of a repo."""
    return f"{REPLICAS}{replica}/{repo.kind.plural}/{repo.id.replace('/', '--')}.json"


def prune_key(prune: str, *, active: bool) -> str:
    """The key of a prune's notice: that it goes on, or that it has ended."""
    return f"{PRUNES}{prune}.{'active' if active else 'done'}"


def move_key(move: str) -> str:
    """The key of the notice of a move of a name, which stands from before its PUT until after it."""
    return f"{PRUNES}{move}{_MOVING}"


def is_move(key: str) -> bool:
    """Whether a key below PRUNES is the notice of a move."""
    return key.endswith(_MOVING)


def is_withdrawal(key: str) -> bool:
    """Whether a key below PRUNES is the notice of a take-down, which spares no blob for being young."""
    return key.startswith(f"{PRUNES}{WITHDRAWAL}")


def is_active_prune(key: str) -> bool:
    """Whether a key below PRUNES is the notice of a prune that goes on, or that died."""
    return key.endswith(".active")


def done_of(active: str) -> str:
    """The key that says of the prune of an active notice that it ended."""
    return f"{active.removesuffix('.active')}.done"


def is_refs(key: str) -> bool:
    """Whether a key is that of a repo's refs, also of a repo that `repo_of` does not know."""
    return key.startswith(HUB) and key.endswith("/refs.json")


def repo_of(key: str) -> Repo | None:
    """The repo whose refs a key holds, None when it is no such key."""
    match = _REFS.fullmatch(key)
    if match is None:
        return None
    try:
        return Repo(Kind(match[1].removesuffix("s")), match[2].replace("--", "/", 1))
    except ValueError:
        return None


def segment_key(machine: str, seq: int) -> str:
    """The key of a segment of the audit: the `seq`th of a machine, from 1."""
    return f"{AUDIT}{machine}/{seq:010}.jsonl"


def segment_of(key: str) -> tuple[str, int] | None:
    """The machine and number of the segment that a key names, None when it is no segment's."""
    match = _SEGMENT.fullmatch(key)
    return (match[1], int(match[2])) if match else None


def signature_key(segment: str) -> str:
    """Where the signature of a segment lies, by the segment's key."""
    return f"{segment}.sig"


def withdrawn_key(digest: Sha256) -> str:
    """Where it stands whether a digest is of what is being taken down, beside others that begin with the same byte."""
    return f"{WITHDRAWN}{digest[:2]}"


def site_key(name: str) -> str:
    """The key of a page, a document or an asset of the catalogue: `list/0123.html`."""
    return f"{SITE}{name}"


def site_type(key: str) -> str | None:
    """The media type of a part of the catalogue; None for any other key."""
    return SITE_TYPES.get(key.rpartition(".")[2]) if key.startswith(SITE) else None


@dataclass(frozen=True, slots=True)
class Caching:
    """In seconds: `immutable` what is named by a digest or a commit, `pointers` whatever may lead elsewhere soon."""

    immutable: int = 31_536_000
    pointers: int = 2

    def of_object(self, key: str) -> str:
        """The Cache-Control of an object in a bucket, for whatever stands right before that.

        It says neither `public` nor `private`: so a shared cache keeps an answer to who asks without credentials, and
        gives nobody what somebody's signature has opened (RFC 9111, section 3.5).
        """
        return f"max-age={self.immutable}, immutable" if blob_of(key) else f"max-age={self.pointers}"


USUAL = Caching()
