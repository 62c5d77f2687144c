"""`pull`, `list`, `search` and `info`: people without a mirror get what one has, whole and proved, or a clear line."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.pull.places import Folder
from mirror_sync.engine.pull.pulling import OpenedSnapshot, Pull, Pulled
from mirror_sync.errors import DocumentError, Interrupted, MirrorError, StoreDenied, StoreFull, UnsafePath
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.wiring.pull_reader import PullOrder, PullReader, cache_of, token_of
from tests.cli.between import Between
from tests.cli.program import Program
from tests.front.bucket import Published, dataset, model, publish_list
from tests.front.guarded import ACCESS, TOKENS, Guarded, write_tokens
from tests.front.mirrors import Mirror, by_either, by_serve
from tests.signing.keys import ssh_key
from tests.signing.mirrors import REPO, SignedMirror
from tests.waiting import PATIENCE

ODD = ["a b.txt", 'it\'s "so".txt', "größe/日本.txt", "-rf", "100%25.txt", "tab\tnew\nline ", "back\\slash"]
BIG = hashlib.sha256(b"big").digest() * 100_000
FILES = {name: name.encode() * 3 for name in ODD} | {"config.json": b"{}", "big.bin": BIG, "empty": b"", "same": BIG}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    with by_serve(DirectoryStore(tmp_path_factory.mktemp("bucket")), refs_seconds=0.0) as running:
        yield running


@dataclass
class Puller:
    """Pulls as the program does, in this process, at once after an error."""

    url: str
    home: Path
    token: str = ""
    stop: Event = field(default_factory=Event)

    def __call__(self, repo: Repo | str, folder: Path | None, **said: Any) -> Pulled:
        repo = Repo.parse(repo) if isinstance(repo, str) else repo
        order = PullOrder(
            repo, **{"revision": "main", "include": (), "signers": None, "workers": 4} | said, folder=folder
        )
        return self.reader().pull(order, lambda _files, _bytes: None)

    def reader(self) -> PullReader:
        return PullReader(
            self.url,
            {"HOME": str(self.home), "HF_HOME": str(self.home), "HF_TOKEN": self.token},
            self.stop,
            lambda _: None,
        )


@pytest.fixture
def puller(mirror: Mirror, tmp_path: Path) -> Puller:
    return Puller(mirror.url, tmp_path / "home")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parts(folder: Path, body: bytes) -> Path:
    path = folder / ".cache" / "mirror-sync" / hashlib.sha256(body).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_repo_comes_whole_from_either_front_and_once(front: str, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    bucket = DirectoryTarget(tmp_path / "bucket")
    with by_either(front, bucket, tmp_path / "front") as mirror:
        repo = dataset(mirror.store)
        commit = repo.publish(FILES)
        with Between(mirror).running() as between:
            puller = Puller(between.url, tmp_path)
            first, second = puller(repo.repo, tmp_path / "out"), puller(repo.repo, tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES
    assert (first.files, first.bytes, first.kept) == (len(FILES), sum(map(len, FILES.values())), 0)
    assert (second.files, second.kept, second.opened.digest) == (len(FILES), len(FILES), repo.root(commit))
    assert not (tmp_path / "out" / ".cache").exists()
    calls = [path for path, _ in between.asked]
    assert len([path for path in calls if "/resolve/" in path]) <= len(FILES)  # an empty file costs none
    assert len([path for path in calls if path.endswith("/root.json")]) == 2


def test_the_clients_of_the_hub_find_in_their_cache_offline_what_was_pulled(
    mirror: Mirror, puller: Puller, tmp_path: Path
) -> None:
    for repo in (model(mirror.store), dataset(mirror.store)):
        commit = repo.publish(FILES)
        repo.tag("v1", commit)
        puller(repo.repo, None)
        puller(repo.repo, None, revision="v1")
        look = (
            "import sys, json; from huggingface_hub import snapshot_download, hf_hub_download, scan_cache_dir\n"
            "at = {'repo_id': sys.argv[1], 'repo_type': sys.argv[2]}\n"
            "found = [snapshot_download(**at, revision=one) for one in ('main', 'v1', sys.argv[3])]\n"
            "hf_hub_download(**at, filename='config.json')\n"
            "print(json.dumps([found, [str(one) for one in scan_cache_dir().warnings]]))"
        )
        environ = {"HF_HOME": str(puller.home), "HF_HUB_OFFLINE": "1", "PATH": os.environ["PATH"]}
        line = [sys.executable, "-c", look, repo.repo.id, repo.repo.kind, commit]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, check=True, timeout=120)
        found, warnings = json.loads(done.stdout)
        assert (len(set(found)), warnings) == (1, [])
        assert files_of(Path(found[0])) == FILES


def test_the_cache_and_the_token_are_where_the_library_has_them(tmp_path: Path) -> None:
    look = "from huggingface_hub import constants, get_token; print(constants.HF_HUB_CACHE); print(get_token())"
    (tmp_path / "token").write_text("hf_kept\n")
    for said in (
        {},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": str(tmp_path)},
        {"HF_HOME": "~/x", "HF_HUB_CACHE": "/c"},
        {"HF_TOKEN_PATH": str(tmp_path / "token"), "HF_TOKEN": " "},
        {"HF_TOKEN": "hf_said", "HF_HOME": str(tmp_path)},
    ):
        environ = {"HOME": os.environ.get("HOME", "/root"), "PATH": os.environ["PATH"], **said}
        told = subprocess.run([sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True)
        assert told.stdout.split("\n")[:2] == [str(cache_of(environ)), str(token_of(environ))], said


def test_a_pull_goes_on_by_a_range_where_it_was_and_begins_anew_where_that_was_wrong(
    mirror: Mirror, tmp_path: Path
) -> None:
    repo, out = model(mirror.store), tmp_path / "out"
    right, wrong, long = BIG, BIG[::-1] + b"!", BIG[:5000]
    repo.publish({"right": right, "wrong": wrong, "long": long})
    parts(out, right).write_bytes(right[:1_000_000])
    parts(out, wrong).write_bytes(b"x" * 1000)
    parts(out, long).write_bytes(b"x" * 6000)
    with Between(mirror).running() as between:
        assert Puller(between.url, tmp_path)(repo.repo, out).ok
    assert files_of(out) == {"right": right, "wrong": wrong, "long": long}
    ranges = sorted(wanted for path, wanted in between.asked if "/resolve/" in path)
    assert ranges == ["", "", f"bytes=1000-{len(wrong) - 1}", f"bytes=1000000-{len(right) - 1}"]


def test_a_killed_pull_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    repo, body = model(mirror.store), os.urandom(8_000_000)
    repo.publish({"body": body})
    part = parts(tmp_path / "out", body)
    started, release = Event(), Event()

    def slowly(path: str, _reply: Any) -> None:
        if "/resolve/" in path and not started.is_set():
            started.set()
            release.wait(PATIENCE)

    with Between(mirror, lies=slowly).running() as between:
        with Program(tmp_path).started("pull", str(repo.repo), "--from", between.url, "--dir", "out") as child:
            assert started.wait(PATIENCE)
            part.write_bytes(body[:3_000_000])  # as if so much had come
            child.kill()
            child.wait()
        release.set()
        done = Program(tmp_path)("pull", str(repo.repo), "--from", between.url, "--dir", "out")
    assert (done.code, files_of(tmp_path / "out")) == (0, {"body": body}), done
    assert between.asked[-1][1] == f"bytes=3000000-{len(body) - 1}"


def test_what_breaks_on_the_way_is_asked_for_again_as_the_mirror_says(mirror: Mirror, tmp_path: Path) -> None:
    repo = model(mirror.store)
    commit = repo.publish({"big.bin": BIG})
    file, root = f"{repo.at}/resolve/{commit}/big.bin", f"/-/snapshots/models/{repo.repo.id}/main/root.json"
    with Between(mirror, busy={root: 1, file: 1}, cut={file: 2}).running() as between:
        assert Puller(between.url, tmp_path)(repo.repo, tmp_path / "out").ok
    assert files_of(tmp_path / "out") == {"big.bin": BIG}
    assert [wanted for path, wanted in between.asked if path == file][-1].startswith("bytes=")


def test_a_branch_that_moves_meanwhile_changes_nothing(mirror: Mirror, tmp_path: Path) -> None:
    repo, moved = model(mirror.store), Event()
    old = {"a": b"old", "b": b"old too"}
    commit = repo.publish(old)

    def move(path: str, _reply: Any) -> None:
        if path.endswith("/root.json") and not moved.is_set():
            moved.set()
            repo.publish({"a": b"new"})

    with Between(mirror, lies=move).running() as between:
        found = Puller(between.url, tmp_path)(repo.repo, tmp_path / "out")
    assert (found.opened.root.commit, files_of(tmp_path / "out")) == (commit, old)


def test_wrong_bytes_are_told_by_name_hinder_no_other_file_and_leave_nothing(mirror: Mirror, tmp_path: Path) -> None:
    repo = model(mirror.store)
    repo.publish({"bad.bin": b"right", "good.bin": b"good"})

    def lie(path: str, _reply: Any) -> tuple[int, bytes] | None:
        return (200, b"wrong") if path.endswith("/bad.bin") else None

    with Between(mirror, lies=lie).running() as between:
        for folder in (tmp_path / "out", None):
            found = Puller(between.url, tmp_path)(repo.repo, folder)
            assert (found.ok, found.files, found.failed) == (False, 1, 1)
            assert found.problems == (f"bad.bin: expected {Sha256.of(b'right')}, got {Sha256.of(b'wrong')}",)
    assert files_of(tmp_path / "out") == {"good.bin": b"good"}
    cached = [path.name for path in (tmp_path / "hub").rglob("*") if path.is_file()]
    assert not [name for name in cached if "incomplete" in name or name == "main"]  # no name leads to half a snapshot


@pytest.mark.parametrize("path", ["../evil", "/evil", "a/../evil", "way/evil"])
def test_a_lying_mirror_writes_nothing_outside_of_the_folder(
    mirror: Mirror, puller: Puller, tmp_path: Path, path: str
) -> None:
    repo, out = model(mirror.store), tmp_path / "out"
    repo.publish({path: b"evil"})
    (tmp_path / "away").mkdir()
    out.mkdir()
    (out / "way").symlink_to(tmp_path / "away")
    for folder in (out, None):
        try:
            found = puller(repo.repo, folder)
            assert not found.ok or (folder is None and path == "way/evil")
        except (UnsafePath, StoreDenied):
            pass
    assert files_of(tmp_path / "away") == {}
    assert [one for one in tmp_path.rglob("evil") if not one.is_relative_to(tmp_path / "home")] == []


def test_a_listing_that_is_not_the_roots_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    repo = model(mirror.store)
    repo.publish({"f": b"x"})

    def other(path: str, reply: Any) -> tuple[int, bytes] | None:
        return (200, reply.body.replace(b'"f"', b'"g"')) if "/-/snapshots/" in path and "root" not in path else None

    with Between(mirror, lies=other).running() as between, pytest.raises(DocumentError, match="not the one"):
        Puller(between.url, tmp_path)(repo.repo, tmp_path / "out")
    with Between(mirror, lies=lambda *_: (200, b"<html>")).running() as between, pytest.raises(MirrorError):
        Puller(between.url, tmp_path)(repo.repo, tmp_path / "out")
    assert files_of(tmp_path / "out") == {}


def test_a_full_disk_ends_it_with_its_own_words_and_a_stop_as_well(
    mirror: Mirror, puller: Puller, tmp_path: Path
) -> None:
    repo = model(mirror.store)
    repo.publish({f"f{number}": b"x" * number for number in range(1, 40)})
    reader = puller.reader()
    opened = reader.opened(repo.repo, "main")

    class Full(Folder):
        def part(self, file: Any) -> Path:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreFull, match="the disk is full; what came stays"):
        Pull(reader, mirror_source(reader), Full(tmp_path / "out"), Event()).run(opened, Selection())
    puller.stop.set()
    with pytest.raises(Interrupted, match="the same pull goes on"):
        puller(repo.repo, tmp_path / "out")


def mirror_source(_reader: PullReader) -> Any:
    """Nobody comes as far as to ask it."""
    return None


def test_what_is_signed_by_a_known_key_is_pulled_and_nothing_else(tmp_path: Path) -> None:
    signed = SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    signed.sync()
    with by_serve(signed.store, by_digest=False) as mirror:
        signers = tmp_path / "signers"
        signers.write_bytes(mirror.get("/-/trust/allowed_signers").body)
        program = Program(tmp_path)
        done = program("pull", REPO, "--from", mirror.url, "--dir", "out", "--signers", "signers")
        assert (done.code, "; signed by " in done.out) == (0, True), done
        strange = ssh_key(tmp_path, "other").with_name("other.pub").read_text()
        (tmp_path / "strangers").write_text(f"Example-models {strange}")
        other = program("pull", REPO, "--from", mirror.url, "--dir", "o2", "--signers", "strangers")
        assert (other.code, "not proved, and nothing was pulled" in other.err) == (1, True), other
        commit, root = signed.root().commit, signed.refs().root_of("main")
        lie = Published(mirror.store, Repo.parse(REPO), signed.refs())
        lie.publish({"README.md": b"another root of this commit"}, commit=commit)
        assert signed.refs().root_of("main") != root
        lied = program("pull", REPO, "--from", mirror.url, "--dir", "o3", "--signers", "signers")
        assert (lied.code, "not proved, and nothing was pulled" in lied.err) == (1, True), lied
        assert not (tmp_path / "o2").exists()
        assert not (tmp_path / "o3").exists()


def test_some_of_the_files_are_brought_and_that_is_said(mirror: Mirror, tmp_path: Path) -> None:
    repo = model(mirror.store)
    repo.publish({"a.json": b"{}", "b.bin": b"b", "README.md": b"card"})
    program = Program(tmp_path, environ={"HF_ENDPOINT": f"{mirror.url}/", "HOME": str(tmp_path)})
    done = program("pull", str(repo.repo), "--dir", "out", "--include", "*.json", "--json")
    told = json.loads(done.out)
    assert (told["files"], told["of_files"], told["complete"]) == (2, 3, True)
    assert files_of(tmp_path / "out") == {"a.json": b"{}", "README.md": b"card"}
    assert program("pull", str(repo.repo), "--dir", "out").out.startswith(f"proved: {repo.repo} at main, commit ")
    for line, code, words in (
        (("pull", f"{repo.repo}@none"), 1, "has no 'none': Revision not found"),
        (("pull", "acme/nobody"), 1, "Repository not found"),
        (("pull", "acme/x@"), 2, "names no revision"),
        (("pull", "a b"), 2, "is no repo id"),
        (("pull", str(repo.repo), "--from", "ftp://x"), 2, "--from is the address of a front"),
        (("list",), 1, "gives us no list of its repos"),
    ):
        ended = program(*line)
        assert (ended.code, words in ended.err, len(ended.err.splitlines())) == (code, True, 1), (line, ended)
    nowhere = Program(tmp_path)("list")
    assert (nowhere.code, "--from URL, or HF_ENDPOINT" in nowhere.err) == (2, True)
    told = json.loads(program("info", str(repo.repo), "--json").out)
    assert (told["files"], told["names"]) == (3, {"refs/heads/main": told["commit"]})
    assert f"3 files, 7 bytes, root {told['root']}" in program("info", str(repo.repo)).out


def test_list_and_search_name_what_a_reader_may_see(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    store = DirectoryStore(tmp_path / "bucket")
    Guarded.filled(store)
    with by_serve(store, access=ACCESS, tokens=write_tokens(tmp_path / "tokens")) as mirror:
        program = Program(tmp_path, environ={"HF_ENDPOINT": mirror.url, "HOME": str(tmp_path)})
        assert program("list").out == "pub/plain\ndataset:pub/tables\n"
        token = {"HF_TOKEN": TOKENS["developers"]}
        assert "team/inner\n" in program("list", **token).out
        assert program("search", "TEAM", "inn", **token).out == "team/inner\n"
        nothing = program("search", "tables", "gone")
        assert (nothing.code, nothing.out) == (0, ""), "scripts read no line for no repo"
        assert "nothing there has tables and gone" in nothing.err
        found = json.loads(program("search", "tables", "--json").out)
        assert [one["repo"] for one in found["repos"]] == ["dataset:pub/tables"]
        assert program("pull", "team/inner", "--dir", "out", **token).code == 0
        hidden = program("pull", "team/inner", "--dir", "out")
        assert (hidden.code, "Repository not found" in hidden.err) == (1, True), hidden
        viewer = program("pull", "team/inner", "--dir", "o2", HF_TOKEN=TOKENS["auditors"])
        assert (viewer.code, "not complete" in viewer.out) == (1, True), viewer
        (tmp_path / "kept").write_text(TOKENS["developers"])
        assert program("info", "team/inner", HF_TOKEN_PATH=str(tmp_path / "kept")).code == 0


def test_an_opened_snapshot_is_the_commit_that_was_asked_for(mirror: Mirror, puller: Puller) -> None:
    repo = model(mirror.store)
    first, second = repo.publish({"f": b"1"}), repo.publish({"f": b"2"})

    class Swapped:
        def root(self, asked: Repo, _revision: str) -> bytes:
            return puller.reader().root(asked, second)

        def shard(self, *_: Any) -> bytes:
            return b""

    with pytest.raises(DocumentError, match="asked for commit"):
        OpenedSnapshot.read(Swapped(), repo.repo, first)


def test_spaces_and_kernels_are_read_as_models_are(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    store = DirectoryStore(tmp_path / "bucket")
    repos = [Published(store, Repo(kind, f"acme/{kind}")) for kind in (Kind.SPACE, Kind.KERNEL)]
    for repo in repos:
        repo.publish(FILES)
    publish_list(store, repos)
    with by_serve(store) as mirror:
        program = Program(tmp_path, environ={"HF_ENDPOINT": mirror.url, "HOME": str(tmp_path)})
        assert program("list").out == "space:acme/space\nkernel:acme/kernel\n"
        assert program("search", "ern").out == "kernel:acme/kernel\n"
        for repo in repos:
            assert program("info", str(repo.repo)).out.startswith(f"{repo.repo} at main, commit ")
            assert program("pull", str(repo.repo), "--dir", str(repo.repo.kind)).code == 0
            assert files_of(tmp_path / repo.repo.kind) == FILES
