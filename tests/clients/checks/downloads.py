"""Files and snapshots, every byte compared."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

from tests.clients.checks.registry import operation, same
from tests.clients.truth import RepoTruth, Truth


def fetch(repo: RepoTruth, path: str, cache: Path) -> Path:
    """One file of a repo by `hf_hub_download`, its bytes compared."""
    found = Path(hf_hub_download(repo.id, path, repo_type=repo.kind, revision=repo.revision, cache_dir=cache))
    repo.files[path].check(found)
    return found


def check_folder(repo: RepoTruth, folder: Path, but: str = ".cache/") -> None:
    """Raises AssertionError unless the folder holds the repo's files, all of them and nothing else."""
    found = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    same({path for path in found if not path.startswith(but)}, set(repo.files), f"files of {repo.id}")
    for path, file in repo.files.items():
        file.check(folder / path)


def _fetch_all(repo: RepoTruth, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: fetch(repo, path, cache), repo.files))
    for path, place in zip(repo.files, found, strict=True):
        same(place.parts[-path.count("/") - 2], repo.commit, f"commit of {path} in the cache")
        same(place.resolve().name, repo.files[path].etag, f"name of {path} in the cache")


@operation("hf_hub_download: every file of the model, odd names included")
def every_model_file(truth: Truth, scratch: Path) -> str:
    _fetch_all(truth.model, scratch)
    return f"{len(truth.model.files)} files"


@operation("hf_hub_download: every file at a tag")
def every_tagged_file(truth: Truth, scratch: Path) -> str:
    _fetch_all(truth.tagged, scratch)
    return f"{len(truth.tagged.files)} files"


@operation("hf_hub_download: every file of the dataset")
def every_dataset_file(truth: Truth, scratch: Path) -> str:
    _fetch_all(truth.dataset, scratch)
    return f"{len(truth.dataset.files)} files"


@operation("hf_hub_download: by commit id")
def by_commit(truth: Truth, scratch: Path) -> None:
    repo = truth.tagged
    found = hf_hub_download(repo.id, "notes.txt", revision=repo.commit, cache_dir=scratch)
    repo.files["notes.txt"].check(Path(found))


@operation("hf_hub_download: subfolder and local_dir")
def to_local_dir(truth: Truth, scratch: Path) -> None:
    repo = truth.model
    found = hf_hub_download(repo.id, "deep.json", subfolder="a/b/c", local_dir=scratch)
    same(Path(found), scratch / "a/b/c/deep.json", "place")
    repo.files["a/b/c/deep.json"].check(Path(found))


@operation("snapshot_download: model")
def model_snapshot(truth: Truth, scratch: Path) -> None:
    check_folder(truth.model, Path(snapshot_download(truth.model.id, cache_dir=scratch)))


@operation("snapshot_download: model at a tag")
def tagged_snapshot(truth: Truth, scratch: Path) -> None:
    repo = truth.tagged
    check_folder(repo, Path(snapshot_download(repo.id, revision=repo.revision, cache_dir=scratch)))


@operation("snapshot_download: dataset into local_dir")
def dataset_snapshot(truth: Truth, scratch: Path) -> None:
    check_folder(truth.dataset, Path(snapshot_download(truth.dataset.id, repo_type="dataset", local_dir=scratch)))


@operation("snapshot_download: patterns")
def snapshot_with_patterns(truth: Truth, scratch: Path) -> None:
    wanted = [path for path in truth.model.files if path.endswith(".json") and not path.startswith("a/")]
    folder = snapshot_download(truth.model.id, allow_patterns="*.json", ignore_patterns=["a/*"], cache_dir=scratch)
    found = {one.relative_to(folder).as_posix() for one in Path(folder).rglob("*") if one.is_file()}
    same(found, set(wanted), "files")


@operation("hf download: model")
def hf_download(truth: Truth, scratch: Path) -> None:
    _hf("download", truth.model.id, "--local-dir", str(scratch))
    check_folder(truth.model, scratch)


@operation("hf download: one file of the dataset at its commit")
def hf_download_file(truth: Truth, scratch: Path) -> None:
    repo, path = truth.dataset, "csv/train.csv"
    _hf("download", repo.id, path, "--repo-type=dataset", f"--revision={repo.commit}", f"--cache-dir={scratch}")
    found = next(scratch.rglob("train.csv"))
    repo.files[path].check(found)


def _hf(*words: str) -> str:
    """What the `hf` command of this environment prints; raises AssertionError with its words when it fails."""
    outcome = subprocess.run(
        [str(Path(sys.executable).parent / "hf"), *words], capture_output=True, text=True, timeout=120, check=False
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 0, f"hf {words[0]} ended with {outcome.returncode}: {said[-600:]}"
    return outcome.stdout
