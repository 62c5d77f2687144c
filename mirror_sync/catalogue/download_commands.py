"""Commands that get a repo from this mirror, and that check what came, ready to be copied.

What upstream chose, such as the name of a branch, is quoted for the language that it stands in.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mirror_sync.catalogue.formats import in_url
from mirror_sync.domain.catalogue.rows import RepoPage
from mirror_sync.domain.doors.gguf_quants import is_model
from mirror_sync.domain.doors.oci_documents import LATEST, oci_name
from mirror_sync.domain.repo import Kind, Repo

PLACEHOLDER = "https://MIRROR-ADDRESS"
_MAIN = "main"
_TELLING = ("config.json", "README.md")  # what a person would look at first
_LOADERS = {
    "": ("transformers", "AutoModel"),
    "transformers": ("transformers", "AutoModel"),
    "diffusers": ("diffusers", "DiffusionPipeline"),
}


@dataclass(frozen=True, slots=True)
class DownloadCommand:
    """`before` and `after` the address of this mirror, which only the reader's browser knows. `title` names a text."""

    title: str
    before: str
    after: str


def commands(page: RepoPage, doors: Collection[str] = ()) -> list[DownloadCommand]:
    """Nothing for a repo of which nothing is published; `doors` are those that are open beside the Hub's."""
    if page.shown_commit is None:
        return []
    made = [_shell(page), _python(page)]
    if page.files:
        made.append(_curl(page, page.shown_commit))
    return [*made, *_gguf(page, doors), *_registry(page, page.shown_commit, doors), *_s3(page, doors)]


def _gguf(page: RepoPage, doors: Collection[str]) -> Iterator[DownloadCommand]:
    """For programs that run a model in GGUF: the quantization that is meant where nobody says; they ask for main."""
    if page.row.kind is Kind.MODEL and not _revision(page) and any(is_model(file.path) for file in page.files):
        yield DownloadCommand("repo.llama", "HF_ENDPOINT=", f" llama-server -hf {shlex.quote(page.row.repo)}")
        if "oci" in doors:
            yield DownloadCommand("repo.ollama", "M=", f'; ollama pull "${{M#*://}}/{page.row.repo}"')


def _registry(page: RepoPage, commit: str, doors: Collection[str]) -> Iterator[DownloadCommand]:
    """Clients of registries want the address without its scheme, which the shell takes away."""
    name = oci_name(Repo(page.row.kind, page.row.repo)) if "oci" in doors else None
    if name is not None:
        at = f"{name}:{commit if _revision(page) else LATEST}"
        folder = shlex.quote(page.row.repo.rpartition("/")[2])
        yield DownloadCommand("repo.skopeo", "M=", f'; skopeo copy "docker://${{M#*://}}/{at}" dir:{folder}')


def _s3(page: RepoPage, doors: Collection[str]) -> Iterator[DownloadCommand]:
    """Of a name with a slash no key begins so: then by its commit."""
    if "s3" in doors and "/" in page.row.repo and page.shown_commit is not None:
        revision = _revision(page) or _MAIN
        at = revision if "/" not in revision else page.shown_commit
        yield DownloadCommand("repo.s3", *by_s5cmd(page.row.kind.plural, page.row.repo, at))


def by_s5cmd(bucket: str, repo: str, revision: str) -> tuple[str, str]:
    """What stands before the address of the mirror and after it. A token of the mirror is the access key."""
    source, folder = f"s3://{bucket}/{repo}/{revision}/*", f"{repo.rpartition('/')[2]}/"
    keys = 'AWS_ACCESS_KEY_ID="${HF_TOKEN:-any}" AWS_SECRET_ACCESS_KEY=any'
    return f"{keys} s5cmd --endpoint-url ", f" cp {shlex.quote(source)} {shlex.quote(folder)}"


def _shell(page: RepoPage) -> DownloadCommand:
    kind = " --repo-type dataset" if page.row.kind is Kind.DATASET else ""
    revision = _revision(page)
    at = f" --revision {shlex.quote(revision)}" if revision else ""
    return DownloadCommand("repo.shell", "HF_ENDPOINT=", f" hf download {shlex.quote(page.row.repo)}{kind}{at}")


def _python(page: RepoPage) -> DownloadCommand:
    revision = _revision(page)
    name, at = _literal(page.row.repo), f", revision={_literal(revision)}" if revision else ""
    return DownloadCommand(
        "repo.python", 'import os\nos.environ["HF_ENDPOINT"] = "', f'"\n\n{_loading(page, name, at)}'
    )


def _loading(page: RepoPage, name: str, at: str) -> str:
    if page.row.kind is Kind.DATASET:
        return f"from datasets import load_dataset\ndataset = load_dataset({name}{at})"
    if page.row.library == "sentence-transformers":
        return f"from sentence_transformers import SentenceTransformer\nmodel = SentenceTransformer({name}{at})"
    if page.row.library in _LOADERS:
        package, loader = _LOADERS[page.row.library]
        return f"from {package} import {loader}\nmodel = {loader}.from_pretrained({name}{at})"
    return f"from huggingface_hub import snapshot_download\nfolder = snapshot_download({name}{at})"


def _curl(page: RepoPage, commit: str) -> DownloadCommand:
    paths = [file.path for file in page.files]
    path = next((name for name in _TELLING if name in paths), paths[0])
    return DownloadCommand("repo.curl", "curl -fLO ", f"/{resolved(page, commit)}{in_url(path)}")


def resolved(page: RepoPage, commit: str) -> str:
    """Where the files of a commit are, seen from the mirror's root."""
    kind = "datasets/" if page.row.kind is Kind.DATASET else ""
    return f"{kind}{in_url(page.row.repo)}/resolve/{in_url(commit)}/"


def check_by_hand(page: RepoPage, principal: str) -> DownloadCommand | None:
    """The lines by which curl, ssh-keygen and sha256sum prove the shown commit; None where nothing of it is signed.

    They are those of docs/guide/trust.md, with the commit's own address. `principal` is who signs.
    """
    if page.shown_commit is None or not (page.signed and principal):
        return None
    name = shlex.quote(principal)
    at = f"/-/trust/{page.row.kind.plural}/{in_url(page.row.repo)}/{in_url(page.shown_commit)}"
    lines = (
        f'{at}/{{SHA256SUMS,SHA256SUMS.sig}}"',
        f"ssh-keygen -Y verify -f allowed_signers -I {name} -n mirror-sync -s SHA256SUMS.sig < SHA256SUMS",
        f"cd {page.row.kind.value} && sha256sum --strict --quiet -c ../SHA256SUMS",
    )
    return DownloadCommand("repo.check", 'curl -fsSO --remote-name-all "', "\n".join(lines))


def _revision(page: RepoPage) -> str:
    """What must be asked for to get the shown snapshot; empty where that is what one gets without asking."""
    shown = next((one for one in page.snapshots if one.commit == page.shown_commit), None)
    if shown is None or _MAIN in shown.names:
        return ""
    return next(iter(shown.names), shown.commit)


def _literal(words: str) -> str:
    """As a literal of Python."""
    return json.dumps(words, ensure_ascii=False)
