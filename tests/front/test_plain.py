"""get.sh lists and downloads in any shell, from either front; what a mirror says is never code, and never leads out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from tests.front.bucket import Published, commit_id, dataset, model, publish_list
from tests.front.guarded import Guarded, write_tokens
from tests.front.mirrors import Mirror, by_either
from tests.parts import find_program
from tests.requirements import need
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

ODD = [
    "a b.txt",
    'it\'s "so".txt',
    "größe/日本.txt",
    "-rf",
    "100%25.txt",
    "tab\tnew\nline ",
    "$(id)`id`;&.txt",
    "back\\slash",
]
FILES = {name: name.encode() * 3 for name in ODD} | {"big.bin": bytes(range(256)) * 500, "empty": b"", "d/e/f": b"deep"}
_APPLETS = (
    *("awk", "cut", "mkdir", "mktemp", "mv", "printf", "rm", "rmdir", "sed", "sh", "sha256sum", "sleep", "tail"),
    *("tr", "wc"),
)
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"]}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    need("curl", "shells")
    program, *rest = SHELLS[request.param]
    return [str(find_program(program)), *rest]


@pytest.fixture(scope="module")
def applets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH of busybox's own tools and curl alone."""
    need("curl", "shells")
    folder = tmp_path_factory.mktemp("applets")
    for name in _APPLETS:
        (folder / name).symlink_to(str(find_program("busybox")))
    (folder / "curl").symlink_to(str(find_program("curl")))
    return folder


