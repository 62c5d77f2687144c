"""Shards that are kept: the new listing is the very one that would be cut without them, and nothing is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import Manifest, MirroredFile
from mirror_sync.domain.content.snapshot import Document, Entry, Shard, cut_shards
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.scratch.file_table import FileTable
from tests.domain.files import listing_of, mirrored

FILES = 1500
Shards = dict[Shard, Document]


def path(number: int) -> str:
    """Some need an escape in a key, some one in JSON, too."""
    odd = "née " * (number % 7 == 0) + '"' * (number % 11 == 0)
    return f"box-{number // 40:03}/{odd}file-{number}.txt"


def file(number: int, body: bytes | None = None) -> MirroredFile:
    return mirrored(path(number), b"%d" % (number % 700) if body is None else body, lfs=number % 5 == 0)


MANY: Manifest = {path(number): file(number) for number in range(FILES)}


def cut(manifest: Mapping[str, MirroredFile]) -> Shards:
    return dict(cut_shards(listing_of(manifest)))


PUBLISHED = cut(MANY)


class Bucket:
    """Gives shards, and counts how often each was read."""

    def __init__(self, shards: Shards) -> None:
        self.bodies = {shard.digest: document.body for shard, document in shards.items()}
        self.reads = 0

    def read(self, shards: Sequence[Shard]) -> Iterable[bytes]:
        for shard in shards:
            self.reads += 1
            if shard.digest not in self.bodies:
                raise KeyMissing(shard.digest)
            yield self.bodies[shard.digest]


def wanted(manifest: Iterable[MirroredFile]) -> FileTable:
    table = FileTable()
    for one in manifest:
        table.add(one.promised)
    return table


def compared(manifest: Manifest, shards: Shards = PUBLISHED) -> tuple[FileTable, Bucket]:
    """A table that is planned beside shards, and of which all is fetched."""
    table, bucket = wanted(manifest.values()), Bucket(shards)
    table.compare_shards(shards, bucket.read)
    table.settle()
    table.landed([(number, manifest[one.path].sha256) for number, one in table.fetch()])
    return table, bucket


def beside_entries(manifest: Manifest) -> FileTable:
    table = wanted(manifest.values())
    table.compare(sorted(map(Entry.of, MANY.values())))
    table.settle()
    return table


edits = st.lists(
    st.tuples(st.sampled_from(["change", "remove", "add", "copy", "folder"]), st.integers(0, FILES - 1)), max_size=4
)


def edited(changes: Iterable[tuple[str, int]]) -> dict[str, MirroredFile]:
    found = dict(MANY)
    for what, number in changes:
        if what == "change":
            found[path(number)] = file(number, b"changed")
        elif what == "remove":
            found.pop(path(number), None)
        elif what == "folder":
            for one in [one for one in found if one.startswith(f"box-{number % 37:03}/")]:
                del found[one]
        else:
            own = b"added" if what == "add" else b"%d" % (number % 700)
            found[f"{path(number)}+"] = mirrored(f"{path(number)}+", own)
    return found


@settings(max_examples=8, deadline=None)
@given(edits)
def test_the_listing_is_the_very_one_that_is_cut_of_all_files(changes: list[tuple[str, int]]) -> None:
    after = edited(changes)
    table, _ = compared(after)
    found, whole = list(table.shards()), list(cut(after).items())
    assert [shard for shard, _ in found] == [shard for shard, _ in whole]
    for (_, made), (shard, document) in zip(found, whole, strict=True):
        assert made == document or (made is None and shard in PUBLISHED)
    assert sum(made is None for _, made in found) >= len(PUBLISHED) - 3 * len(changes)


@settings(max_examples=8, deadline=None)
@given(edits)
def test_the_plan_is_that_of_a_comparison_file_by_file(changes: list[tuple[str, int]]) -> None:
    after = edited(changes)
    table, _ = compared(after)
    plain = beside_entries(after)
    told = (table.to_fetch, table.leaving, table.removed, table.base_count)
    assert told == (plain.to_fetch, plain.leaving, plain.removed, plain.base_count)
    assert [one for _, one in table.fetch()] == [one for _, one in plain.fetch()]


READS: dict[str, Callable[[FileTable], object]] = {
    "files": lambda table: list(table.files()),
    "entries": lambda table: list(table.entries()),
    "by_path": lambda table: list(table.by_path()),
    "find": lambda table: table.find(path(FILES - 1)),
    "git_pairs": lambda table: {oid: own for page in table.git_pairs() for oid, own in page.items()},
}


@pytest.mark.parametrize("read", READS)
def test_whatever_is_read_of_a_file_in_a_kept_shard_is_there(read: str) -> None:
    after = edited([("change", 5)])
    table, _ = compared(after)
    plain = wanted(after.values())
    plain.settle()
    plain.landed([(number, after[one.path].sha256) for number, one in plain.fetch()])
    assert READS[read](table) == READS[read](plain)
    assert READS[read](table) == READS[read](plain), "once more"


def test_a_kept_shard_is_read_once_unless_somebody_asks_for_its_digests() -> None:
    table, bucket = compared(edited([("change", 5)]))
    for ask in (table.shards, table.names, table.paths, table.new_git_pairs):
        list(ask())
    assert bucket.reads == len(PUBLISHED)
    list(table.sample_of_git_pairs())
    assert bucket.reads <= len(PUBLISHED) + 8
    list(table.files())
    assert bucket.reads <= 2 * len(PUBLISHED) + 8


def test_a_sample_of_what_is_kept_is_never_empty() -> None:
    table, _ = compared(edited([]))
    sample = {oid: own for page in table.sample_of_git_pairs() for oid, own in page.items()}
    assert sample
    assert sample.items() <= {one.oid: one.sha256 for one in MANY.values()}.items()


def test_the_digest_of_a_copy_comes_from_the_kept_shard_that_has_its_like() -> None:
    table, _ = compared(edited([("copy", 17), ("copy", 1303)]))
    assert table.to_fetch == (0, 0)
    assert table.find(f"{path(17)}+") == mirrored(f"{path(17)}+", b"17")


def told(one: Shard, body: bytes) -> Shards:
    """What is published, with other bytes in the place of a shard."""
    return {
        (replace(one, digest=Sha256.of(body)) if shard == one else shard): document
        for shard, document in PUBLISHED.items()
    } | {replace(one, digest=Sha256.of(body)): Document.of(body)}


OTHERS: dict[str, Callable[[list[dict[str, object]]], object]] = {
    "another git id": lambda entries: entries[1].update(oid="0" * 40),
    "another size": lambda entries: entries[1].update(size=77),
    "another path": lambda entries: entries[1].update(path=f"{entries[1]['path']}x"),
    "a file less": lambda entries: entries.pop(1),
    "a file twice": lambda entries: entries.insert(1, entries[1]),
    "a key more": lambda entries: entries[1].update(more="x"),
    "two digests": lambda entries: entries[1].update({"sha256 ": "0" * 64}),
}


@pytest.mark.parametrize("how", OTHERS)
def test_a_shard_that_says_anything_else_is_not_kept(how: str) -> None:
    one = next(islice(PUBLISHED, 2, None))
    entries = json.loads(PUBLISHED[one].body)
    OTHERS[how](entries)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
    shards = told(one, f"[\n{lines}\n]\n".encode())
    table = wanted(MANY.values())
    try:
        table.compare_shards(shards, Bucket(shards).read)
    except DocumentError:
        return  # then the snapshot is none to compare with
    table.settle()
    table.landed([(number, MANY[found.path].sha256) for number, found in table.fetch()])
    assert [shard for shard, _ in table.shards()] == list(PUBLISHED)
    assert [shard for shard, document in table.shards() if document is not None] == [one]


def test_a_digest_of_lfs_that_the_shard_alone_says_is_not_kept() -> None:
    one = next(shard for shard, document in PUBLISHED.items() if b'"lfs"' in document.body)
    entry = next(entry for entry in json.loads(PUBLISHED[one].body) if "lfs" in entry)
    body = PUBLISHED[one].body.replace(b'"sha256":"%s"' % entry["sha256"].encode(), b'"sha256":"%s"' % (b"0" * 64))
    shards = told(one, body)
    table, _ = compared(MANY, shards)
    assert one in [shard for shard, _ in table.shards()]


@pytest.mark.parametrize(
    ("shards", "why"),
    [
        ([*reversed(PUBLISHED)], "not in order|not as its root says"),
        ([replace(shard, first=f"{shard.first}x") for shard in PUBLISHED], "not as its root says"),
    ],
)
def test_a_root_that_says_otherwise_where_its_shards_begin_is_not_compared_with(shards: list[Shard], why: str) -> None:
    table = wanted(edited([("change", number) for number in range(0, FILES, 50)]).values())
    with pytest.raises(DocumentError, match=why):
        table.compare_shards(shards, Bucket(PUBLISHED).read)


def test_a_shard_that_is_not_there_ends_the_comparison_and_the_next_one_begins_anew() -> None:
    bucket, table = Bucket(PUBLISHED), wanted(MANY.values())
    bucket.bodies.pop(next(islice(PUBLISHED, 4, None)).digest)
    with pytest.raises(KeyMissing):
        table.compare_shards(PUBLISHED, bucket.read)
    table.compare(())
    table.settle()
    assert table.to_fetch[0] == len({one.content for one in MANY.values()})
    assert GitOid.of_blob(b"1") in {one.oid for _, one in table.fetch()}
