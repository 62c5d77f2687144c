"""What the mirror tells of its repos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile, RepoFolder

from tests.clients.checks.registry import operation, raises, same
from tests.clients.truth import FileTruth, Truth

API = HfApi()


@operation("model_info")
def model_info(truth: Truth, _: Path) -> None:
    repo = truth.model
    answer = API.model_info(repo.id)
    same((answer.id, answer.sha), (repo.id, repo.commit), "id and commit")
    same({one.rfilename for one in answer.siblings or []}, set(repo.files), "siblings")
    assert answer.card_data is not None, "no card"
    same(answer.card_data.get("license"), repo.license, "licence")
    assert f"license:{repo.license}" in (answer.tags or []), f"tags {answer.tags}"
    assert answer.last_modified is not None, "no date"
    same((answer.private, answer.gated, answer.disabled), (False, False, False), "private, gated, disabled")


@operation("model_info: at a tag")
def model_info_at_tag(truth: Truth, _: Path) -> None:
    answer = API.model_info(truth.tagged.id, revision=truth.tagged.revision)
    same(answer.sha, truth.tagged.commit, "commit")
    same({one.rfilename for one in answer.siblings or []}, set(truth.tagged.files), "siblings")


@operation("model_info: files_metadata")
def model_info_of_files(truth: Truth, _: Path) -> None:
    repo = truth.tagged
    answer = API.model_info(repo.id, revision=repo.revision, files_metadata=True)
    sizes = {path: file.size for path, file in repo.files.items()}
    same({one.rfilename: one.size for one in answer.siblings or []}, sizes, "sizes")
    whole = API.model_info(truth.model.id, files_metadata=True)
    for one in whole.siblings or []:
        etag = one.lfs.sha256 if one.lfs else one.blob_id
        same(etag, truth.model.files[one.rfilename].etag, one.rfilename)


@operation("dataset_info")
def dataset_info(truth: Truth, _: Path) -> None:
    repo = truth.dataset
    answer = API.dataset_info(repo.id)
    same((answer.id, answer.sha), (repo.id, repo.commit), "id and commit")
    same({one.rfilename for one in answer.siblings or []}, set(repo.files), "siblings")


@operation("repo_info: by commit id")
def repo_info_by_commit(truth: Truth, _: Path) -> None:
    same(API.repo_info(truth.tagged.id, revision=truth.tagged.commit).sha, truth.tagged.commit, "commit")


@operation("list_repo_tree: recursive")
def tree(truth: Truth, _: Path) -> None:
    entries = list(API.list_repo_tree(truth.model.id, recursive=True))
    _check_files(entries, truth.model.files)
    same({one.path for one in entries if isinstance(one, RepoFolder)}, truth.model.folders(), "folders")


@operation("list_repo_tree: the top level")
def top_of_tree(truth: Truth, _: Path) -> None:
    entries = list(API.list_repo_tree(truth.model.id))
    _check_files(entries, {path: file for path, file in truth.model.files.items() if "/" not in path})
    folders = {one.path for one in entries if isinstance(one, RepoFolder)}
    same(folders, {folder for folder in truth.model.folders() if "/" not in folder}, "folders")


@operation("list_repo_tree: a folder")
def folder_of_tree(truth: Truth, _: Path) -> None:
    entries = list(API.list_repo_tree(truth.model.id, "odd names"))
    _check_files(entries, truth.model.folder("odd names"))
    nested = list(API.list_repo_tree(truth.model.id, "a/b", revision=truth.model.commit))
    same([type(one) for one in nested], [RepoFolder], "entries of a/b")
    same(nested[0].path, "a/b/c", "path")
    deep = list(API.list_repo_tree(truth.model.id, "a", recursive=True))
    _check_files(deep, truth.model.folder("a"))


@operation("list_repo_tree: expand")
def expanded_tree(truth: Truth, _: Path) -> None:
    entries = list(API.list_repo_tree(truth.model.id, recursive=True, expand=True))
    _check_files(entries, truth.model.files)
    for one in entries:
        assert one.last_commit is not None, f"{one.path} has no last commit"
        assert len(one.last_commit.oid) == 40, one.last_commit
        assert one.last_commit.title, one.last_commit


@operation("list_repo_tree: more than one page")
def long_tree(truth: Truth, _: Path) -> str:
    entries = list(API.list_repo_tree(truth.many.id, recursive=True))
    _check_files(entries, truth.many.files)
    paths = [one.path for one in entries]
    same(len(paths), len(set(paths)), "entries without doubles")
    top = list(API.list_repo_tree(truth.many.id))
    same(len(top), 1 + len(truth.many.folders()), "entries of the top level")
    return f"{len(entries)} entries"


@operation("list_repo_files")
def files(truth: Truth, _: Path) -> None:
    for repo in (truth.model, truth.tagged, truth.dataset):
        found = API.list_repo_files(repo.id, repo_type=repo.kind, revision=repo.revision)
        same(set(found), set(repo.files), repo.id)


@operation("list_repo_refs")
def refs(truth: Truth, _: Path) -> None:
    for repo in (truth.model, truth.dataset):
        answer = API.list_repo_refs(repo.id, repo_type=repo.kind)
        same({one.name: one.target_commit for one in answer.branches}, dict(repo.branches), "branches")
        same({one.name: one.target_commit for one in answer.tags}, dict(repo.tags), "tags")
        same({one.ref for one in answer.tags}, {f"refs/tags/{name}" for name in repo.tags}, "full names")


@operation("list_repo_commits")
def commits(truth: Truth, _: Path) -> None:
    for repo in (truth.model, truth.tagged, truth.dataset):
        answer = API.list_repo_commits(repo.id, repo_type=repo.kind, revision=repo.revision)
        same(answer[0].commit_id, repo.commit, f"newest commit of {repo.id}")
        assert answer[0].title, "no title"
        assert answer[0].authors, "no authors"


@operation("get_paths_info")
def paths_info(truth: Truth, _: Path) -> None:
    wanted = [*truth.model.folder("odd names"), "config.json", "model.bin"]
    entries = API.get_paths_info(truth.model.id, [*wanted, "no such file", "a"])
    _check_files(entries, {path: truth.model.files[path] for path in wanted})
    same({one.path for one in entries if isinstance(one, RepoFolder)}, {"a"}, "folders")
    expanded = API.get_paths_info(truth.model.id, ["config.json"], expand=True)
    assert isinstance(expanded[0], RepoFile), expanded
    assert expanded[0].last_commit is not None, "no last commit"
    same(API.get_paths_info(truth.model.id, ["no such file"]), [], "a missing path")


@operation("file_exists, revision_exists, repo_exists")
def existence(truth: Truth, _: Path) -> None:
    repo = truth.model
    assert API.file_exists(repo.id, "config.json")
    assert API.file_exists(repo.id, "odd names/question?.txt")
    assert not API.file_exists(repo.id, "no such file")
    assert not API.file_exists(repo.id, "model.bin", revision=truth.tagged.revision), "added after the tag"
    assert not API.file_exists(repo.id, "config.json", revision="no-such-revision")
    assert API.revision_exists(repo.id, truth.tagged.revision)
    assert API.revision_exists(repo.id, repo.commit)
    assert not API.revision_exists(repo.id, "no-such-revision")
    assert API.repo_exists(truth.dataset.id, repo_type="dataset")
    assert not API.repo_exists(truth.dataset.id), "a dataset is no model"


def _check_files(entries: Iterable[RepoFile | RepoFolder], wanted: Mapping[str, FileTruth]) -> None:
    found = {one.path: one for one in entries if isinstance(one, RepoFile)}
    same(set(found), set(wanted), "files")
    for path, one in found.items():
        same(one.size, wanted[path].size, f"size of {path}")
        same(one.lfs.sha256 if one.lfs else one.blob_id, wanted[path].etag, f"digest of {path}")


@operation("list_models, list_datasets")
def list_models(truth: Truth, _: Path) -> None:
    models = {truth.model.id, truth.many.id}
    same({one.id for one in API.list_models(author="acme")}, models, "models of an author")
    same([one.id for one in API.list_models(search="TINY")], [truth.model.id], "models by a word")
    tagged = f"license:{truth.many.license}"
    same([one.id for one in API.list_models(filter=tagged)], [truth.many.id], "models by a tag")
    same([one.id for one in API.list_datasets(author="acme")], [truth.dataset.id], "datasets")
    same(list(API.list_models(author="nobody")), [], "models of nobody")


@operation("list_models: sorted, limited, with all that is known")
def list_models_sorted(truth: Truth, _: Path) -> None:
    models = {truth.model.id, truth.many.id}
    newest = list(API.list_models(sort="last_modified"))
    same({one.id for one in newest}, models, "models, newest first")
    dates = [one.last_modified for one in newest if one.last_modified]
    same(dates, sorted(dates, reverse=True), "their dates")
    same([one.id for one in API.list_models(sort="last_modified", limit=1)], [newest[0].id], "the newest")
    [whole] = API.list_models(search="tiny", full=True, cardData=True)
    same((whole.id, whole.sha), (truth.model.id, truth.model.commit), "id and commit")
    [some] = API.list_models(search="tiny", expand=["lastModified", "downloads", "sha"])
    same((some.id, some.sha), (truth.model.id, truth.model.commit), "id and commit of what was expanded")


@operation("list_models: an order that nobody knows")
def list_models_by_downloads(_truth: Truth, _: Path) -> None:
    raises(Exception, lambda: list(API.list_models(sort="downloads")))
