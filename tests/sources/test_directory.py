"""DirectorySource: folders as an upstream, with ids made from content and no way out of its root."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.events import Event
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import (
    NotFoundOrPrivate,
    PointerOnly,
    RevisionNotFound,
    Unreachable,
    UnsafePath,
    UpstreamError,
)
from mirror_sync.sources.directory.folder import open_file
from mirror_sync.sources.directory.folders import DirectorySource, _Snapshot
from mirror_sync.sources.wrappers.retrying import RetryingSource, RetryPolicy
from tests.sources.reading import FILES, TINY, fetched, fill_directory, listed, published
from tests.stores.places import in_child
from tests.unprivileged import become_nobody, forget_errors, give_to_nobody


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill_directory(tmp_path / "in")
    return tmp_path / "in"


def card(root: Path, text: str) -> dict[str, object]:
    (root / "acme/tiny/README.md").write_text(text)
    return dict(DirectorySource(root).resolve(TINY, "main").described["cardData"])


def test_the_commit_id_is_the_documented_formula(root: Path) -> None:
    lines = "".join(
        f"{path}\0{content.size}\0{content.sha256}\n"
        for path, content in sorted(FILES.items(), key=lambda item: item[0].encode())
    )
    commit = DirectorySource(root).resolve(TINY, "main").commit
    assert commit == hashlib.sha256(lines.encode()).hexdigest()[:40]


def test_equal_folders_have_equal_ids_whatever_their_times(root: Path, tmp_path: Path) -> None:
    fill_directory(tmp_path / "copy")
    for place in (tmp_path / "copy").rglob("*"):
        os.utime(place, (1, 1))
    first, second = (DirectorySource(folder).resolve(TINY, "main") for folder in (root, tmp_path / "copy"))
    assert first.commit == second.commit


def test_a_change_of_one_byte_is_another_commit(root: Path) -> None:
    source = DirectorySource(root)
    before, files = published(source)
    (root / "acme/tiny/config.json").write_bytes(b'{"hidden_size": 9}')
    os.utime(root / "acme/tiny/config.json", ns=(1, 1))
    assert source.resolve(TINY, "main").commit != before
    with pytest.raises(RevisionNotFound, match="has changed"):
        [*source.list(TINY, before)]
    with pytest.raises(RevisionNotFound, match="has changed"):
        fetched(source, TINY, before, files["config.json"])


def test_a_file_that_grows_while_we_read_is_no_answer(root: Path) -> None:
    source = DirectorySource(root)
    commit, files = published(source)
    with (root / "acme/tiny/config.json").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(Unreachable, match="has changed"):
        fetched(source, TINY, commit, files["config.json"])


def test_a_file_that_shrinks_while_we_read_is_no_answer(root: Path) -> None:
    source = DirectorySource(root)
    commit, files = published(source)
    name = "sub/model.safetensors"
    with source.fetch(TINY, commit, files[name]) as stream:
        stream.readinto(memoryview(bytearray(10)))
        os.truncate(root / "acme/tiny" / name, 20)
        buffer = memoryview(bytearray(100))
        stream.readinto(buffer)
        with pytest.raises(Unreachable, match="early"):
            stream.readinto(buffer)


def test_an_unchanged_file_is_hashed_once(root: Path) -> None:
    source = DirectorySource(root)
    before = source.resolve(TINY, "main").commit
    place = root / "acme/tiny/config.json"
    times = place.stat()
    place.write_bytes(b"x" * times.st_size)
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert source.resolve(TINY, "main").commit == before  # size, time and inode say that nothing has changed
    assert DirectorySource(root).resolve(TINY, "main").commit != before


def test_large_files_have_the_pointer_that_git_lfs_would_write(root: Path) -> None:
    _, files = published(DirectorySource(root))
    large = files["sub/model.safetensors"]
    digest = Sha256(FILES["sub/model.safetensors"].sha256)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {large.size}\n".encode()
    blob = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()
    assert (large.oid, large.pointer_size) == (blob, len(pointer))


def test_traces_of_tools_are_left_out_and_dot_files_are_not(root: Path) -> None:
    for name in (".git/config", ".cache/huggingface/x", "sub/.git/config", ".gitattributes"):
        place = root / "acme/tiny" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    _, files = published(DirectorySource(root))
    assert files.keys() - FILES.keys() == {".gitattributes"}


def pointer(body: bytes, end: str = "\n") -> bytes:
    lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{Sha256.of(body)}", f"size {len(body)}", "")
    return end.join(lines).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_lfs_pointer_is_the_file_that_it_stands_for_and_has_no_bytes_to_give(root: Path, end: str) -> None:
    name = "sub/model.safetensors"
    before, files = published(DirectorySource(root))
    (root / "acme/tiny" / name).write_bytes(pointer(FILES[name].read(), end))
    source = DirectorySource(root)
    commit, cloned = published(source)
    assert commit == before
    assert cloned == {**files, name: replace(files[name], pointer_only=True)}
    with pytest.raises(PointerOnly, match=f"{name} is an LFS pointer, and what it stands for is not there"):
        fetched(source, TINY, commit, files[name])
    assert fetched(source, TINY, commit, files["config.json"]) == FILES["config.json"].read()


@pytest.mark.parametrize(
    "body",
    [
        pointer(b"x")[:-2] + b"\n",
        pointer(b"x") + b"more\n",
        b"# " + pointer(b"x"),
        pointer(b"x").replace(b"sha256", b"md5"),
        pointer(b"x").replace(b"size 1", b"size 1" + b"0" * 30),
    ],
)
def test_what_only_looks_like_a_pointer_is_what_it_is(root: Path, body: bytes) -> None:
    (root / "acme/tiny/config.json").write_bytes(body)
    source = DirectorySource(root)
    commit, files = published(source)
    assert fetched(source, TINY, commit, files["config.json"]) == body


def test_the_leavings_of_downloads_are_no_content_and_the_first_of_them_are_named(root: Path) -> None:
    names = (
        *("model.bin", "model.bin.aria2", "sub/part.safetensors.incomplete", "sub/.lock", ".msc", ".mdl", ".mv"),
        *("._____temp/acme/model.bin", ".hfd/urls", ".cache/huggingface/download/model.bin.ab12.incomplete"),
    )
    content = {"poetry.lock", "aria2", "incomplete.txt", "model.bin2"}
    for name in (*names, *content):
        place = root / "acme/tiny" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("half")
    source = DirectorySource(root)
    assert published(source)[1].keys() - FILES.keys() == content
    named = ".cache/huggingface/download/model.bin.ab12.incomplete, model.bin, model.bin.aria2 and 7 more"
    assert source.resolve(TINY, "main").remark == f"left out, as the leavings of downloads: {named}"
    assert not source.resolve(Repo.parse("acme/second"), "main").remark


@pytest.mark.parametrize("name", ["README.md.aria2", "README.md"])
def test_a_card_that_is_not_there_whole_is_not_one_that_states_nothing(root: Path, name: str) -> None:
    (root / "acme/tiny" / name).write_bytes(pointer(b"---\nlicense: mit\n---\n"))
    terms = DirectorySource(root).resolve(TINY, "main").terms
    assert not terms.licenses
    assert "README.md is not there whole" in terms.unread


def test_a_link_within_the_root_is_read_as_its_file(root: Path) -> None:
    (root / "acme/tiny/link.json").symlink_to("../second/config.json")
    source = DirectorySource(root)
    commit, files = published(source)
    assert fetched(source, TINY, commit, files["link.json"]) == b"{}"


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../outside", "../second", "nothing", "link"])
def test_a_link_that_leads_elsewhere_is_refused(root: Path, target: str) -> None:
    (root.parent / "outside").write_text("secret")
    (root / "acme/tiny/link").symlink_to(target)
    with pytest.raises(UnsafePath, match="link"):
        DirectorySource(root).resolve(TINY, "main")


def test_a_repo_that_is_a_link_out_of_the_root_is_refused(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root / "acme/linked").symlink_to(root.parent / "outside")
    with pytest.raises(UnsafePath, match="link"):
        DirectorySource(root).resolve(Repo.parse("acme/linked"), "main")


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "acme/tiny/pipe")
    assert "pipe" not in published(DirectorySource(root))[1]


def test_a_pipe_in_the_place_of_a_card_is_not_waited_for(root: Path) -> None:
    (root / "acme/tiny/README.md").unlink()
    os.mkfifo(root / "acme/tiny/README.md")
    assert in_child(_resolve, root) == ""


def _resolve(answers: Connection, root: Path) -> None:
    answers.send(_licence(root))


@pytest.mark.parametrize("name", ["config.json", "sub/model.safetensors"])
def test_a_pipe_in_the_place_of_a_file_that_was_listed_is_not_waited_for(root: Path, name: str) -> None:
    assert in_child(_fetch_from_a_pipe, root, name) == "FileNotFound"


def _fetch_from_a_pipe(answers: Connection, root: Path, name: str) -> None:
    source = DirectorySource(root)
    commit, files = published(source)
    (root / "acme/tiny" / name).unlink()
    os.mkfifo(root / "acme/tiny" / name)
    try:
        answers.send(repr(fetched(source, TINY, commit, files[name])))
    except UpstreamError as error:
        answers.send(type(error).__name__)


def test_only_a_file_is_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for place in (root / "pipe", root / "nothing", Path("/dev/null")):
        with pytest.raises(FileNotFoundError):
            open_file(place)
    with pytest.raises(IsADirectoryError):
        open_file(root)


@pytest.mark.parametrize("link", [".cache", ".cache/huggingface", ".cache/huggingface/download"])
def test_a_link_on_the_way_to_what_a_download_left_is_not_followed(root: Path, link: str) -> None:
    """Whatever it leads to: names are told in reports."""
    within = ".cache/huggingface/download".removeprefix(link).strip("/")
    for elsewhere in (root.parent / "outside", root / "acme/second/inside"):
        (elsewhere / within).mkdir(parents=True)
        (elsewhere / within / "private.incomplete").touch()
        place = root / "acme/tiny" / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(elsewhere)
        assert DirectorySource(root).resolve(TINY, "main").remark == ""


def test_a_name_that_is_not_text_is_refused(root: Path) -> None:
    (root / "acme/tiny" / os.fsdecode(b"\xff\xfe")).write_text("x")
    with pytest.raises(UnsafePath, match="Unicode"):
        DirectorySource(root).resolve(TINY, "main")


@pytest.mark.parametrize("name", ["datasets/acme", "tiny", "acme"])
def test_a_folder_that_is_no_repo_is_not_found(root: Path, name: str) -> None:
    with pytest.raises(NotFoundOrPrivate):
        DirectorySource(root).resolve(Repo.parse(name), "main")


def test_a_disk_that_is_not_there_is_no_answer_and_is_asked_for_once(root: Path) -> None:
    told: list[Event] = []
    waited: list[float] = []
    base = DirectorySource(root / "unmounted")
    source = RetryingSource(base, RetryPolicy(), told.append, waited.append, lambda: 0.0)
    for verb in (lambda: source.resolve(TINY, "main"), lambda: [*source.search(RepoPattern.parse("acme/*"))]):
        with pytest.raises(Unreachable, match="mounted"):
            verb()
    assert (told, waited) == ([], [])


def test_folders_that_cannot_be_repos_are_not_found_by_a_glob(root: Path) -> None:
    for name in (".hidden", "two words", "a--b"):
        (root / "acme" / name).mkdir()
    found = [each.queried.id for each in listed(DirectorySource(root), "acme/*")]
    assert found == ["acme/second", "acme/tiny"]


def test_the_licence_is_read_from_the_card(root: Path) -> None:
    (root / "acme/tiny/README.md").write_text(
        "---\nlicense: other\nlicense_name: Own-1\nlicense_link: LICENSE\ndate: 2026-01-01\n---\n"
    )
    found = DirectorySource(root).resolve(TINY, "main")
    assert found.terms.licenses == {"other:own-1"}
    assert found.terms.link == "LICENSE"
    assert found.described["cardData"]["date"] == "2026-01-01"


@pytest.mark.parametrize("text", ["", "# Tiny", "---\n\n---\n"])
def test_text_that_is_no_card_states_nothing(root: Path, text: str) -> None:
    assert card(root, text) == {}
    assert not DirectorySource(root).resolve(TINY, "main").terms.unread


@pytest.mark.parametrize(
    "value",
    [
        f"1{':1' * 300}.0",
        f"1{':1' * 9000}",
        "9" * 5000,
        '"\\ud800"',
        "2026-13-45",
        '!!int ""',
        "!!bool x",
        "!!timestamp x",
        "!!binary é",
        "[" * 300,
        "[" * 300 + "]" * 300,
        "{[a]: b}",
        "!!python/object:os.system x",
    ],
    ids=lambda value: value[:20],
)
def test_a_card_that_cannot_be_read_is_not_one_that_states_nothing(root: Path, value: str) -> None:
    assert card(root, f"---\nlicense: mit\nx: {value}\n---\n") == {}
    unread = DirectorySource(root).resolve(TINY, "main").terms.unread
    assert unread.startswith("README.md: ")
    assert unread.isprintable()


@pytest.mark.parametrize(("modified", "year"), [(1e12, "9999"), (-1e10, "1970"), (1e9, "2001")])
def test_a_file_of_any_age_has_a_date_that_can_be_written(modified: float, year: str) -> None:
    assert _Snapshot(CommitId("b" * 40), modified).date.startswith(year)  # few file systems keep such times


@pytest.mark.parametrize("closed", ["acme", "acme/tiny", "acme/tiny/README.md"])
def test_what_may_not_be_read_is_not_what_is_not_there(root: Path, closed: str) -> None:
    """In a process that is not root, which may read everything."""
    (root / "acme/tiny/README.md").write_text("---\nlicense: mit\n---\n")
    give_to_nobody(root.parent)
    before, after = in_child(_resolve_open_and_closed, root, closed)
    assert before == "mit"
    assert re.fullmatch(r"FolderUnreadable: in/acme.*: cannot be read: Permission denied", after)


def _resolve_open_and_closed(answers: Connection, root: Path, closed: str) -> None:
    """Paths are relative: the folders above the test's may be closed to others."""
    os.chdir(root.parent)
    become_nobody()
    here = Path(root.name)
    said = [_licence(here)]
    (here / closed).chmod(0)
    said.append(_licence(here))
    (here / closed).chmod(0o700)
    answers.send(said)


