"""The files of a commit beside what is published of it: laws of the plan, and that a table says what dicts would."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import Manifest, MirroredFile, RemoteFile
from mirror_sync.domain.content.snapshot import Entry, cut_shards, info_pieces
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import BadAnswer, DocumentError, UnsafePath
from mirror_sync.scratch.file_table import FileTable, ManifestView
from mirror_sync.scratch.scratch_table import PAGE
from tests.domain.files import desired_of, listing_of, manifest_of, mirrored, remote, trees

Tree = dict[str, tuple[bytes, bool]]


def planned(current: Manifest, desired: Iterable[RemoteFile]) -> FileTable:
    """A table as far as it is planned; two names that no disk holds both are not looked at here."""
    table = FileTable()
    for file in desired:
        table.add(file)
    table.compare(sorted(Entry.of(file) for file in current.values()))
    try:
        table.settle()
    except UnsafePath:
        assume(condition=False)
    return table


def carry_out(table: FileTable, truth: Manifest) -> None:
    """Fetch what the plan says."""
    by_path = {number: truth[file.path].sha256 for number, file in table.fetch()}
    table.landed(by_path.items())


def joined(pages: Iterable[Mapping[GitOid, Sha256]]) -> dict[GitOid, Sha256]:
    return {oid: digest for page in pages for oid, digest in page.items()}


def fetch(table: FileTable) -> list[RemoteFile]:
    return [file for _, file in table.fetch()]


@given(trees, trees)
def test_carrying_out_a_plan_gives_what_was_desired(a: Tree, b: Tree) -> None:
    table = planned(manifest_of(a), desired_of(b))
    assert sorted(table.listed()) == sorted(b), "also before anything of it is there"
    carry_out(table, manifest_of(b))
    assert {file.path: file for file in table.files()} == manifest_of(b)
    assert dict(ManifestView(table)) == manifest_of(b)
    assert (table.count, table.size) == (len(b), sum(len(body) for body, _ in b.values()))
    assert [entry.path for entry in table.by_path()] == list(table.paths()) == sorted(b)
    assert list(table.entries()) == listing_of(manifest_of(b))
    pairs = {file.oid: file.sha256 for file in manifest_of(b).values() if file.pointer_size is None}
    assert joined(table.git_pairs()) == pairs
    same = {file.oid for path, file in manifest_of(b).items() if manifest_of(a).get(path) == file}
    assert joined(table.new_git_pairs()).keys() >= pairs.keys() - same
    assert joined(table.sample_of_git_pairs()).keys() <= same


@given(trees, trees, st.data())
def test_what_the_target_holds_is_never_fetched(a: Tree, b: Tree, data: st.DataObject) -> None:
    table = planned(manifest_of(a), desired_of(b))
    published = {file.content for file in manifest_of(a).values()}
    digests = {file.content: file.sha256 for file in manifest_of(b).values()}
    lacking = [pair for page in table.lacking() for pair in page]
    assert {content for _, content in lacking} == digests.keys() - published
    present = {number: content for number, content in lacking if data.draw(st.booleans(), str(content))}
    table.found((number, digests[content]) for number, content in present.items())
    assert {file.content for file in fetch(table)} == digests.keys() - published - set(present.values())
    assert table.to_fetch == (len(fetch(table)), sum(file.size for file in fetch(table)))
    carry_out(table, manifest_of(b))
    assert {file.path: file for file in table.files()} == manifest_of(b)
    assert set(table.unreferenced()) == {digest for content, digest in digests.items() if content not in published}


@given(trees)
def test_nothing_is_done_when_nothing_changed(a: Tree) -> None:
    table = planned(manifest_of(a), desired_of(a))
    assert (fetch(table), table.leaving, table.removed, list(table.unreferenced())) == ([], (0, 0), 0, [])


@given(trees, trees)
def test_what_leaves_and_what_is_removed_is_what_two_dicts_say(a: Tree, b: Tree) -> None:
    table, before, after = planned(manifest_of(a), desired_of(b)), manifest_of(a), manifest_of(b)
    leaving = [file for path, file in before.items() if path not in after]
    assert table.leaving == (len(leaving), sum(file.size for file in leaving))
    promises = {file.promise for file in after.values()}
    assert table.removed == sum(file.promise not in promises for file in leaving)
    assert table.base_count == len(before)


@given(trees, trees, trees)
def test_a_comparison_may_be_made_again_with_another_snapshot(a: Tree, b: Tree, c: Tree) -> None:
    table = FileTable()
    for file in desired_of(b):
        table.add(file)
    table.compare(sorted(map(Entry.of, manifest_of(c).values())))
    table.compare(sorted(map(Entry.of, manifest_of(a).values())))
    try:
        table.settle()
    except UnsafePath:
        assume(condition=False)
    fresh = planned(manifest_of(a), desired_of(b))
    assert (fetch(table), table.leaving, table.removed) == (fetch(fresh), fresh.leaving, fresh.removed)


def test_a_rename_fetches_nothing() -> None:
    table = planned(manifest_of({"old": (b"x", False)}), desired_of({"new": (b"x", False)}))
    assert (fetch(table), table.leaving, table.removed) == ([], (1, 1), 0)


def test_a_copy_of_a_published_file_fetches_nothing() -> None:
    both = {"a": (b"x", False), "b": (b"x", False)}
    table = planned(manifest_of({"a": (b"x", False)}), desired_of(both))
    assert fetch(table) == []
    assert {file.path: file for file in table.files()} == manifest_of(both)


def test_equal_contents_of_one_commit_are_fetched_once() -> None:
    assert len(fetch(planned({}, [remote("a", b"same"), remote("b", b"same")]))) == 1


def test_of_equal_contents_the_one_whose_bytes_are_there_is_fetched() -> None:
    whole = mirrored("b", b"same", lfs=True)
    lacking = replace(whole.promised, path="a", pointer_only=True)
    for desired in ([lacking, whole.promised], [whole.promised, lacking]):
        assert fetch(planned({}, desired)) == [whole.promised]
        assert list(planned({}, desired).fetch_without_bytes()) == []
    assert [file for _, file in planned({}, [lacking]).fetch_without_bytes()] == [lacking]


def test_a_file_that_was_neither_here_nor_fetched_is_in_no_listing() -> None:
    table = planned({}, [remote("a", b"x")])
    for read in (table.files, table.entries, table.by_path):
        with pytest.raises(KeyError):
            list(read())


def test_a_held_digest_that_is_promised_with_another_size_is_not_taken_for_the_same() -> None:
    held = mirrored("a", b"hello", lfs=True)
    lie = RemoteFile("a", 7, held.oid, held.sha256, held.pointer_size)
    assert fetch(planned({"a": held}, [lie])) == [lie]


@pytest.mark.parametrize("lfs", [True, False])
@pytest.mark.parametrize("published", [True, False])
def test_one_digest_with_two_sizes_is_refused_with_both_places(lfs: bool, published: bool) -> None:
    true = mirrored("a", b"hello", lfs=lfs)
    lie = replace(true.promised, path="b\n", size=7)
    with pytest.raises(BadAnswer, match=r"with two sizes: 5 bytes at 'a' and 7 at 'b\\n'"):
        planned({"a": true} if published else {}, [true.promised, lie])


@pytest.mark.parametrize("between", [0, PAGE])
def test_a_path_that_is_listed_twice_is_refused(between: int) -> None:
    with pytest.raises(BadAnswer, match="lists 'b' twice"):
        planned({}, [remote("b", b"1"), *(remote(f"c{at}", b"") for at in range(between)), remote("b", b"22")])


def test_a_name_that_is_a_file_and_a_folder_is_refused() -> None:
    table = FileTable()
    for path in ("a/b/c", "a/b", "d"):
        table.add(remote(path, b""))
    with pytest.raises(UnsafePath, match="'a/b': is a file and a folder at once"):
        table.settle()


def test_a_published_listing_that_is_out_of_order_is_not_compared_with() -> None:
    table = FileTable()
    table.add(remote("a", b""))
    with pytest.raises(DocumentError, match="not in order: 'a' after 'b'"):
        table.compare(Entry.of(mirrored(path, b"")) for path in "ba")


def test_sizes_beyond_all_sums_are_summed() -> None:
    largest = 2**63 - 1
    table = planned({}, [replace(remote(path, path.encode()), size=largest) for path in "abc"])
    assert table.to_fetch == (3, 3 * largest)
    with pytest.raises(BadAnswer, match="which no file has"):
        table.add(replace(remote("d", b""), size=largest + 1))


def many(count: int) -> Iterable[MirroredFile]:
    return (mirrored(f"folder-{number // 500:05}/file-{number:07}.txt", b"%d" % number) for number in range(count))


def peak(count: int) -> int:
    """Bytes of Python's that a first publication of so many files, and one beside it, hold at the most."""
    tracemalloc.start()
    try:
        table, other = FileTable(), FileTable()
        for file in many(count):
            table.add(file.promised)
            other.add(file.promised)
        table.settle()
        for page in table.lacking():
            table.found((number, Sha256.of(content.promise.encode())) for number, content in page)
        shards = sum(1 for _ in cut_shards(table.entries()))
        pieces = sum(1 for _ in info_pieces({}, table.names()))
        assert (shards > 1, pieces > 1) == (True, True)
        other.compare(map(Entry.of, table.files()))
        other.settle()
        assert (other.to_fetch, other.leaving) == ((0, 0), (0, 0))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_nothing_is_held_of_each_file() -> None:
    """What SQLite holds is bounded by its cache; this counts what Python does."""
    few, more = peak(4000), peak(16000)
    assert more - few < 12000 * 16  # bytes: nothing that has a name takes so little
