"""`push`: a folder becomes a commit of an own model, whole or not at all, and jobs that name it publish it at once."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.app.own.pushing import OwnPlaces, PushModels
from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.job.targets import S3Target, Target
from mirror_sync.domain.own.pushed import Pushed
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import read_refs
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store, read_all
from mirror_sync.wiring.program import Mirror
from tests.cli.program import Program
from tests.engine.workshop import Recording
from tests.stores.places import target_of

ACTOR = Actor(ActorKind.USER, "tester@here")
ONE = Repo.parse("acme/one")
CONFIG = """\
version: 1
state_dir: state
upstreams:
  local: {kind: directory, url: "file://FOLDER/upstream"}
  own: OWN
targets:
  disk: {url: "file://FOLDER/mirror"}
defaults: {upstream: local, target: disk}
licenses: {allow: [mit]}
jobs:
  - {name: good, repos: [acme/*]}
  - {name: ours, upstream: own, repos: [ours/*]}
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.write(CONFIG.replace("OWN", '{kind: own, url: "file://FOLDER/own"}'))
    (tmp_path / "upstream").mkdir()
    fill(tmp_path / "model", "first")
    return made


def fill(folder: Path, weights: str, licence: str = "mit") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(f"---\nlicense: {licence}\ntags: [bert]\n---\n", encoding="utf-8")
    (folder / "weights").write_text(weights, encoding="utf-8")


def pushed(program: Program, *words: str, code: int = 0) -> Any:
    ended = program("push", "model", *words, "--json")
    assert ended.code == code, ended.err + ended.out
    return json.loads(ended.out)


class Own:
    """A program in this process, whose push goes where a test wants."""

    def __init__(self, folder: Path) -> None:
        self.mirror = Mirror(load(folder / "jobs.yaml", {}))
        self.source: Source = self.mirror._context().sources["local"]
        self.store = self.mirror._storing("local", self._target).targets["local"].store

    @property
    def _target(self) -> Target:
        target = self.mirror.settings.upstreams["local"].pushed_into
        assert target is not None
        return target

    def push(self, folder: Path, wrap: Callable[[Store], Store] = lambda store: store) -> str:
        """The commit that a folder became; its store is what `wrap` makes of the true one."""
        whole = self.mirror.push._places

        def storing(name: str, target: Target) -> RunContext:
            context = whole.storing(name, target)
            there = context.targets[name]
            return replace(context, targets={name: replace(there, store=wrap(there.store))})

        places = OwnPlaces(whole.upstream, whole.folder, storing)
        models = PushModels(self.mirror.settings, self.mirror._configured, places, lambda: self.mirror.sync)
        return models.store(ACTOR, folder, ONE, Pushed(by="tester"), "local").commit

    def read(self, commit: str) -> bytes:
        """All files of a commit, as a sync reads them."""
        found = self.source.resolve(ONE, commit)
        body = bytearray()
        buffer = memoryview(bytearray(100))
        for file in self.source.list(ONE, found.commit):
            with self.source.fetch(ONE, found.commit, file) as stream:
                while count := stream.readinto(buffer):
                    body += buffer[:count]
        return bytes(body)


def test_a_push_is_published_at_once_with_what_was_said_of_it(program: Program) -> None:
    said = ("--metric", "accuracy=0.91", "--card", "team=nlp", "--card", "pipeline_tag=fill-mask", "-m", "trained")
    report = pushed(program, "acme/one", "--upstream", "local", *said)
    assert (report["new"], report["files"], report["jobs"], report["ok"]) == (True, 2, ["good"], True)
    assert [row["outcome"] for row in report["run"]["repos"]] == ["published"]
    page = (program.folder / "mirror/site/models/acme--one.html").read_text(encoding="utf-8")
    assert "trained" in page
    assert re.search(r"<dt><bdi>accuracy</bdi></dt><dd><bdi>0.91</bdi></dd>", page)
    (home,) = [one.read_text() for one in (program.folder / "mirror/site").glob("index.html")]
    assert 'data-words="accuracy=0.91 pipeline_tag=fill-mask team=nlp ' in home
    listed = "".join(one.read_text() for one in (program.folder / "mirror/site").rglob("list/*"))
    for tag in ("metric:accuracy=0.91", "team:nlp", "bert", "license:mit"):
        assert tag in listed, tag


def test_where_no_job_names_it_the_line_to_add_is_told(program: Program) -> None:
    ended = program("push", "model", "dataset:other/one", "--upstream", "own")
    assert ended.code == 0
    assert "no job publishes it; add below jobs in jobs.yaml:" in ended.out
    line = ended.out.strip().splitlines()[-1]
    program.write((program.folder / "jobs.yaml").read_text() + line + "\n")
    assert program("sync", "other-one").code == 0
    assert (program.folder / "mirror/hub/datasets/other--one/refs.json").exists()


def test_the_same_content_twice_is_one_commit_and_another_metric_is_another(program: Program) -> None:
    first = pushed(program, "acme/one", "--upstream", "local", "-m", "once")
    again = pushed(program, "acme/one", "--upstream", "local", "-m", "twice")
    assert (again["commit"], again["new"]) == (first["commit"], False)
    measured = pushed(program, "acme/one", "--upstream", "local", "--metric", "loss=2")
    assert measured["new"]
    fill(program.folder / "model", "second")
    second = pushed(program, "acme/one", "--upstream", "local")
    assert len({one["commit"] for one in (first, measured, second)}) == 3
    shown = json.loads((program.folder / "mirror/hub/models/acme--one/refs.json").read_text())
    assert set(shown["snapshots"]) == {first["commit"], measured["commit"], second["commit"]}


def test_policy_judges_what_was_pushed_as_any_repo(program: Program) -> None:
    fill(program.folder / "model", "first", "cc-by-nc-4.0")
    report = pushed(program, "ours/one", "--upstream", "own", code=1)
    assert report["new"]
    assert [row["outcome"] for row in report["run"]["repos"]] == ["refused"]
    assert not (program.folder / "mirror/hub/models/ours--one").exists()
    assert pushed(program, "ours/one", "--upstream", "own", "--card", "license=mit")["ok"]


@pytest.mark.parametrize(
    ("words", "spoil", "why"),
    [
        (["model", "acme/one", "--upstream", "nowhere"], "", "has no upstream 'nowhere'; a push can go to: local, own"),
        (["model", "acme/one"], "", "has several upstreams that take a push: choose one by --upstream (local, own)"),
        (["model", "acme/a--b", "--upstream", "own"], "", "'acme/a--b' is no repo id: no -- and no .. may stand"),
        (["model", "one", "--upstream", "own"], "", "one has no owner, and clients ask for owner/name; write acme/one"),
        (["gone", "acme/one", "--upstream", "own"], "", "/gone is no folder"),
        (["bare", "acme/one", "--upstream", "own"], "bare", "/bare has no file to push"),
        (["model", "acme/one", "--upstream", "own"], "link", "is a link that leaves the"),
        (["model", "acme/one", "--upstream", "own"], "pointer", "big is an LFS pointer, and no file: get it with"),
        (["model", "acme/one", "--upstream", "own"], "unseen", r"path name 'a\nb': has characters that nobody sees"),
        (["model", "acme/one", "--upstream", "own"], "backslash", "has a backslash"),
        (["model", "acme/one", "--upstream", "own"], "card", "README.md: "),
        (["model", "acme/plain", "--upstream", "local"], "plain", "is a folder of upstream local, which nobody has"),
        (["model", "acme/one", "--upstream", "own", "--metric", "f1=high"], "", "'high' is no number"),
        (["model", "acme/one", "--upstream", "own", "--card", "license"], "", "write it like license=mit"),
    ],
)
def test_what_cannot_be_pushed_is_refused_in_one_line(program: Program, words: list[str], spoil: str, why: str) -> None:
    model = program.folder / "model"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 9\n"
    match spoil:
        case "bare":
            (program.folder / "bare").mkdir()
        case "link":
            (model / "passwd").symlink_to("/etc/passwd")
        case "pointer":
            (model / "big").write_text(pointer)
        case "unseen":
            (model / "a\nb").write_text("x")
        case "backslash":
            (model / "a\\b").write_text("x")
        case "card":
            (model / "README.md").write_text("---\nlicense: [\n---\n")
        case "plain":
            program.add_repo("acme/plain")
    ended = program("push", *words)
    assert ended.code == 2, ended.err
    (line,) = [one for one in ended.err.splitlines() if one.startswith("mirror-sync: ")]
    assert why in line
    assert not (program.folder / "own/hub").exists()


def test_an_upstream_of_another_kind_takes_no_push(program: Program) -> None:
    program.write(CONFIG.replace("OWN", "{kind: huggingface}"))
    ended = program("push", "model", "acme/one", "--upstream", "own")
    assert ended.code == 2
    assert "upstream own takes no push: only those of kind: directory and kind: own do" in ended.err
    program.write(CONFIG.replace("OWN", "{kind: own, url: 'https://models.example.org'}"))
    assert "must be s3://bucket/prefix or file:///folder" in program("check").err


def test_killed_anywhere_readers_find_the_old_commit_or_the_new_one_whole(program: Program) -> None:
    own, model = Own(program.folder), program.folder / "model"
    first = own.push(model)
    fill(model, "second")

    class Killed(BaseException):
        """As a process is that ends here."""

    ends = {first: b"---\nlicense: mit\ntags: [bert]\n---\nfirst"}
    for number in range(1, 100):
        left = number

        def before(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        def dying(store: Store) -> Store:
            recording = Recording(store)
            recording.before_put = before
            return recording

        try:
            last = own.push(model, dying)
        except Killed:
            last = ""
        found = own.source.resolve(ONE, "main").commit
        if found in ends:
            assert own.read(found) == ends[found]
        else:
            assert own.read(found).endswith(b"second")
        if last:
            break
    assert number > 3, "it died at several places"
    assert own.source.resolve(ONE, "main").commit == last
    assert [one.id for one in own.source.history(ONE, found)] == [last, first]
    own.mirror.close()


def test_a_sync_that_reads_an_earlier_commit_goes_on_beside_a_push(program: Program) -> None:
    own, model = Own(program.folder), program.folder / "model"
    first = own.push(model)
    files = iter([*own.source.list(ONE, own.source.resolve(ONE, "main").commit)])
    next(files)
    fill(model, "second")
    own.push(model)
    with own.source.fetch(ONE, own.source.resolve(ONE, first).commit, next(files)) as stream:
        buffer = memoryview(bytearray(100))
        assert bytes(buffer[: stream.readinto(buffer)]) == b"first"
    own.mirror.close()


def test_two_pushes_at_once_lose_neither(program: Program) -> None:
    own, both = Own(program.folder), [program.folder / name for name in ("left", "right")]
    for folder in both:
        fill(folder, folder.name)
    start = threading.Barrier(2)

    def push(folder: Path) -> str:
        start.wait()
        return own.push(folder)

    with ThreadPoolExecutor(2) as threads:
        commits = [*threads.map(push, both)]
    head = own.source.resolve(ONE, "main").commit
    assert {one.id for one in own.source.history(ONE, head)} == set(commits)
    assert {own.read(one)[-4:] for one in commits} == {b"left", b"ight"}
    own.mirror.close()


def test_what_another_machine_has_written_over_is_pushed_again(program: Program) -> None:
    own, model = Own(program.folder), program.folder / "model"
    own.push(model)
    old = read_all(own.store, refs_key(ONE), 1 << 20)
    fill(model, "second")
    overwritten: list[str] = []

    class Overwritten(Recording):
        """Another machine read refs.json before this one's PUT, and puts its own after it, once."""

        def put(self, key: str, body: bytes | bytearray | memoryview, digest: Any) -> None:
            super().put(key, body, digest)
            if key == refs_key(ONE) and not overwritten:
                overwritten.append(key)
                super().put(key, old, digest)

    commit = own.push(model, Overwritten)
    assert overwritten
    assert commit in read_refs(own.store, ONE).snapshots
    assert own.read("main").endswith(b"second")
    own.mirror.close()


def test_an_upstream_in_a_bucket_takes_a_push_and_is_read(
    program: Program, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    request.param = "moto"
    place = target_of(request, tmp_path, "own/")
    assert isinstance(place, S3Target)
    keys = f"access_key: {place.access_key}, secret_key: {place.secret_key}, endpoint_url: '{place.endpoint_url}'"
    own = f"{{kind: own, url: 's3://{place.bucket}/{place.prefix}', {keys}, addressing: path}}"
    program.write(CONFIG.replace("OWN", own)).chmod(0o600)
    first = pushed(program, "ours/one", "--upstream", "own")
    fill(program.folder / "model", "second")
    second = pushed(program, "ours/one", "--upstream", "own")
    assert [first["ok"], second["ok"]] == [True, True]
    shown = json.loads((program.folder / "mirror/hub/models/ours--one/refs.json").read_text())
    assert set(shown["snapshots"]) == {first["commit"], second["commit"]}


def test_what_push_writes_is_no_target_and_no_target_is_pushed_into(program: Program) -> None:
    program.write(CONFIG.replace("OWN", '{kind: own, url: "file://FOLDER/mirror"}'))
    ended = program("check")
    assert ended.code == 2
    assert "upstreams.own" in ended.err
    assert "is the target 'disk', too" in ended.err
