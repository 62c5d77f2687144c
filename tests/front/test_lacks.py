"""What a mirror does not do is refused in words that clients show: the Hub's own drop a message that says no more."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.front.bucket import model
from tests.front.mirrors import Mirror
from tests.waiting import PATIENCE

WRITES = [
    ("POST", "/api/models/acme/x/preupload/main"),
    ("POST", "/api/models/acme/x/commit/main"),
    ("POST", "/api/repos/create"),
    ("DELETE", "/api/repos/delete"),
    ("POST", "/api/validate-yaml"),
    ("PUT", "/api/models/acme/x/settings"),
    ("POST", "/api/datasets/acme/x/discussions"),
]
WORDS = {
    "/api/whoami-v2": "no accounts",
    "/api/buckets/acme": "Only models, datasets, spaces and kernels",
    "/api/organizations/acme/overview": "vouches for no kernels of this organization",
    "/api/organizations/acme/members": "no people, organizations",
    "/api/models/acme/x/discussions": "no discussions",
    "/no/such/thing/at/all": "files, listings and info of models and datasets",
}


@pytest.mark.parametrize(("method", "target"), WRITES)
def test_whoever_writes_is_told_that_the_mirror_is_read_only(mirror: Mirror, method: str, target: str) -> None:
    reply = mirror.ask(method, target, body=b"{}")
    assert (reply.error, reply.header("Allow")) == ((405, None), "GET, HEAD")
    assert "read-only" in (reply.header("X-Error-Message") or "")
    assert reply.json["error"] == reply.header("X-Error-Message")


@pytest.mark.parametrize("target", WORDS)
def test_what_is_not_here_is_told_in_words(mirror: Mirror, target: str) -> None:
    reply = mirror.get(target)
    assert reply.error == (404, None)
    assert WORDS[target] in (reply.header("X-Error-Message") or "")


def test_git_is_told_in_text_what_to_do_instead(mirror: Mirror) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"1"})
    for target in (f"{repo.at}/info/refs?service=git-upload-pack", f"/datasets{repo.at}.git/info/refs"):
        reply = mirror.get(target)
        assert (reply.status, reply.header("Content-Type")) == (404, "text/plain; charset=utf-8")
        assert b"hf download" in reply.body
    batch = mirror.ask("POST", f"{repo.at}.git/info/lfs/objects/batch", body=b"{}")
    assert (batch.status, batch.header("Content-Type")) == (404, "application/vnd.git-lfs+json")
    assert "hf download" in batch.json["message"]


@pytest.mark.parametrize(
    ("verb", "address"),
    [("ls-remote", "/acme/x"), ("clone", "/acme/x.git"), ("clone", "/datasets/acme/x"), ("clone", "/gpt2")],
)
def test_git_shows_these_words(mirror: Mirror, tmp_path: os.PathLike[str], verb: str, address: str) -> None:
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "HOME": str(tmp_path), "LC_ALL": "C"}
    asked = ["git", verb, f"{mirror.url}{address}"]
    found = subprocess.run(
        asked, cwd=tmp_path, env=quiet, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert found.returncode != 0
    assert "hf download" in found.stderr
