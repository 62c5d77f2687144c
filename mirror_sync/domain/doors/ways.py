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

from mirror_sync.domain.doors.gguf_quants import is_model
from mirror_sync.domain.doors.oci_documents import CONFIG, LATEST, MANIFEST, MORE, oci_name
from mirror_sync.domain.doors.oci_images import IMAGE, LAYERS, SUFFIX
from mirror_sync.domain.repo import Kind, Repo

_TELLING = ("config.json", "README.md")  # what a person would look at first
_LOADERS = {
    "": ("transformers", "AutoModel"),
    "transformers": ("transformers", "AutoModel"),
    "diffusers": ("diffusers", "DiffusionPipeline"),
}


@dataclass(frozen=True, slots=True)
class WantedCommit:
    """A published commit that somebody wants: `revision` is what must be asked for, empty where that is not needed.

    `paths` are the first of its files; `library` is what loads it, as its card says.
    """

    repo: Repo
    commit: str
    revision: str
    paths: Sequence[str]
    library: str = ""

    @property
    def files_at(self) -> str:
        """Where its files are, seen from the mirror's root."""
        kind = "datasets/" if self.repo.kind is Kind.DATASET else ""
        return f"{kind}{_in_url(self.repo.id)}/resolve/{_in_url(self.commit)}/"


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
    kind = " --repo-type dataset" if wanted.repo.kind is Kind.DATASET else ""
    at = f" --revision {shlex.quote(wanted.revision)}" if wanted.revision else ""
    yield DoorCommand("repo.shell", "HF_ENDPOINT=", f" hf download {shlex.quote(wanted.repo.id)}{kind}{at}")
    yield DoorCommand("repo.python", 'import os\nos.environ["HF_ENDPOINT"] = "', f'"\n\n{_loading(wanted)}')
    if wanted.paths:
        path = next((name for name in _TELLING if name in wanted.paths), wanted.paths[0])
        yield DoorCommand("repo.curl", "curl -fLO ", f"/{wanted.files_at}{_in_url(path)}")
    if _is_gguf(wanted):
        yield DoorCommand("repo.llama", "HF_ENDPOINT=", f" llama-server -hf {shlex.quote(wanted.repo.id)}")


def _loading(wanted: WantedCommit) -> str:
    name, library = _literal(wanted.repo.id), wanted.library
    at = f", revision={_literal(wanted.revision)}" if wanted.revision else ""
    if wanted.repo.kind is Kind.DATASET:
        return f"from datasets import load_dataset\ndataset = load_dataset({name}{at})"
    if library == "sentence-transformers":
        return f"from sentence_transformers import SentenceTransformer\nmodel = SentenceTransformer({name}{at})"
    if library in _LOADERS:
        package, loader = _LOADERS[library]
        return f"from {package} import {loader}\nmodel = {loader}.from_pretrained({name}{at})"
    return f"from huggingface_hub import snapshot_download\nfolder = snapshot_download({name}{at})"


def _modelscope(wanted: WantedCommit) -> Iterator[DoorCommand]:
    """Its clients know ids of two parts alone."""
    if "/" in wanted.repo.id:
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
    Door("images", "front: {oci: {images: true}}", _image, documents=(IMAGE, LAYERS)),
)
