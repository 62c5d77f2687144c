"""What CONTRIBUTING shows works: each of its diffs is applied to a copy of the package, and what it adds is used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from tests.requirements import need
from tests.sources.reading import DESCRIBED
from tests.standin import Hub

ROOT = Path(__file__).parents[1]
KEY, KIND, QUESTION = "A new key of jobs.yaml", "A new kind of upstream", "A new question to an upstream"
MANUAL_TEST = "tests/config/test_manual.py"
OF_THE_KEY = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", MANUAL_TEST, "-k", "PruneEntry")
JITTERED = """
upstreams: {hub: {kind: huggingface}}
targets: {disk: {url: ./mirror}}
licenses: {allow: [mit]}
jobs: [{name: one, repos: [acme/small]}]
maintenance: {prune: {cron: "30 4 * * sat", jitter: 10m}}
"""
PRINT_JITTER = """
from pathlib import Path
from mirror_sync.config.load import load
print(*(cron.jitter for cron in load(Path("jobs.yaml"), {}).maintenance.schedules.values()))
"""
TEXTS = {"acme/tiny": {"README.md": "hello", "config.json": "{}"}, "other/one": {"a": "b"}}
WRITTEN = """
upstreams: {written: {kind: texts, url: texts.json}}
targets: {mirror: {url: target}}
licenses: {allow: [mit]}
jobs: [{name: all, repos: ["acme/*"]}]
"""
READ_TEXTS = """
import json
from pathlib import Path
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import BadAnswer, RevisionNotFound, Unreachable
from mirror_sync.sources.texts import TextsSource

file, tiny = Path("texts.json"), Repo.parse("acme/tiny")
source = TextsSource(file)
found = source.resolve(tiny, "main")
print(json.dumps([str(source), sorted(found.described)]))
for body, error in (
    ('{"acme/tiny": {"README.md": "another"}}', RevisionNotFound),
    ("{", BadAnswer),
    (None, Unreachable),
):
    file.unlink() if body is None else file.write_text(body, encoding="utf-8")
    try:
        list(source.list(tiny, found.commit))
    except error as said:
        assert type(said) is error, said
    else:
        raise AssertionError(body)
"""
PRINT_CHANGED = """
import sys
from pathlib import Path
from mirror_sync.domain.repo import Repo
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.limited import LimitedSource
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy

for source in (HubSource(sys.argv[1], None, Transport()), DirectorySource(Path(sys.argv[2]))):
    limited = LimitedSource(ConnectedSource(FailoverSource([source]), [Connections(1, lambda: None)]), [])
    wrapped = RetryingSource(limited, RetryPolicy(), lambda _: None, lambda _: None, lambda: 0.0)
    repo = Repo.parse("acme/tiny")
    assert wrapped.changed(repo) == source.resolve(repo, "main").described["lastModified"], source
    print(wrapped.changed(repo))
