"""Fronts give nothing of the audit that lies in the target which they serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from tests.audit.works import Works
from tests.front.mirrors import by_either


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_no_front_serves_or_lists_the_audit(front: str, tmp_path: Path) -> None:
    works = Works(tmp_path / "one", {"url": str(tmp_path / "mirror")}, tmp_path / "upstream")
    works.write(site={"enabled": True})
    works.repo("x")
    works.sync()
    key = works.segments()[0]
    machine = key.split("/")[1]
    with by_either(front, DirectoryTarget(tmp_path / "mirror"), tmp_path / "front") as mirror:
        assert mirror.get("/acme/x/resolve/main/README.md").status == 200
        unknown = mirror.get("/nowhere/at/all.jsonl")
        for path in (
            f"/{key}",
            f"//{key}",
            f"/{key}.sig",
            f"/audit/{machine}/",
            "/audit/",
            f"/-/../{key}",
            f"/-/{key}",
        ):
            reply = mirror.get(path)
            assert (reply.status in (400, 404), b"prev" in reply.body) == (True, False), (path, reply)
        assert mirror.get(f"/{key}").error == unknown.error
        assert mirror.get("/audit").status == mirror.get("/nowhere").status
        listed = json.dumps(mirror.get("/api/models").json)
        assert ("acme/x" in listed, machine in listed) == (True, False)
