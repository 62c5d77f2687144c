"""Where jobs.yaml has neither `trust` nor `policy`, nothing of either costs a call, or a row of what is remembered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from tests.standin import LFS, Hub
from tests.trust.site import Site

FILES: dict[str, Any] = {"README.md": b"hello", "a.py": b"x", "config.json": b"{}", "model.bin": LFS(b"w" * 5000)}
STORE = {
    "first": {"free": 1, "list": 5, "put": 9, "read": 4, "stat": 1},
    "unchanged": {"read": 1},
    "another commit": {"free": 1, "list": 3, "put": 6, "read": 8},
}
LOOKS = {"first": {"remember": 2}, "unchanged": {"recall": 1}, "another commit": {"remember": 2}}
UPSTREAM = {"first": 8, "unchanged": 1, "another commit": 4}


class Counting:
    """Anything, whose calls are counted by their names."""

    def __init__(self, counted: object) -> None:
        self.counted, self.calls = counted, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.counted, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments, **named)

        return call


@pytest.fixture
def plain(hub: Hub, tmp_path: Path) -> Site:
    """Neither, over a folder, whose calls do not depend on a server's ways."""
    return Site(hub, tmp_path, {"url": str(tmp_path / "mirror")}).set()


def test_without_trust_and_policy_a_run_makes_the_calls_that_it_made_before_there_were_any(
    hub: Hub, plain: Site
) -> None:
    """The figures are those of a program that knows neither; a change of them is to be wanted, and not by the way."""
    repo = hub.model("acme/x", license="mit")
    repo.commit(FILES)
    assert plain.mirror is not None
    target = plain.mirror._context().targets["it"]
    store, looks = Counting(plain.plain), Counting(target.read_cache)
    object.__setattr__(target, "store", store)
    object.__setattr__(target, "read_cache", looks)
    told: dict[str, Any] = {}
    for what in STORE:
        if what == "another commit":
            repo.commit({"more.txt": b"more"})
        for log in (store.calls, looks.calls, hub.log):
            log.clear()
        (report,) = plain.mirror.sync(BY_DAEMON).repos
        told[what] = dict(store.calls), dict(looks.calls), len(hub.log), report.outcome
    plain.close()
    assert {what: one[0] for what, one in told.items()} == STORE
    assert {what: one[1] for what, one in told.items()} == LOOKS
    assert {what: one[2] for what, one in told.items()} == UPSTREAM
    assert [one[3] for one in told.values()] == ["published", "unchanged", "published"]
