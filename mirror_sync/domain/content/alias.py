"""alias.json: the id under which a repo is published, found by another spelling of it or by a former name.

`{"id":"BAAI/bge-small-en-v1.5"}`, under the key of the other name in lower case (keys.alias_key). An alias says nothing
of what is published: that is what refs.json of the id says, and a reader follows one alias only.
"""

from __future__ import annotations

import json

from mirror_sync.domain.bounds import text
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError

MAX_ALIAS = 4096  # bytes; an id has at most 96 characters


def encode(repo: Repo) -> bytes:
    """The alias.json that leads to `repo`."""
    return json.dumps({"id": repo.id}, separators=(",", ":")).encode()


def decode(kind: Kind, body: bytes) -> Repo:
    """The repo that an alias.json leads to, of the kind under whose keys it stands. DocumentError for anything else."""
    try:
        return Repo(kind, text(json.loads(body.decode())["id"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DocumentError(f"not an alias.json: {error!r}") from error
