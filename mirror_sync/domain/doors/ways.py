"""By which doors a repo is got, and how: commands for people, ready to be copied.

`DOORS` is the one table: what `mirror-sync doors` says to be open, and what a repo's page of the catalogue shows. What
upstream chose, such as the name of a branch, is quoted for the language that it stands in.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mirror_sync.domain.doors import torrent_metainfo as torrents
from mirror_sync.domain.doors.gguf_quants import is_model
from mirror_sync.domain.doors.oci_documents import CONFIG, LATEST, MANIFEST, MORE, oci_name
from mirror_sync.domain.doors.oci_images import IMAGE, LAYERS, SUFFIX
from mirror_sync.domain.repo import Kind, Repo

_MAIN = "main"
_TELLING = ("config.json", "README.md")  # what a person would look at first
_JAVASCRIPT = """import { writeFile } from "node:fs/promises"
import { downloadFile } from "@huggingface/hub"

const file = await downloadFile({
  hubUrl: \""""
_LOADERS = {
    "": ("transformers", "AutoModel"),
    "transformers": ("transformers", "AutoModel"),
    "diffusers": ("diffusers", "DiffusionPipeline"),
}


@dataclass(frozen=True, slots=True)
class WantedCommit:
    """A published commit that somebody wants: `revision` is what must be asked for, empty where that is not needed.

    `paths` are the first of its files; `library` is what loads it, as its card says; `has_torrent`: one is made of it.
    """

    repo: Repo
    commit: str
    revision: str
    paths: Sequence[str]
    library: str = ""
    has_torrent: bool = False

    @property
    def files_at(self) -> str:
        """Where its files are, seen from the mirror's root."""
        return f"{self.repo.kind.place}{_in_url(self.repo.id)}/resolve/{_in_url(self.commit)}/"


@dataclass(frozen=True, slots=True)
class DoorCommand:
    """A command: `before` and `after` the address of this mirror, which only the reader knows. `title` names a text."""

    title: str
    before: str
    after: str

    def at(self, url: str) -> str:
        """The command as it is typed, for a mirror at `url`."""
        return f"{self.before}{url}{self.after}"


@dataclass(frozen=True, slots=True)
class Door:
    """`name` is what `front.doors` calls it, and `opened_by` what jobs.yaml says then; empty for one that always is.

    `ways` gives none for a repo that the door cannot give. `documents` are attachments that it makes of a snapshot.
    """

    name: str
    opened_by: str
    ways: Callable[[WantedCommit], Iterable[DoorCommand]]
    documents: tuple[str, ...] = ()


def ways_of(wanted: WantedCommit, doors: Collection[str]) -> list[DoorCommand]:
    """Those by all doors that are open; `doors` are the names of those beside the ones that always are."""
    return [way for door in open_doors(doors) for way in door.ways(wanted)]


def open_doors(doors: Collection[str]) -> list[Door]:
    """In the order of the table."""
    return [door for door in DOORS if not door.opened_by or door.name in doors]


def _hub(wanted: WantedCommit) -> Iterator[DoorCommand]:
    kind = "" if wanted.repo.kind is Kind.MODEL else f" --repo-type {wanted.repo.kind}"
    at = f" --revision {shlex.quote(wanted.revision)}" if wanted.revision else ""
    yield DoorCommand("repo.shell", "HF_ENDPOINT=", f" hf download {shlex.quote(wanted.repo.id)}{kind}{at}")
    yield DoorCommand("repo.python", 'import os\nos.environ["HF_ENDPOINT"] = "', f'"\n\n{_loading(wanted)}')
    if wanted.paths:
        path = next((name for name in _TELLING if name in wanted.paths), wanted.paths[0])
        if wanted.repo.kind is not Kind.KERNEL:  # which @huggingface/hub does not know
            yield DoorCommand("repo.js", _JAVASCRIPT, f'",\n{_in_javascript(wanted, path)}')
        yield DoorCommand("repo.curl", "curl -fLO ", f"/{wanted.files_at}{_in_url(path)}")
    if _is_gguf(wanted):
        yield DoorCommand("repo.llama", "HF_ENDPOINT=", f" llama-server -hf {shlex.quote(wanted.repo.id)}")


def _loading(wanted: WantedCommit) -> str:
    name, library = _literal(wanted.repo.id), wanted.library
    at = f", revision={_literal(wanted.revision)}" if wanted.revision else ""
    if wanted.repo.kind is Kind.DATASET:
        return f"from datasets import load_dataset\ndataset = load_dataset({name}{at})"
    if wanted.repo.kind is Kind.KERNEL and at:
        return f"from kernels import get_kernel\nkernel = get_kernel({name}{at})"
    if wanted.repo.kind is not Kind.MODEL:
        whole = f'{name}, repo_type="{wanted.repo.kind}"{at}'
        return f"from huggingface_hub import snapshot_download\nfolder = snapshot_download({whole})"
    if library == "sentence-transformers":
        return f"from sentence_transformers import SentenceTransformer\nmodel = SentenceTransformer({name}{at})"
    if library in _LOADERS:
        package, loader = _LOADERS[library]
        return f"from {package} import {loader}\nmodel = {loader}.from_pretrained({name}{at})"
    return f"from huggingface_hub import snapshot_download\nfolder = snapshot_download({name}{at})"


def _in_javascript(wanted: WantedCommit, path: str) -> str:
    """Node 18 or newer, or a bundler. The file is named by its last part."""
    name = _literal(wanted.repo.id)
    repo = name if wanted.repo.kind is Kind.MODEL else f'{{ type: "{wanted.repo.kind}", name: {name} }}'
    at = f"  revision: {_literal(wanted.revision)},\n" if wanted.revision else ""
    saved = _literal(path.rpartition("/")[2])
    return (
        f"  repo: {repo},\n{at}  path: {_literal(path)},\n}})\n"
        f"await writeFile({saved}, new Uint8Array(await file.arrayBuffer()))"
    )


def _modelscope(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """Its clients know models and datasets, and ids of two parts alone."""
    if "/" in wanted.repo.id and wanted.repo.kind in (Kind.MODEL, Kind.DATASET):
        at = f" --revision {shlex.quote(wanted.revision)}" if wanted.revision else ""
        name = f"--{wanted.repo.kind.value} {shlex.quote(wanted.repo.id)}"
        yield DoorCommand("repo.modelscope", "MODELSCOPE_ENDPOINT=", f" modelscope download {name}{at}")


def _registry(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """Its clients want the address without its scheme, which the shell takes away."""
    name = oci_name(wanted.repo)
    if name is None:
        return
    if _is_gguf(wanted):
        yield DoorCommand("repo.ollama", "M=", f'; ollama pull "${{M#*://}}/{wanted.repo.id}"')
    at = f"{name}:{wanted.commit if wanted.revision else LATEST}"
    folder = shlex.quote(wanted.repo.id.rpartition("/")[2])
    yield DoorCommand("repo.skopeo", "M=", f'; skopeo copy "docker://${{M#*://}}/{at}" dir:{folder}')


def _image(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """To be mounted: `podman run --mount type=image,source=...`, or a volume of Kubernetes."""
    name = oci_name(wanted.repo)
    if name is not None:
        at = f"{name}:{wanted.commit if wanted.revision else LATEST}{SUFFIX}"
        yield DoorCommand("repo.podman", "M=", f'; podman pull "${{M#*://}}/{at}"')


def _torrent(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """aria2 takes a torrent by its address; it ends when all is there, and does not seed."""
    if wanted.has_torrent:
        at = f"/-/torrents/{wanted.repo.kind.plural}/{_in_url(wanted.repo.id)}/{_in_url(wanted.commit)}.torrent"
        yield DoorCommand("repo.torrent", "aria2c --seed-time=0 ", at)


def _s3(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """Of a name with a slash no key begins so: then by its commit."""
    kind = wanted.repo.kind
    if "/" in wanted.repo.id and kind in (Kind.MODEL, Kind.DATASET):
        revision = wanted.revision or _MAIN
        at = revision if "/" not in revision else wanted.commit
        yield DoorCommand("repo.s3", *by_s5cmd(kind.plural, wanted.repo.id, at))


def by_s5cmd(bucket: str, repo: str, revision: str) -> tuple[str, str]:
    """What stands before the address of the mirror and after it. A token of the mirror is the access key."""
    source, folder = f"s3://{bucket}/{repo}/{revision}/*", f"{repo.rpartition('/')[2]}/"
    keys = 'AWS_ACCESS_KEY_ID="${HF_TOKEN:-any}" AWS_SECRET_ACCESS_KEY=any'
    return f"{keys} s5cmd --endpoint-url ", f" cp {shlex.quote(source)} {shlex.quote(folder)}"


def _is_gguf(wanted: WantedCommit) -> bool:
    """For programs that run a model in GGUF: the quantization that is meant where nobody says; they ask for main."""
    model = wanted.repo.kind is Kind.MODEL and not wanted.revision
    return model and any(is_model(path) for path in wanted.paths)


def _in_url(path: str) -> str:
    """A path of names as an address spells it."""
    return quote(path, safe="/", errors="replace")


def _literal(words: str) -> str:
    """As a literal of Python."""
    return json.dumps(words, ensure_ascii=False)


DOORS = (
    Door("hub", "", _hub),
    Door("modelscope", "", _modelscope),
    Door("oci", "front: {oci: true}", _registry, documents=(MANIFEST, CONFIG, MORE)),
    Door(
        torrents.DOOR,
        "front: {torrents: true}",
        _torrent,
        documents=(torrents.INFO, torrents.FACTS),
    ),
    Door("s3", "front: {s3: true}", _s3),
    Door("images", "front: {oci: {images: true}}", _image, documents=(IMAGE, LAYERS)),
)
