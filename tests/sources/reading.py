"""How the tests read, and what they read: one small world for every kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mirror_sync.domain.catalogue import feed
from mirror_sync.domain.catalogue.page_data import FEED
from mirror_sync.domain.catalogue.published_lists import encode_page, page_name
from mirror_sync.domain.catalogue.rows import RepoRow, cut_list
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.modelscope.modelscope_source import ModelScopeSource
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published, put_parts
from tests.standin import LFS, Content, Generated, Hub, Memory
from tests.standin.modelscope import ModelScope

LARGE = 10 * 1024 * 1024 + 3  # bytes: LFS on the Hub and in a directory alike
README = b"---\nlicense: mit\ntags: [tiny]\n---\n# Tiny\n"
TINY = Repo.parse("acme/tiny")
DESCRIBED = {"id", "author", "private", "gated", "disabled", "tags", "cardData", "lastModified"}
"""What every source tells in `Resolved.described`."""
FILES: dict[str, Content] = {
    "README.md": Memory(README),
    "config.json": Memory(b'{"hidden_size": 8}'),
    "empty.txt": Memory(b""),
    "sub/model.safetensors": Generated(LARGE),
    "sub/ünïcode & #1 100%?+.txt": Memory(b"odd"),
}


def read(stream: ByteStream, buffer_size: int = 1 << 20) -> bytes:
    buffer, found = memoryview(bytearray(buffer_size)), bytearray()
    while count := stream.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


def fetched(
    source: Source, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
) -> bytes:
    with source.fetch(repo, commit, file, start, stop) as stream:
        return read(stream)


def published(source: Source, repo: Repo = TINY) -> tuple[CommitId, dict[str, RemoteFile]]:
    """The commit of main and its files by path."""
    commit = source.resolve(repo, "main").commit
    return commit, {file.path: file for file in source.list(repo, commit)}


def listed(source: Source, pattern: str) -> list[Resolved]:
    """The repos of a glob whose entries can all be read."""
    found = [*source.search(RepoPattern.parse(pattern))]
    if isinstance(source, ModelScopeSource):  # whose lists tell no commits
        found = [source.resolve(item, "main") if isinstance(item, Repo) else item for item in found]
    resolved = [item for item in found if isinstance(item, Resolved)]
    assert len(resolved) == len(found), found
    return resolved


def fill_hub(hub: Hub) -> None:
    hub.model("acme/tiny").commit({path: LFS(raw) if raw.size == LARGE else raw for path, raw in FILES.items()})
    hub.model("acme/second", license="apache-2.0").commit({"config.json": "{}"})
    hub.model("other/third", license="mit").commit({"config.json": "{}"})
    hub.dataset("acme/rows", license="cc-by-4.0").commit({"rows.csv": "a,b\n1,2\n"})


def fill_modelscope(site: ModelScope) -> None:
    """The same repos, by ModelScope's names of licences."""
    tiny = {path: LFS(raw) if raw.size == LARGE else raw for path, raw in FILES.items()}
    site.commit(site.model("acme/tiny", license="MIT License"), tiny)
    site.model("acme/tiny").set(license="MIT License")  # the card of the README is the Hub's
    site.commit(site.model("acme/second", license="Apache License 2.0"), {"config.json": "{}"})
    site.commit(site.model("other/third", license="MIT"), {"config.json": "{}"})
    site.commit(site.dataset("acme/rows", license="CC-BY-4.0"), {"rows.csv": "a,b\n1,2\n"})


def fill_directory(root: Path) -> None:
    _write(root / "acme/tiny", {path: content.read() for path, content in FILES.items()})
    _write(root / "acme/second", {"config.json": b"{}", "README.md": b"---\nlicense: apache-2.0\n---\n"})
    _write(root / "other/third", {"config.json": b"{}"})
    _write(root / "datasets/acme/rows", {"rows.csv": b"a,b\n1,2\n", "README.md": b"---\nlicense: cc-by-4.0\n---\n"})


def fill_mirror(root: Path) -> list[Repo]:
    """A bucket that a mirror has published into, with its feed; returns the repos."""
    store, pointers = DirectoryStore(root), dict[Repo, str]()
    for name, files, licence in (
        ("acme/tiny", {path: content.read() for path, content in FILES.items()}, "mit"),
        ("acme/second", {"config.json": b"{}"}, "apache-2.0"),
        ("other/third", {"config.json": b"{}"}, "mit"),
        ("dataset:acme/rows", {"rows.csv": b"a,b\n1,2\n"}, "cc-by-4.0"),
    ):
        repo = Repo.parse(name)
        card = {"cardData": {"license": licence}, "tags": [f"license:{licence}"]}
        described = {"author": repo.owner, "disabled": False, **card}
        published = Published(store, repo)
        published.publish(files, described=described)
        pointers[repo] = Sha256.of(published.refs.encode())
    (page,) = cut_list(RepoRow(repo.kind, repo.id, RepoState.PUBLISHED) for repo in pointers)
    listed = encode_page(page.rows, pointers)
    root_of_feed = feed.Feed(("them",), {}, True, (feed.part_of(page.name, page.first, Sha256.of(listed)),)).encode()
    put_parts(store, {page_name(page.name): listed, FEED: root_of_feed})
    return [*pointers]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, body in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)


class Steps:
    """A sleep that does not wait, and remembers what it was asked for."""

    def __init__(self, then: Callable[[float], None] = lambda _: None) -> None:
        self.waits: list[float] = []
        self._then = then

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._then(seconds)
