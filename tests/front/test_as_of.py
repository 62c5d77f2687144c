"""A front over a replica says up to when that has what its target has published; a front over a target says nothing."""

from __future__ import annotations

import time

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.replicas import MARK, PUBLISHED_HEADER, ReplicaMark
from tests.front.bucket import model
from tests.front.mirrors import PATIENCE, Mirror

AT = "2026-11-20T08:00:00Z"


def until(mirror: Mirror, address: str, said: str | None) -> None:
    limit = time.monotonic() + PATIENCE
    while (found := mirror.get(address).header(PUBLISHED_HEADER)) != said:
        assert time.monotonic() < limit, f"{address} still says {found}"
        time.sleep(0.1)


def test_what_may_change_says_how_late_a_replica_is_and_what_never_changes_does_not(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"config.json": b"{}"})
    moving = (
        repo.api,
        f"{repo.api}/refs",
        f"{repo.api}/tree/main",
        f"{repo.at}/resolve/main/config.json",
        "/api/models/acme/not-here",
        "/-/nothing.html",
    )
    pinned = f"{repo.at}/resolve/{commit}/config.json"
    for address in (*moving, pinned):
        until(mirror, address, None)
    body = ReplicaMark(AT, "0123abcd").encode()
    mirror.store.put(MARK, body, Sha256.of(body))
    try:
        for address in moving:
            until(mirror, address, AT)
        assert mirror.head(f"{repo.at}/resolve/main/config.json").header(PUBLISHED_HEADER) == AT
        assert mirror.get(pinned).header(PUBLISHED_HEADER) is None
        for odd in (b"{", b'{"format":1,"published":"x\\r\\nSet-Cookie: a=b","copy":""}', b"<html>not ours</html>"):
            mirror.store.put(MARK, odd, Sha256.of(odd))
            until(mirror, repo.api, None)
            assert mirror.get(repo.api).status == 200
    finally:
        mirror.store.delete([MARK])
        until(mirror, repo.api, None)
