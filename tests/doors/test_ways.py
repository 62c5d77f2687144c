"""Every command that a repo's page shows is run as it is shown, by the program that it names, against both fronts.

Ollama is in no registry of packages: its stand-in asks as it does. All others are the programs themselves.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mirror_sync.domain.doors.ways import DOORS, DoorCommand, WantedCommit, open_doors, ways_of
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import ROOT, environment
from tests.clients.suite.__main__ import node_folder
from tests.front.bucket import Published
from tests.front.mirrors import by_either
from tests.front.test_ollama import MODELS, gguf
from tests.requirements import need

MODEL, DATASET = Repo(Kind.MODEL, "Acme/Tiny"), Repo(Kind.DATASET, "acme/rows")
FILES = {"README.md": b"# tiny", "config.json": b"{}", **MODELS, "Tiny-Q4_K_M.gguf": gguf("4B", 50_000)}
ROWS = {"README.md": b"# rows", "data.csv": b"a,b\n1,2\n"}
STORAGE = """[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
OLLAMA = """#!{python}
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.front.test_ollama import GoClient
assert sys.argv[1] == "pull"
host, _, name = sys.argv[2].partition("/")
manifest, layers = GoClient("http://" + host).pull(name, "latest")
Path("model.gguf").write_bytes(layers["model"])
"""


@dataclass(frozen=True)
class Place:
    """A front with open doors, and where programs run."""

    url: str
    folder: Path
    commits: Mapping[Repo, str]

    def run(self, way: DoorCommand, *, home: Path) -> None:
        """A way as a person's shell, or their Python, runs it, in `home`."""
        words = [str(environment("hub-2") / "bin/python"), "-c"] if way.title == "repo.python" else ["bash", "-ec"]
        command = way.at(self.url)
        if way.title == "repo.js":
            (home / "node_modules").symlink_to(node_folder("hub-js") / "node_modules")
            command = f"node --input-type=module -e {shlex.quote(command)}"
        if way.title == "repo.skopeo":
            command = command.replace("skopeo copy", "skopeo copy --src-tls-verify=false")  # a mirror has TLS
        if way.title == "repo.podman":
            command = command.replace("podman pull", "podman pull --tls-verify=false")
        if way.title == "repo.llama":
            command += " --host 127.0.0.1 --port 0 --no-warmup || true"  # it ends: what it got is no model
        places = [
            str(self.folder),
            str(Path(sys.executable).parent),
            *(str(environment(name) / "bin") for name in ("hub-2", "modelscope-1.40")),
        ]
        (home / "storage.conf").write_text(STORAGE.format(folder=home), encoding="utf-8")
        environ = {"CONTAINERS_STORAGE_CONF": str(home / "storage.conf")}
        environ |= {"PATH": os.pathsep.join([*places, os.environ["PATH"]]), "HOME": str(home), "NO_PROXY": "*"}
        done = subprocess.run(
            [*words, command], cwd=home, env=environ, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, command + done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module", params=["serve", "nginx"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    need("registries", "curl")
    folder = tmp_path_factory.mktemp("ways")
    bucket = DirectoryTarget(folder / "bucket")
    commits = {
        repo: str(Published(DirectoryStore(bucket.root), repo).publish(files, registry=True))
        for repo, files in ((MODEL, FILES), (DATASET, ROWS))
    }
    programs = folder / "programs"
    programs.mkdir()
    llama = environment("suite-llama") / "bin"
    written = {
        "ollama": OLLAMA.format(python=sys.executable, root=str(ROOT)),
        "llama-server": f'#!/bin/sh\nexec "{llama}/python" "{llama}/llama-server-vulkan" "$@"\n',
    }
    for name, text in written.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(stat.S_IRWXU)
    with by_either(request.param, bucket, folder / "front") as mirror:
        yield Place(mirror.url, programs, commits)


def _named(wanted: WantedCommit) -> dict[str, DoorCommand]:
    return {way.title: way for way in ways_of(wanted, {door.name for door in DOORS})}


WANTED = {
    "a model": WantedCommit(MODEL, "", "", sorted(FILES), "any"),
    "a dataset": WantedCommit(DATASET, "", "", sorted(ROWS)),
}
RUN = [(what, title) for what, wanted in WANTED.items() for title in _named(wanted)]
WHOLE = {"a model": FILES, "a dataset": ROWS}


@pytest.mark.parametrize(("what", "title"), RUN, ids=lambda word: word)
def test_a_command_of_a_page_gets_what_it_says(place: Place, what: str, title: str) -> None:
    wanted = WANTED[what]
    way = _named(WantedCommit(wanted.repo, place.commits[wanted.repo], "", wanted.paths, wanted.library))[title]
    with tempfile.TemporaryDirectory(prefix="w") as folder:  # a short one: podman wants that
        place.run(way, home=Path(folder))
        got = {path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    one = dict.fromkeys(("repo.curl", "repo.js"), "README.md" if what == "a dataset" else "config.json")
    one |= {"repo.python": "data.csv"} if what == "a dataset" else {}  # load_dataset wants no card
    one |= {"repo.llama": "Tiny-Q4_K_M.gguf", "repo.ollama": "Tiny-Q4_K_M.gguf"}
    assert {WHOLE[what][one[title]]} if title in one else set(WHOLE[what].values()) <= got


def test_each_door_has_a_way_for_some_repo_and_only_open_ones_are_shown() -> None:
    for door in DOORS:
        assert any(list(door.ways(replace(wanted, has_torrent=True))) for wanted in WANTED.values()), door.name
    assert [door.name for door in open_doors(())] == [door.name for door in DOORS if not door.opened_by]
    assert [door.name for door in open_doors({door.name for door in DOORS})] == [door.name for door in DOORS]
