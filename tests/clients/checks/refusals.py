"""What is not there is refused in a way the client understands."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from tests.clients.checks.registry import operation, raises
from tests.clients.truth import Truth

API = HfApi()
NONE = "acme/no-such-repo"


@operation("a missing file is EntryNotFoundError")
def missing_file(truth: Truth, scratch: Path) -> None:
    for path in ("no/such/file.txt", "odd names", "config.json/x", "config", "odd names/percent .txt"):
        raises(EntryNotFoundError, hf_hub_download, truth.model.id, path, cache_dir=scratch)
    noted = list(scratch.rglob(".no_exist/*/no/such/file.txt"))
    assert noted, "the client could not note that the file is missing: the refusal names no commit"


@operation("a file missing at a tag is EntryNotFoundError")
def missing_at_tag(truth: Truth, scratch: Path) -> None:
    repo = truth.tagged
    raises(EntryNotFoundError, hf_hub_download, repo.id, "model.bin", revision=repo.revision, cache_dir=scratch)


@operation("the tree of a missing path, and of a file, is EntryNotFoundError")
def missing_folder(truth: Truth, _: Path) -> None:
    for path in ("no/such/folder", "config.json"):
        raises(EntryNotFoundError, _tree, truth.model.id, path)


@operation("a missing revision is RevisionNotFoundError")
def missing_revision(truth: Truth, scratch: Path) -> None:
    repo, name = truth.model, "no-such-revision"
    for revision in (name, "0" * 40, "feature/none"):
        raises(RevisionNotFoundError, hf_hub_download, repo.id, "config.json", revision=revision, cache_dir=scratch)
    raises(RevisionNotFoundError, API.model_info, repo.id, revision=name)
    raises(RevisionNotFoundError, _tree, repo.id, revision=name)
    raises(RevisionNotFoundError, API.get_paths_info, repo.id, ["config.json"], revision=name)


@operation("a missing repo is RepositoryNotFoundError")
def missing_repo(truth: Truth, scratch: Path) -> None:
    raises(RepositoryNotFoundError, hf_hub_download, NONE, "config.json", cache_dir=scratch)
    raises(RepositoryNotFoundError, snapshot_download, NONE, cache_dir=scratch)
    raises(RepositoryNotFoundError, API.model_info, NONE)
    raises(RepositoryNotFoundError, API.dataset_info, truth.model.id)
    raises(RepositoryNotFoundError, _tree, NONE)
    raises(RepositoryNotFoundError, API.list_repo_refs, NONE)
    raises(RepositoryNotFoundError, API.model_info, "no-such-repo")


def _tree(repo: str, path: str | None = None, revision: str | None = None) -> list[object]:
    return list(API.list_repo_tree(repo, path, revision=revision))
