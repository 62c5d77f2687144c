"""How bytes reach the real client: two origins, redirects, ranges, gates."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError

from tests.standin import LFS, Disk, Generated, Hub, Small

from .conftest import WEIGHTS, Ask


@pytest.mark.parametrize("small_files", ["direct", "resolve-cache"])
def test_a_snapshot_holds_every_byte(hub: Hub, cache: Path, small_files: str) -> None:
    hub.behaviour.small_files = "direct" if small_files == "direct" else "resolve-cache"
    hub.token("hf_in")
    folder = Path(snapshot_download("acme/tiny", endpoint=hub.url, cache_dir=cache, token="hf_in"))
    assert (folder / "sub" / "ü ber.txt").read_text() == "hi"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == WEIGHTS.sha256
    assert hub.calls("GET", "/repos/*", "cdn") == 1
    assert not hub.leaks


def test_a_dataset_file_and_a_pull_request_are_found(hub: Hub, cache: Path) -> None:
    hub.model("acme/tiny").pull_request(1, {"new": "new"})
    rows = hf_hub_download(
        "acme/rows", "data/train.parquet", repo_type="dataset", endpoint=hub.url, cache_dir=cache, token=False
    )
    assert Path(rows).read_bytes() == b"PAR1"
    new = hf_hub_download("acme/tiny", "new", revision="refs/pr/1", endpoint=hub.url, cache_dir=cache, token=False)
    assert Path(new).read_text() == "new"


def test_the_first_hop_names_commit_size_and_digest(hub: Hub) -> None:
    facts = get_hf_file_metadata(hf_hub_url("acme/tiny", "model.safetensors", endpoint=hub.url), token=False)
    assert facts.commit_hash == hub.model("acme/tiny").head()
    assert (facts.etag, facts.size) == (WEIGHTS.sha256, 3_000_000)
    assert facts.location.startswith(hub.cdn_url)
    assert facts.xet_file_data is None


def test_missing_files_carry_the_commit(hub: Hub, api: HfApi, ask: Ask, cache: Path) -> None:
    assert api.file_exists("acme/tiny", "config.json")
    assert not api.file_exists("acme/tiny", "nowhere")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("acme/tiny", "nowhere", endpoint=hub.url, cache_dir=cache, token=False)
    answer = ask(f"{hub.url}/acme/tiny/resolve/main/nowhere")
    assert (answer.headers["X-Error-Code"], answer.headers["X-Repo-Commit"]) == (
        "EntryNotFound",
        hub.model("acme/tiny").head(),
    )


def test_files_of_gated_and_private_repos_need_the_right_token(hub: Hub, cache: Path) -> None:
    hub.model("acme/gated", gated="auto").commit({"x": "x"})
    hub.model("acme/secret", private=True).commit({"x": "x"})
    hub.token("hf_in", approved=["acme/gated"], private=["acme/secret"])
    hub.token("hf_out")
    for repo_id, refusal in (("acme/gated", GatedRepoError), ("acme/secret", RepositoryNotFoundError)):
        with pytest.raises(refusal):
            hf_hub_download(repo_id, "x", endpoint=hub.url, cache_dir=cache, token="hf_out")
        assert hf_hub_download(repo_id, "x", endpoint=hub.url, cache_dir=cache, token="hf_in")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_ranges_are_parts_of_the_whole(hub: Hub, ask: Ask, name: str) -> None:
    url = f"{hub.url}/acme/tiny/resolve/main/{name}"
    first = ask(url)
    url = first.headers["Location"] or url
    whole = ask(url).body
    size = len(whole)
    for asked, first_byte, stop in (
        (f"bytes=1-{size - 1}", 1, size),
        ("bytes=0-0", 0, 1),
        ("bytes=-1", size - 1, size),
    ):
        part = ask(url, Range=asked)
        assert (part.status, part.body) == (206, whole[first_byte:stop])
        assert part.headers["Content-Range"] == f"bytes {first_byte}-{stop - 1}/{size}"
    beyond = ask(url, Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert ask(url, Range="bytes=0-0", If_Range='"other"').status == 200
    assert ask(url, If_None_Match=ask(url).headers["ETag"]).status == 304


def test_a_signed_url_expires_and_cannot_be_forged(hub: Hub, ask: Ask) -> None:
    url = ask(f"{hub.url}/acme/tiny/resolve/main/model.safetensors").headers["Location"]
    sound = ask(url, "HEAD")
    assert sound.status == 200
    assert WEIGHTS.sha256 not in sound.headers["ETag"]
    assert ask(url.replace("Expires=", "Expires=9")).status == 403
    hub.clock.advance(hub.behaviour.url_lifetime + 1)
    assert ask(url).status == 403


def test_a_token_that_reaches_the_cdn_is_recorded(hub: Hub, ask: Ask) -> None:
    url = ask(f"{hub.url}/acme/tiny/resolve/main/model.safetensors").headers["Location"]
    ask(url, Authorization="Bearer hf_in")
    assert [record.path for record in hub.leaks] == [url.removeprefix(hub.cdn_url).partition("?")[0]]


def test_xet_facts_come_when_the_file_has_them(hub: Hub, ask: Ask) -> None:
    hub.model("acme/xet").commit({"w.bin": LFS(b"w", xet_hash="ab" * 32)})
    answer = ask(f"{hub.url}/acme/xet/resolve/main/w.bin", "HEAD")
    assert answer.headers["X-Xet-Hash"] == "ab" * 32
    token_url = answer.headers["Link"].partition("<")[2].partition(">")[0]
    hub.behaviour.cas_url = "http://127.0.0.1:1"
    assert ask(token_url).headers["X-Xet-Cas-Url"] == "http://127.0.0.1:1"


def test_generated_content_is_the_same_from_any_offset(tmp_path: Path) -> None:
    whole = Generated(2_500_000, seed=7)
    assert whole.read(1_048_570, 1_048_590) == whole.read()[1_048_570:1_048_590]
    assert whole.read() == Generated(2_500_000, seed=7).read() != Generated(2_500_000, seed=8).read()
    path = tmp_path / "copy"
    path.write_bytes(whole.read())
    assert (Disk(path).sha256, Disk(path).git_oid) == (whole.sha256, whole.git_oid)


def test_commits_delete_rename_and_keep_what_is_not_named(hub: Hub, api: HfApi) -> None:
    repo = hub.model("acme/moves")
    repo.commit({"a": Small("1"), "b": "2", "c": "3"})
    repo.commit({"d": "4"}, delete=["a"], rename={"b": "x/b"})
    assert sorted(api.list_repo_files("acme/moves")) == ["c", "d", "x/b"]
    repo.commit({"only": "1"}, replace_all=True)
    assert api.list_repo_files("acme/moves") == ["only"]


def test_commit_ids_depend_on_nothing_but_what_was_committed() -> None:
    def build() -> list[str]:
        hub = Hub()
        return [hub.model("a/b").commit({"x": str(n), "w": LFS(Generated(9 << 40))}) for n in range(3)]

    assert build() == build()
    assert len(set(build())) == 3
