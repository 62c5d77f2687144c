"""HfFileSystem: the mirror as folders and files that can be read in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import HfFileSystem

from tests.clients.checks.downloads import fetch
from tests.clients.checks.registry import operation, raises, same
from tests.clients.truth import RepoTruth, Truth


def _fresh() -> Any:
    """One without what an earlier check was told. Any: fsspec has no types."""
    return HfFileSystem(skip_instance_cache=True)


def _root(repo: RepoTruth) -> str:
    return f"datasets/{repo.id}" if repo.kind == "dataset" else repo.id


@operation("HfFileSystem.ls")
def ls(truth: Truth, _: Path) -> None:
    root = truth.model.id
    top = {path.split("/")[0] for path in truth.model.files}
    same(set(_fresh().ls(root, detail=False)), {f"{root}/{name}" for name in top}, "the top level")
    odd = {f"{root}/{path}" for path in truth.model.folder("odd names")}
    same(set(_fresh().ls(f"{root}/odd names", detail=False)), odd, "a folder")
    tag = f"{root}@{truth.tagged.revision}"
    same(len(_fresh().ls(tag)), len({path.split("/")[0] for path in truth.tagged.files}), "entries at the tag")
    raises(FileNotFoundError, lambda: _fresh().ls(f"{root}/no-such-folder"))


@operation("HfFileSystem.find and glob")
def find(truth: Truth, _: Path) -> None:
    for repo in (truth.model, truth.dataset):
        root = _root(repo)
        same(set(_fresh().find(root)), {f"{root}/{path}" for path in repo.files}, f"files of {repo.id}")
    root = _root(truth.dataset)
    same(_fresh().glob(f"{root}/**/*.csv"), [f"{root}/csv/train.csv"], "glob")


@operation("HfFileSystem.info, exists, isdir")
def entry(truth: Truth, _: Path) -> None:
    files, root = _fresh(), truth.model.id
    for path in ("config.json", "model.bin", "odd names/with space.txt", "empty.txt"):
        answer = files.info(f"{root}/{path}")
        same((answer["type"], answer["size"]), ("file", truth.model.files[path].size), path)
    same(files.info(f"{root}/a/b")["type"], "directory", "a/b")
    assert files.isdir(f"{root}/odd names")
    assert files.exists(f"{root}/a/b/c/deep.json")
    assert not files.exists(f"{root}/a/b/c/none.json")
    assert not files.exists("acme/no-such-repo/config.json")


@operation("HfFileSystem.info: refresh and expand_info")
def expanded_entry(truth: Truth, _: Path) -> None:
    answer = _fresh().info(f"{truth.model.id}/config.json", refresh=True, expand_info=True)
    same(answer["size"], truth.model.files["config.json"].size, "size")
    assert answer["last_commit"] is not None, "no last commit"


@operation("HfFileSystem.open: ranges of a big file")
def ranges(truth: Truth, scratch: Path) -> None:
    repo = truth.model
    path = repo.biggest()
    whole = fetch(repo, path, scratch).read_bytes()
    with _fresh().open(f"{repo.id}/{path}", "rb", block_size=1 << 16) as stream:
        for start, length in ((0, 10), (len(whole) // 2, 1000), (len(whole) - 5, 50), (12345, 1 << 17)):
            stream.seek(start)
            same(stream.read(length), whole[start : start + length], f"bytes from {start}")
    same(_fresh().cat_file(f"{repo.id}/{path}", start=1000, end=1010), whole[1000:1010], "cat_file")


@operation("HfFileSystem: whole files, odd names included")
def whole_files(truth: Truth, scratch: Path) -> None:
    files, root = _fresh(), truth.model.id
    for path in truth.model.folder("odd names"):
        truth.model.files[path].check(_written(scratch, files.read_bytes(f"{root}/{path}")))
    with files.open(f"{root}@{truth.tagged.revision}/notes.txt", "rb", block_size=0) as stream:  # a stream, no ranges
        truth.tagged.files["notes.txt"].check(_written(scratch, stream.read()))
    files.get(f"{root}/a", str(scratch / "a"), recursive=True)
    truth.model.files["a/b/c/deep.json"].check(scratch / "a/b/c/deep.json")


def _written(scratch: Path, content: bytes) -> Path:
    place = scratch / "content"
    place.write_bytes(content)
    return place