"""


def changes(chapter: str) -> dict[str, list[str]]:
    """The hunks of a chapter's diff, without their line numbers, by the file that they change."""
    _, _, text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"\n## {chapter}\n")
    (diff,) = re.findall(r"```diff\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    files = re.split(r"^--- .+\n\+\+\+ b/(.+)\n", diff, flags=re.MULTILINE)[1:]
    hunks = (re.split(r"^@@ .+ @@\n", text, flags=re.MULTILINE)[1:] for text in files[1::2])
    return dict(zip(files[::2], hunks, strict=True))


def apply(copy: Path, chapter: str, *names: str) -> None:
    """The changes of these files, or all, as patch makes them: by the lines around each, wherever they are now."""
    shown = changes(chapter)
    for name in names or shown:
        file = copy / name
        for hunk in shown[name]:
            lines = [line if line.strip() else " \n" for line in hunk.splitlines(keepends=True)]
            before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
            text = file.read_text(encoding="utf-8") if before else ""
            assert file.exists() == bool(before), name
            assert not before or text.count(before) == 1, f"{name} has changed: make the diff anew\n{hunk}"
            file.write_text(text.replace(before, after) if before else after, encoding="utf-8")


def run(copy: Path, *command: str, code: int = 0) -> str:
    """What Python answers over the copy of the package, and over nothing else of the project."""
    environ = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr if code else done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, the manual, and the test that holds one against the other."""
    for name in ("mirror_sync", "docs"):
        copytree(ROOT / name, tmp_path / name, ignore=ignore_patterns("__pycache__"))
    (tmp_path / MANUAL_TEST).parent.mkdir(parents=True)
    (tmp_path / MANUAL_TEST).write_bytes((ROOT / MANUAL_TEST).read_bytes())
    return tmp_path


def test_a_new_key_is_its_entry_its_use_and_its_row(copy: Path) -> None:
    (copy / "jobs.yaml").write_text(JITTERED, encoding="utf-8")
    entry, manual = changes(KEY)
    assert (Path(entry).parent.name, Path(manual).name) == ("keys", "configuration.md")
    assert "this key is not known" in run(copy, "-m", "mirror_sync", "check", code=2)

    apply(copy, KEY, entry)
    assert run(copy, "-c", PRINT_JITTER) == "0:10:00\n"
    schema = json.loads(run(copy, "-m", "mirror_sync", "check", "--schema"))
    assert schema["$defs"]["PruneEntry"]["properties"]["jitter"]["default"] == "0s"
    assert "write a row for `jitter` under maintenance" in run(copy, *OF_THE_KEY, code=1)

    apply(copy, KEY, manual)
    run(copy, *OF_THE_KEY)


def test_a_kind_of_upstream_that_is_added_as_shown_is_synced_from(copy: Path) -> None:
    (copy / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    (copy / "jobs.yaml").write_text(WRITTEN, encoding="utf-8")
    unknown = run(copy, "-m", "mirror_sync", "check", code=2)
    assert "'texts' is no kind of upstream; write huggingface, directory, own, mirror or modelscope" in unknown

    apply(copy, KIND)
    run(copy, "-m", "mirror_sync", "check")
    run(copy, "-m", "mirror_sync", "sync")
    assert (copy / "target/site/index.html").is_file()
    status = json.loads(run(copy, "-m", "mirror_sync", "status", "--json"))
    assert [(row["repo"], row["state"]) for row in status["repos"]] == [("acme/tiny", "published")]
    bodies = {path.read_bytes() for path in (copy / "target/blobs").rglob("*") if path.is_file()}
    assert {text.encode() for text in TEXTS["acme/tiny"].values()} <= bodies
    assert b"b" not in bodies


def test_a_kind_of_upstream_that_is_added_as_shown_says_what_the_contract_asks_for_and_what_went_wrong(
    copy: Path,
) -> None:
    (copy / "texts.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    apply(copy, KIND)
    spoken, described = json.loads(run(copy, "-c", READ_TEXTS))
    assert (spoken, set(described)) == ("texts.json", DESCRIBED)


def test_every_diff_is_one_that_patch_applies(copy: Path) -> None:
    need("patch")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    diffs = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
    assert len(diffs) == text.count("```diff")
    for diff in diffs:
        done = subprocess.run(
            ["patch", "-p1", "--dry-run"], cwd=copy, input=diff, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_kind_of_upstream_that_is_added_is_named_where_one_is_mistyped(copy: Path) -> None:
    (copy / "jobs.yaml").write_text(WRITTEN.replace("texts,", "s3,"), encoding="utf-8")
    apply(copy, KIND)
    answer = run(copy, "-m", "mirror_sync", "check", code=2)
    assert "'s3' is no kind of upstream; write huggingface, directory, own, mirror, modelscope or texts" in answer


def test_a_question_that_is_added_as_shown_passes_every_wrapper(copy: Path, tmp_path: Path, hub: Hub) -> None:
    assert len(changes(QUESTION)) == 3
    apply(copy, QUESTION)
    hub.model("acme/tiny", license="mit").commit({"a": "b"})
    folder = tmp_path / "folders"
    (folder / "acme/tiny").mkdir(parents=True)
    (folder / "acme/tiny/a").write_text("b", encoding="utf-8")
    assert len(run(copy, "-c", PRINT_CHANGED, hub.url, str(folder)).split()) == 2