def test_what_may_be_listed_and_not_looked_at_is_not_left_out(root: Path) -> None:
    """Whatever pathlib says of it: from Python 3.14 on it says that there is no file."""
    (root / "acme/tiny/link.json").symlink_to("../second/config.json")
    (root / "acme/tiny/.cache/huggingface/download").mkdir(parents=True)
    give_to_nobody(root.parent)
    for closed, said in in_child(_resolve_without_looking, root).items():
        assert re.fullmatch(r"FolderUnreadable: in/acme.*: cannot be read: Permission denied", said), closed


def _resolve_without_looking(answers: Connection, root: Path) -> None:
    os.chdir(root.parent)
    become_nobody()
    forget_errors()
    here, said = Path(root.name), {}
    for place, mode in {
        "acme/tiny": 0o600,
        "acme/tiny/sub": 0o600,
        "acme/second": 0o600,  # where a link leads
        "acme/tiny/.cache/huggingface/download": 0,
        "acme": 0o600,
    }.items():
        (here / place).chmod(mode)
        said[place] = _licence(here)
        (here / place).chmod(0o700)
    answers.send(said)


def _licence(root: Path) -> str:
    try:
        return ", ".join(DirectorySource(root).resolve(TINY, "main").terms.card)
    except UpstreamError as error:
        return f"{type(error).__name__}: {error}"


