"""What a client keeps: re-use, work without the mirror, resuming after the line broke, verifying."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

from tests.clients.checks.downloads import fetch
from tests.clients.checks.registry import operation, same
from tests.clients.truth import RepoTruth, Truth
from tests.servers.cutting import CuttingProxy, cutting_proxy

OFFLINE = """
import sys
from huggingface_hub import hf_hub_download, snapshot_download
repo, cache = sys.argv[1:]
print(hf_hub_download(repo, "config.json", cache_dir=cache))
print(snapshot_download(repo, cache_dir=cache))
"""


@operation("a cached file is not fetched again")
def reuse(truth: Truth, scratch: Path) -> None:
    with cutting_proxy(constants.ENDPOINT, after=1 << 62) as proxy:
        for path in ("config.json", "odd names/with space.txt"):
            first = hf_hub_download(truth.model.id, path, cache_dir=scratch, endpoint=proxy.url)
            seen = len(_bodies(proxy))
            same(hf_hub_download(truth.model.id, path, cache_dir=scratch, endpoint=proxy.url), first, "place")
            same(len(_bodies(proxy)), seen, "GET requests")
    assert seen, "the client never came by the proxy"


@operation("a cached snapshot is used offline")
def offline(truth: Truth, scratch: Path) -> None:
    snapshot_download(truth.tagged.id, revision="main", cache_dir=scratch)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", OFFLINE, truth.model.id, str(scratch)]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr[-600:]
    file, folder = outcome.stdout.split("\n")[:2]
    same(Path(folder).name, truth.model.commit, "commit")
    truth.model.files["config.json"].check(Path(file))


@operation("a cut download goes on with Range")
def resume(truth: Truth, scratch: Path) -> str:
    repo, path = truth.model, truth.model.biggest()
    size = repo.files[path].size
    with cutting_proxy(constants.ENDPOINT, after=size * 3 // 4) as proxy:
        calls = _until_done(repo, path, scratch, proxy.url)
        same(proxy.cuts, 1, "cuts")
        starts = [int(one.removeprefix("bytes=").split("-")[0]) for one in proxy.ranges]
    assert any(0 < start < size for start in starts), f"no range from the middle was asked for: {proxy.ranges}"
    return f"{calls} call{'s' if calls > 1 else ''}, {proxy.ranges}"


@operation("verify_repo_checksums")
def verify(truth: Truth, scratch: Path) -> str | None:
    api = HfApi()
    if not hasattr(api, "verify_repo_checksums"):
        return "this client has none"
    snapshot_download(truth.model.id, cache_dir=scratch)
    verdict = api.verify_repo_checksums(truth.model.id, cache_dir=scratch)
    same((verdict.mismatches, verdict.missing_paths, verdict.extra_paths), ([], [], []), "verdict")
    same((verdict.revision, verdict.checked_count), (truth.model.commit, len(truth.model.files)), "what was checked")
    return None


@operation("two revisions in one cache share what is equal")
def two_revisions(truth: Truth, scratch: Path) -> None:
    old, new = fetch(truth.tagged, "notes.txt", scratch), fetch(truth.model, "notes.txt", scratch)
    assert old != new, "both revisions in one place"
    truth.tagged.files["notes.txt"].check(old)
    blobs = {fetch(repo, "config.json", scratch).resolve() for repo in (truth.model, truth.tagged)}
    same(len(blobs), 1, "copies of the file that did not change")


def _bodies(proxy: CuttingProxy) -> list[str]:
    return [line for line in proxy.requests if line.startswith("GET ")]


def _until_done(repo: RepoTruth, path: str, cache: Path, endpoint: str) -> int:
    """Downloads as a patient user does: clients before 1.0 give up when a line breaks, and go on when asked again."""
    for call in (1, 2):
        try:
            found = hf_hub_download(repo.id, path, cache_dir=cache, endpoint=endpoint)
        except Exception:  # each generation has another HTTP library, with errors of its own
            if call > 1:
                raise
        else:
            repo.files[path].check(Path(found))
            return call
    raise AssertionError("unreachable")