def run(
    shell: list[str], script: bytes, *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    (cwd / "get.sh").write_bytes(script)
    told = {"PATH": os.environ["PATH"], "HOME": str(cwd), **(environ or {})}
    return subprocess.run(
        [*shell, "get.sh", *arguments], cwd=cwd, env=told, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def script_of(mirror: Mirror) -> bytes:
    reply = mirror.get("/-/get.sh")
    assert (reply.status, reply.header("Content-Type")) == (200, "text/plain; charset=utf-8")
    return reply.body


def test_a_shell_pulls_a_whole_repo_whatever_its_files_are_called(
    mirror: Mirror, shell: list[str], tmp_path: Path
) -> None:
    repo = dataset(mirror.store)
    repo.publish(FILES)
    done = run(shell, script_of(mirror), "pull", f"dataset:{repo.repo.id}@main", "-out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "-out") == FILES
    assert not (tmp_path / "-out" / ".cache").exists()
    commit = next(iter(repo.refs.snapshots))
    assert done.stderr.splitlines()[-1].endswith(
        f"{len(FILES)} files of dataset:{repo.repo.id}@main, commit {commit}, each by its SHA-256 in the listing whose "
        f"root is {repo.root(commit)}"
    )
    (tmp_path / "-out" / "a b.txt").write_bytes(b"a" * len(FILES["a b.txt"]))
    again = run(shell, script_of(mirror), "pull", f"dataset:{repo.repo.id}", "-out", cwd=tmp_path)
    assert (again.returncode, len(again.stderr.splitlines())) == (0, 2)  # the one that was changed, and the last line
    assert files_of(tmp_path / "-out") == FILES


def test_every_kind_of_repo_is_listed_and_pulled_by_the_name_that_the_list_gives(
    mirror: Mirror, shell: list[str], tmp_path: Path
) -> None:
    repos = [Published(mirror.store, Repo(kind, f"acme/of-{kind}-{commit_id()[:12]}")) for kind in Kind]
    for repo in repos:
        repo.publish({"a b.txt": b"b", "kind": repo.repo.kind.encode()})
    index = publish_list(mirror.store, repos)
    mirror.get_until("/-/lists.json", index)
    listed = run(shell, script_of(mirror), "list", cwd=tmp_path)
    assert (listed.returncode, listed.stdout.split()) == (0, [str(repo.repo) for repo in repos]), listed.stderr
    for name in (*listed.stdout.split(), f"model:{repos[0].repo.id}"):
        done = run(shell, script_of(mirror), "pull", name, name, cwd=tmp_path)
        wanted = {"a b.txt": b"b", "kind": Repo.parse(name).kind.encode()}
        assert (done.returncode, files_of(tmp_path / name)) == (0, wanted), done.stderr


def test_the_tools_of_busybox_are_enough(mirror: Mirror, applets: Path, tmp_path: Path) -> None:
    repo = model(mirror.store)
    repo.publish(FILES)
    done = run(
        [str(applets / "sh")],
        script_of(mirror),
        "pull",
        repo.repo.id,
        "out",
        cwd=tmp_path,
        environ={"PATH": str(applets)},
    )
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out") == FILES


def test_a_pull_goes_on_where_it_was_and_begins_anew_where_that_was_wrong(
    mirror: Mirror, shell: list[str], tmp_path: Path
) -> None:
    repo, body = model(mirror.store), os.urandom(100_000)
    repo.publish({"right.bin": body, "wrong.bin": body[::-1], "long.bin": body[:5000]})
    parts = tmp_path / "out" / ".cache" / "mirror-sync"
    parts.mkdir(parents=True)
    (parts / hashlib.sha256(body).hexdigest()).write_bytes(body[:60_000])
    (parts / hashlib.sha256(body[::-1]).hexdigest()).write_bytes(b"x" * 60_000)
    (parts / hashlib.sha256(body[:5000]).hexdigest()).write_bytes(b"x" * 6000)
    done = run(shell, script_of(mirror), "pull", repo.repo.id, "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out") == {"right.bin": body, "wrong.bin": body[::-1], "long.bin": body[:5000]}


def test_what_is_wrong_has_its_words_and_its_exit_code(mirror: Mirror, shell: list[str], tmp_path: Path) -> None:
    script, repo = script_of(mirror), model(mirror.store)
    repo.publish({"f": b"x"})
    for arguments, code, words in (
        (["pull", "acme/nobody", "out"], 4, "404: not there: Repository not found"),
        (["pull", f"{repo.repo.id}@none", "out"], 4, "Revision not found"),
        (["pull", "../x", "out"], 2, "is no repo"),
        (["pull", repo.repo.id], 2, "usage"),
        ([], 2, "usage"),
    ):
        done = run(shell, script, *arguments, cwd=tmp_path)
        assert (done.returncode, words in done.stderr) == (code, True), (arguments, done)
    away = f"https://127.0.0.1:{free_port()}"
    odd = run(shell, script, "list", cwd=tmp_path, environ={"HF_TOKEN": 'x"\nurl=y'})
    assert (odd.returncode, odd.stderr) == (2, "get.sh: HF_TOKEN holds what no token has\n")
    nowhere = run(shell, script, "list", cwd=tmp_path, environ={"MIRROR": "ftp://x"})
    assert nowhere.returncode == 2
    unnamed = run(
        shell, script, "list", cwd=tmp_path, environ={"MIRROR": f"{away.replace('127.0.0.1', 'none.invalid')}"}
    )
    assert (unnamed.returncode, "no way to" in unnamed.stderr) == (5, True)


def test_a_lying_mirror_writes_nothing_outside_of_the_folder(mirror: Mirror, shell: list[str], tmp_path: Path) -> None:
    for number, path in enumerate(("../evil", "a/../../evil", "/evil", "way/evil")):
        repo, out = model(mirror.store), tmp_path / f"{number}" / "out"
        repo.publish({path: b"evil"})
        out.mkdir(parents=True)
        (tmp_path / "away").mkdir(exist_ok=True)
        (out / "way").symlink_to(tmp_path / "away")
        done = run(shell, script_of(mirror), "pull", repo.repo.id, str(out), cwd=tmp_path)
        assert (done.returncode, "refused" in done.stderr) == (1, True), done
        assert [name for name in files_of(tmp_path) if "evil" in name] == []


def test_wrong_bytes_are_refused_by_name_and_leave_nothing(mirror: Mirror, shell: list[str], tmp_path: Path) -> None:
    repo = model(mirror.store)
    repo.publish({"f.bin": b"other bytes"}, told={"f.bin": {"sha256": hashlib.sha256(b"promised..").hexdigest()}})
    mirror.store.put(blob_key(hashlib.sha256(b"promised..").hexdigest()), b"other bytes", None)  # type: ignore[arg-type]
    done = run(shell, script_of(mirror), "pull", repo.repo.id, "out", cwd=tmp_path)
    assert (done.returncode, "f.bin: what came is not what the listing says" in done.stderr) == (1, True), done
    assert files_of(tmp_path / "out") == {}


def test_the_address_in_the_script_is_where_it_was_asked_for_and_never_code(mirror: Mirror) -> None:
    said = [line for line in script_of(mirror).decode().splitlines() if line.startswith("MIRROR=")]
    assert said == [f"MIRROR=${{MIRROR:-'{mirror.url}'}}"]
    for hostile in ("x'; touch evil; '", "x$(id)", "a b", "x`id`", "x\\", "é"):
        for name in ("Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto"):
            reply = mirror.ask("GET", "/-/get.sh", {name: hostile.encode("latin-1").decode("latin-1")})
            if reply.status == 200:
                line = next(one for one in reply.body.decode().splitlines() if one.startswith("MIRROR="))
                assert line in (*said, "MIRROR=${MIRROR:-''}"), (name, hostile)
            else:
                assert reply.status == 400, (name, hostile, reply)


def test_where_the_operator_says_it_the_script_has_that_address(public_mirror: Mirror) -> None:
    reply = public_mirror.get("/-/get.sh", X_Forwarded_Host="evil.example")
    assert b"MIRROR=${MIRROR:-'https://models.example.org/hub'}\n" in reply.body
    assert (reply.header("Cache-Control"), reply.header("Vary")) == ("public, max-age=2", None)


def test_the_documents_of_a_snapshot_are_those_that_its_root_names(mirror: Mirror) -> None:
    repo = model(mirror.store)
    commit, old = repo.publish({f"f{number}": b"x" for number in range(900)}), model(mirror.store)
    old.publish({"other": b"y"})
    at = f"/-/snapshots/models/{repo.repo.id}"
    reply = mirror.get(f"{at}/main/root.json")
    assert hashlib.sha256(reply.body).hexdigest() == repo.root(commit)
    assert (reply.header("X-Repo-Commit"), reply.header("ETag")) == (commit, f'"{repo.root(commit)}"')
    assert reply.header("Content-Type") == "application/json"
    listed = 0
    for _, digest in reply.json["shards"]:
        shard = mirror.get(f"{at}/{commit}/{digest}")
        assert hashlib.sha256(shard.body).hexdigest() == digest
        listed += len(json.loads(shard.body))
    assert listed == 900
    assert mirror.get(f"{at}/{commit}/{reply.json['info']}").status == 410  # what the root names otherwise, neither
    assert mirror.get(f"{at}/{commit}/{'0' * 64}").status == 410
    assert mirror.get(f"{at}/none/root.json").error == (404, "RevisionNotFound")
    assert mirror.get("/-/snapshots/models/acme/nobody/main/root.json").error == (404, "RepoNotFound")


@pytest.fixture(scope="module", params=["serve", "nginx"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("guarded")
    bucket = DirectoryTarget(folder / "bucket")
    bucket.root.mkdir()
    from mirror_sync.stores.directory.directory_store import DirectoryStore
    from tests.front.guarded import ACCESS

    Guarded.filled(DirectoryStore(bucket.root))
    with by_either(request.param, bucket, folder / "front", access=ACCESS, tokens=write_tokens(folder / "t")) as front:
        yield front


def test_a_token_opens_what_it_may_and_stands_on_no_command_line(
    guarded: Mirror, shell: list[str], tmp_path: Path
) -> None:
    from tests.front.guarded import OPEN_NAMES, READS, REVOKED, TOKENS

    script = script_of(guarded)
    spy = tmp_path / "bin" / "curl"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>"{tmp_path}/asked"\nexec {find_program("curl")} "$@"\n')
    spy.chmod(0o755)
    path = {"PATH": f"{spy.parent}:{os.environ['PATH']}"}
    token = {"HF_TOKEN": TOKENS["developers"]}
    assert set(run(shell, script, "list", cwd=tmp_path).stdout.split()) == OPEN_NAMES
    assert set(run(shell, script, "list", cwd=tmp_path, environ=path | token).stdout.split()) == READS["developers"]
    found = run(shell, script, "list", "Inner", cwd=tmp_path, environ=token)
    assert found.stdout == "team/inner\n"
    done = run(shell, script, "pull", "team/inner", "out", cwd=tmp_path, environ=path | token)
    assert (done.returncode, set(files_of(tmp_path / "out"))) == (0, {"README.md", "data/part.bin"}), done
    assert TOKENS["developers"] not in (tmp_path / "asked").read_text()
    assert run(shell, script, "pull", "team/inner", "out", cwd=tmp_path).returncode == 4
    revoked = run(shell, script, "pull", "team/inner", "out", cwd=tmp_path, environ={"HF_TOKEN": REVOKED})
    assert (revoked.returncode, "was revoked" in revoked.stderr) == (3, True), revoked
    viewer = run(shell, script, "pull", "team/inner", "o2", cwd=tmp_path, environ={"HF_TOKEN": TOKENS["auditors"]})
    assert (viewer.returncode, "may be seen by the role auditors, and not read" in viewer.stderr) == (3, True), viewer


def test_a_list_of_several_pages_is_read_to_its_end_and_keeps_to_ids(shell: list[str], tmp_path: Path) -> None:
    """The parser of lists is shown what a card may hold."""
    script = (Path(__file__).parents[2] / "mirror_sync/front/templates/get.sh").read_text()
    begin, end = script.index("ids() {"), script.index("list() {")
    items = [
        {"n": 1, "id": "a/b", "cardData": {"id": "no/1", "x": ['"id":"no/2"', {"id": "no/3"}]}},
        {"tags": ["]\\"], "id": "c/d"},
    ]
    (tmp_path / "list").write_text(json.dumps(items, separators=(",", ":")))
    done = run(shell, (script[begin:end] + "\nids list\n").encode(), cwd=tmp_path)
    assert done.stdout == "a/b\nc/d\n"