def test_a_name_that_no_disk_can_hold_is_no_answer_about_the_repo(root: Path) -> None:
    long = root / ("x" * 300)
    with pytest.raises(Unreachable, match="cannot be read"):
        DirectorySource(long).resolve(TINY, "main")


def test_a_folder_that_cannot_be_read_does_not_hide_the_others_of_its_owner(root: Path) -> None:
    (root / "acme/tiny/link").symlink_to("/etc/hostname")
    good, bad = DirectorySource(root).search(RepoPattern.parse("acme/*"))
    assert bad == TINY
    assert isinstance(good, Resolved)
    assert good.queried.id == "acme/second"


def test_a_folder_without_a_card_states_nothing(root: Path) -> None:
    assert DirectorySource(root).resolve(Repo.parse("other/third"), "main").terms.licenses == frozenset()


def test_what_a_reader_of_the_stream_raises_is_its_own(root: Path) -> None:
    source = DirectorySource(root)
    commit, files = published(source)
    with pytest.raises(OSError, match="disk full"), source.fetch(TINY, commit, files["config.json"]):
        raise OSError("disk full")


def test_a_file_that_changed_in_secret_is_read_again_once_its_bytes_proved_wrong(root: Path) -> None:
    place = root / "acme/tiny/config.json"
    source, before = DirectorySource(root), place.stat()
    commit, files = published(source)
    place.write_bytes(place.read_bytes().replace(b"8", b"9"))
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert b"9" in fetched(source, TINY, commit, files["config.json"])
    source.distrust(TINY, commit, files["config.json"])
    with pytest.raises(RevisionNotFound, match="has changed"):
        fetched(source, TINY, commit, files["config.json"])
