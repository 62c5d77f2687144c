"""The files of one commit beside what is published of the repo: what stays, what is here, what has to be fetched.

    files     every wanted file, by its key in a listing; of those that the published snapshot has too, the digest
    folders   the folders that they lie in
    gone      published files whose path leaves, or has another content now
    contents  each content of all other files once: the plan

They are filled in this order: `add`, `compare` or `compare_shards` where something is published, `settle`, `found`,
`landed`. Then `files` and `entries` give the whole snapshot in the order of its listing, `by_path` in that of its
paths. Files in shards that are kept as they are have no digest here: it is read from these when it is asked for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mirror_sync.domain.content.manifest import Content, MirroredFile, RemoteFile
from mirror_sync.domain.content.snapshot import (
    Document,
    Entry,
    Shard,
    cut_shards,
    joined,
    path_of,
    read_entries,
    sibling_of,
    sort_key,
)
from mirror_sync.domain.digest import GitOid, Promise, Sha256
from mirror_sync.errors import BadAnswer, DocumentError, UnsafePath
from mirror_sync.scratch.kept_shards import (
    END,
    TEXT,
    ReadShards,
    Stretch,
    between,
    files_in,
    lines_in,
    may_be_kept,
    promises,
    shards_in_order,
)
from mirror_sync.scratch.scratch_table import PAGE, ScratchTable
from mirror_sync.scratch.unnamed import scratch_errors

_LARGEST = 2**63 - 1  # bytes of a file: SQLite counts no further
_SHA256 = 32  # bytes
_NO_DIGEST = bytes(_SHA256)  # in its place until it is known: a row that grew would have to be moved

_SHARDS = 16  # that are read at once
_SAMPLE = 4  # shards

# States of a file: the published snapshot has another content under its path, or none; the same; the same, in a shard
# that is kept. As the last they are put, since of most nothing has to be changed then.
_OTHER, _SAME, _KEPT = 0, 1, 2
_LACKING, _HELD, _PRESENT, _LANDED = 0, 1, 2, 3  # of a content: nowhere; in the snapshot; in the target; fetched

_PROMISE = "ifnull(f.sha256, f.oid)"
_DIGEST = f"""CASE f.state WHEN {_SAME} THEN f.digest ELSE (
    SELECT c.digest FROM contents c WHERE c.promise = {_PROMISE} AND c.size = f.size AND c.state <> {_LACKING}
) END"""
_PROVED = f"SELECT f.key, f.size, f.oid, {_DIGEST}, f.pointer_size FROM files f"
_FETCHED = f"state IN ({_LACKING}, {_LANDED})"
_SUM = "count(*), ifnull(sum(size >> 32), 0), ifnull(sum(size & 4294967295), 0)"  # one sum would end at 2^63


class FileTable(ScratchTable):
    """Safe for many threads; what was added, compared and settled is not added to. Raises StoreError for its disk."""

    def __init__(self) -> None:
        super().__init__()
        self.count = self.base_count = 0
        self.empty()

    def empty(self) -> None:
        """Forget all that was added."""
        self.close()
        self._rows: list[tuple[Any, ...]] = []
        self._folder = ""
        self.count = self.size = 0  # of all files: their number, and their bytes
        self.base_count = 0  # files of the snapshot that it was compared with
        self._compared = self._lacks_bytes = False
        self._kept: list[Stretch] = []  # in their order
        self._read_shards: ReadShards = _nothing
        self._unread = False  # whether digests have still to be read from what is kept

    def close(self) -> None:
        """Give memory and disk back; a small one is emptied, and kept for the next."""
        self.give_back(keep=self.count + self.base_count <= PAGE)

    def __del__(self) -> None:
        self.close()

    def add(self, file: RemoteFile) -> None:
        """A wanted file. BadAnswer for one that is listed twice, at the latest by `settle`."""
        if file.size > _LARGEST:
            raise BadAnswer(f"the upstream lists {file.path!a} with {file.size} bytes, which no file has")
        key = sort_key(file.path)
        oid, sha256 = bytes.fromhex(file.oid), None if file.sha256 is None else bytes.fromhex(file.sha256)
        self._rows.append((key, file.size, oid, sha256, file.pointer_size, file.pointer_only))
        self._lacks_bytes = self._lacks_bytes or file.pointer_only
        self.count += 1
        self.size += file.size
        if len(self._rows) >= PAGE:
            self._flush()

    def compare(self, published: Iterable[Entry]) -> None:
        """Lay the files of a published snapshot beside those that were added. It may be called again, for another one.

        DocumentError where they do not come in the order of their keys, and what their reading raises.
        """
        self._begin_comparison()
        self._lay_beside(published, Stretch("", END))

    def compare_shards(self, shards: Iterable[Shard], read: ReadShards) -> None:
        """The same with its shards: one of which nothing has changed is kept. `read` may be asked for it later, too."""
        self._begin_comparison()
        self._read_shards = read
        behind = ""
        for stretch, body in shards_in_order(shards, read, _SHARDS):
            behind = stretch.after
            if self._is_kept(stretch, body):
                self._kept.append(stretch)
                self.base_count += files_in(body)
            else:
                self._lay_beside(read_entries(body), stretch)
        if not behind:
            self._lay_beside((), Stretch("", END))
        self._unread = bool(self._kept)

    def _begin_comparison(self) -> None:
        self._flush()
        if self._compared:
            self._do(f"UPDATE files SET state = {_KEPT} WHERE state <> {_KEPT}")
            self._do("DELETE FROM gone")
        self._compared, self._kept, self._unread, self.base_count = True, [], False, 0

    def _is_kept(self, stretch: Stretch, body: bytes) -> bool:
        text = promises(body)
        if not text:
            return False
        first, wanted = self._row(TEXT, (stretch.first, stretch.after, lines_in(text) + 1))
        return wanted == text and may_be_kept(stretch, first, self._first_from(stretch.after))

    def _first_from(self, key: str) -> str | None:
        """The first of all keys that are not before this one."""
        first = self._row(
            "SELECT min(key) FROM (SELECT min(key) AS key FROM files WHERE key >= ?1 "
            "UNION ALL SELECT min(key) FROM folders WHERE key >= ?1)",
            (key,),
        )
        return None if first is None else first[0]

    def _lay_beside(self, published: Iterable[Entry], stretch: Stretch) -> None:
        """These are all that are published of a stretch."""
        whole = stretch.first, stretch.after
        self._do(f"UPDATE files SET state = {_OTHER} WHERE key >= ? AND key < ?", whole)
        verdicts = self._laid_beside(published, *whole)
        while page := [*islice(verdicts, PAGE)]:
            self.base_count += len(page)
            same = [(digest, key) for key, _, _, digest, state in page if state == "same"]
            gone = [
                (promise, size, digest, state == "leaves")
                for _, promise, size, digest, state in page
                if state != "same"
            ]
            self._do_all(f"UPDATE files SET state = {_SAME}, digest = ? WHERE key = ?", same)
            self._do_all("INSERT INTO gone VALUES (?, ?, ?, ?)", gone)

    def _laid_beside(
        self, published: Iterable[Entry], first: str, after: str
    ) -> Iterator[tuple[str, bytes, int, bytes, str]]:
        pages = self._pages(f"SELECT f.key, f.size, {_PROMISE} FROM files f", "f.key", since=first)
        rows = (row for page in pages for row in page)
        row = next(rows, None)
        before = ""
        for entry in published:
            key, size, digest = entry.key, entry.size, bytes.fromhex(entry.sha256)
            if key <= before:
                raise DocumentError(f"a listing that is not in order: {path_of(key)!a} after {path_of(before)!a}")
            if not first <= key < after:
                raise DocumentError(f"a listing whose shards are not as its root says: {path_of(key)!a} is in another")
            before = key
            promise = bytes.fromhex(entry.oid) if entry.pointer_size is None else digest
            while row is not None and row[0] < key:
                row = next(rows, None)
            if row is None or row[0] != key:
                yield key, promise, size, digest, "leaves"
            else:
                yield key, promise, size, digest, "same" if (row[1], row[2]) == (size, promise) else "changes"

    def settle(self) -> None:
        """Find the contents of all files that are not the same, and which of them the published snapshot has elsewhere.

        BadAnswer for one digest that is promised with two sizes: one of them is not true. UnsafePath when a name is
        both a file and a folder.
        """
        self._flush()
        if not self._compared:
            self.compare(())
        clash = self._row("SELECT key FROM folders JOIN files USING (key) LIMIT 1")
        if clash is not None:
            raise UnsafePath(path_of(clash[0]), "is a file and a folder at once")
        for lacking in range(1 + self._lacks_bytes):  # of equal contents, one whose bytes are there
            self._do(
                f"INSERT OR IGNORE INTO contents (promise, size, key, state) SELECT {_PROMISE}, f.size, f.key, "
                f"{_LACKING} FROM files f WHERE f.state = {_OTHER} AND f.pointer_only = {lacking} ORDER BY f.key"
            )
        self._expect_one_size("contents f", "f.promise", "c.size > f.size")
        if self.base_count:
            self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        self._do(
            f"UPDATE contents SET state = {_HELD}, digest = g.digest FROM gone g "
            "WHERE g.promise = contents.promise AND g.size = contents.size"
        )
        if self._row("SELECT 1 FROM contents LIMIT 1") is None:
            return
        there = f"(SELECT * FROM files f WHERE f.state <> {_OTHER}) f"
        self._expect_one_size(there, _PROMISE, "c.size <> f.size")
        equal = f"files f JOIN contents c ON c.promise = {_PROMISE} AND c.size = f.size WHERE f.state"
        held = self._all(f"SELECT c.id, min(f.digest) FROM {equal} = {_SAME} GROUP BY c.id")
        self._do_all(f"UPDATE contents SET state = {_HELD}, digest = ? WHERE id = ?", ((own, id_) for id_, own in held))
        kept = f"SELECT c.id, min(f.key) FROM {equal} = {_KEPT} AND c.state = {_LACKING} GROUP BY c.id ORDER BY 2"
        self._know(_HELD, self._digests_in_kept(self._all(kept)))

    def _digests_in_kept(self, wanted: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Sha256]]:
        """Of files in kept shards, each by a number and its key, in the order of keys: the number, and its SHA-256."""
        left = iter(wanted)
        one = next(left, None)
        for stretch in self._kept:
            if one is None:
                return
            if one[1] >= stretch.after:
                continue
            digests = {entry.key: entry.sha256 for entry in self._entries_of(stretch)}
            while one is not None and one[1] < stretch.after:
                yield one[0], Sha256(digests[one[1]])
                one = next(left, None)

    def _entries_of(self, *kept: Stretch) -> Iterator[Entry]:
        """The files of kept shards, as these say. What `read` raises."""
        for start in range(0, len(kept), _SHARDS):
            some = [stretch.shard for stretch in kept[start : start + _SHARDS] if stretch.shard is not None]
            for body in self._read_shards(some):
                yield from read_entries(body)

    def _read_kept(self) -> None:
        """Have all digests here."""
        if self._unread:
            digests = ((bytes.fromhex(entry.sha256), entry.key) for entry in self._entries_of(*self._kept))
            while page := [*islice(digests, PAGE)]:
                self._do_all(f"UPDATE files SET state = {_SAME}, digest = ? WHERE key = ?", page)
            self._unread = False

    def _expect_one_size(self, files: str, promise: str, differs: str) -> None:
        two = self._row(
            f"SELECT c.promise, f.key, f.size, c.key, c.size FROM {files} JOIN contents c ON c.promise = {promise} "
            f"AND {differs} LIMIT 1"
        )
        if two is not None:
            told, *sides = two
            (one, size), (other, another) = sorted([(sides[0], sides[1]), (sides[2], sides[3])])
            raise BadAnswer(
                f"the upstream promises {told.hex()} with two sizes: "
                f"{size} bytes at {path_of(one)!a} and {another} at {path_of(other)!a}"
            )

    def lacking(self) -> Iterator[Sequence[tuple[int, Content]]]:
        """Contents that nobody has, by the numbers that `found` takes; some at a time."""
        for page in self._pages("SELECT id, promise, size FROM contents", "id", f"state = {_LACKING}"):
            yield [(id_, Content(_promise(told), size)) for id_, told, size in page]

    def found(self, digests: Iterable[tuple[int, Sha256]]) -> None:
        """Contents that the target holds already."""
        self._know(_PRESENT, digests)

    def landed(self, digests: Iterable[tuple[int, Sha256]]) -> None:
        """Contents that were fetched, and are in the target now."""
        self._know(_LANDED, digests)

    def fetch(self, sizes: str = "") -> Iterator[tuple[int, RemoteFile]]:
        """One file for each content that comes over the wire, by the number of the content, also when it has landed."""
        question = (
            "SELECT c.id, f.key, f.size, f.oid, f.sha256, f.pointer_size, f.pointer_only "
            "FROM contents c JOIN files f ON f.key = c.key"
        )
        for page in self._pages(question, "c.id", f"c.{_FETCHED}{sizes}"):
            for id_, key, size, oid, sha256, pointer_size, pointer_only in page:
                told = None if sha256 is None else Sha256(sha256.hex())
                yield id_, RemoteFile(path_of(key), size, GitOid(oid.hex()), told, pointer_size, bool(pointer_only))

    def fetch_up_to(self, size: int) -> Iterator[tuple[int, RemoteFile]]:
        """Those of `fetch` that have so many bytes at the most."""
        return self.fetch(f" AND c.size <= {size:d}")

    def fetch_above(self, size: int) -> Iterator[tuple[int, RemoteFile]]:
        """Those of `fetch` that have more bytes."""
        return self.fetch(f" AND c.size > {size:d}")

    def fetch_without_bytes(self) -> Iterator[tuple[int, RemoteFile]]:
        """Those of `fetch` of which the upstream has the pointer alone."""
        return self.fetch(" AND f.pointer_only")

    @property
    def to_fetch(self) -> tuple[int, int]:
        """How many contents have to be fetched, and their bytes."""
        return self._sum(f"contents WHERE {_FETCHED}")

    @property
    def leaving(self) -> tuple[int, int]:
        """How many published files leave, and their bytes."""
        return self._sum("gone WHERE leaves")

    @property
    def removed(self) -> int:
        """How many published files leave whose content no wanted file has: one that only moved does not count."""
        told = f"SELECT {_PROMISE} FROM files f WHERE {_PROMISE} IN (SELECT promise FROM gone WHERE leaves)"
        row = self._row(f"SELECT count(*) FROM gone WHERE leaves AND promise NOT IN ({told})")
        return 0 if row is None else int(row[0])

    def unreferenced(self) -> Iterator[Sha256]:
        """The blobs of files that no published snapshot is known to name."""
        pages = self._pages("SELECT id, digest FROM contents", "id", f"state IN ({_PRESENT}, {_LANDED})")
        return (Sha256(own.hex()) for page in pages for _, own in page)

    def put(self) -> Iterator[tuple[Sha256, int]]:
        """The blobs that were fetched, and their bytes."""
        pages = self._pages("SELECT id, digest, size FROM contents", "id", f"state = {_LANDED}")
        return ((Sha256(own.hex()), size) for page in pages for _, own, size in page)

    def files(self) -> Iterator[MirroredFile]:
        """Every file, in the order of the listing. KeyError for one that was neither here nor fetched."""
        self._read_kept()
        return (_mirrored(row) for page in self._pages(_PROVED, "f.key") for row in page)

    def entries(self) -> Iterator[Entry]:
        """Files and folders, in the order of the listing. KeyError as of `files`."""
        self._read_kept()
        return self._entries(Stretch("", END))

    def _entries(self, stretch: Stretch) -> Iterator[Entry]:
        folders = "SELECT key, 0, NULL, NULL, NULL FROM folders"
        key, beyond = stretch.first, ">="
        while page := self._all(
            f"{_PROVED} WHERE f.key {beyond} ?1 AND f.key < ?2 UNION ALL {folders} "
            f"WHERE key {beyond} ?1 AND key < ?2 ORDER BY 1 LIMIT {PAGE}",
            (key, stretch.after),
        ):
            yield from map(_entry, page)
            if len(page) < PAGE:
                return
            key, beyond = page[-1][0], ">"

    def shards(self) -> Iterator[tuple[Shard, Document | None]]:
        """The listing in shards, as `cut_shards` cuts it; None for one that is kept. KeyError as of `files`."""
        some = False
        for stretch in between(self._kept):
            if stretch.shard is not None:
                yield stretch.shard, None
            elif (first := self._first_from(stretch.first)) is not None and first < stretch.after:
                yield from cut_shards(self._entries(stretch))
            else:
                continue
            some = True
        if not some:
            yield from cut_shards(())

    def listed(self) -> Iterator[str]:
        """Every path, in the order of the listing: from `settle` on, before anything of a file is there."""
        return (path_of(key) for page in self._pages("SELECT f.key FROM files f", "f.key") for (key,) in page)

    def paths(self) -> Iterator[str]:
        """Every path, in the order of their characters."""
        if self._escapes:
            return map(path_of, self._keys_by_path())
        return (key for page in self._pages("SELECT key FROM files", "key") for (key,) in page)

    def _keys_by_path(self) -> Iterator[str]:
        with self._lock, scratch_errors():
            sorted_keys = self._connection.execute("SELECT f.key FROM files f ORDER BY path_of(f.key)")
        while page := self._read(lambda: sorted_keys.fetchmany(PAGE)):
            yield from (key for (key,) in page)

    def names(self) -> Iterator[str]:
        """`sibling_of` every path, in the order of `paths`; many `joined` in one."""
        if self._escapes:
            yield from joined(map(sibling_of, self.paths()))
            return
        question = (  # a key without an escape is its path, and needs none in JSON
            "SELECT max(key), group_concat('{\"rfilename\":\"' || key || '\"}') FROM "
            f"(SELECT key FROM files WHERE key > ? ORDER BY key LIMIT {PAGE})"
        )
        last, some = self._row(question, ("",))
        while last is not None:
            yield some
            last, some = self._row(question, (last,))

    @property
    def _escapes(self) -> bool:
        """Whether some key is not its path, so that they may have another order."""
        return self._row("SELECT 1 FROM files WHERE instr(key, '%') LIMIT 1") is not None

    def by_path(self) -> Iterator[Entry]:
        """Every file, in the order of paths by their characters. KeyError as of `files`."""
        self._read_kept()
        if not self._escapes:
            yield from (_entry(row) for page in self._pages(_PROVED, "f.key") for row in page)
            return
        for key in self._keys_by_path():
            yield _entry(self._row(f"{_PROVED} WHERE f.key = ?", (key,)))

    def git_pairs(self) -> Iterator[Mapping[GitOid, Sha256]]:
        """What is proved by git id, some at a time; of LFS files there is the pointer's id alone."""
        self._read_kept()
        return map(_pairs, self._pages(_PROVED, "f.key", "f.pointer_size IS NULL"))

    def new_git_pairs(self) -> Iterator[Mapping[GitOid, Sha256]]:
        """Those of files that the published snapshot does not have as they are."""
        return map(_pairs, self._pages(_PROVED, "f.key", f"f.pointer_size IS NULL AND f.state = {_OTHER}"))

    def sample_of_git_pairs(self) -> Iterator[Mapping[GitOid, Sha256]]:
        """Some of the `git_pairs` that the published snapshot has: one in 256, by chance, and those of a few shards."""
        chance = f"f.pointer_size IS NULL AND f.state = {_SAME} AND f.digest < x'01'"
        yield from map(_pairs, self._pages(_PROVED, "f.key", chance))
        for stretch in self._kept[:: max(1, len(self._kept) // _SAMPLE)] if self._unread else ():
            yield {
                GitOid(entry.oid): Sha256(entry.sha256)
                for entry in self._entries_of(stretch)
                if entry.pointer_size is None
            }

    def find(self, path: str) -> MirroredFile | None:
        """The file of a path, None where no such file is wanted. KeyError as of `files`."""
        self._read_kept()
        row = self._row(f"{_PROVED} WHERE f.key = ?", (sort_key(path),))
        return None if row is None else _mirrored(row)

    def _know(self, state: int, digests: Iterable[tuple[int, Sha256]]) -> None:
        known = ((bytes.fromhex(digest), id_) for id_, digest in digests)
        self._do_all(f"UPDATE contents SET state = {state}, digest = ? WHERE id = ?", known)

    def _sum(self, rows: str) -> tuple[int, int]:
        found = self._row(f"SELECT {_SUM} FROM {rows}")
        return (0, 0) if found is None else (found[0], (found[1] << 32) + found[2])

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        try:
            self._do_all(f"INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, {_KEPT}, x'{_NO_DIGEST.hex()}')", rows)
        except sqlite3.IntegrityError as error:
            raise BadAnswer(f"the upstream lists {self._doubled(rows)!a} twice") from error
        for key, *_ in rows:
            self._put_folders(key.rpartition("/")[0])

    def _put_folders(self, folder: str) -> None:
        """A folder and those above it. Files of one folder come together, mostly."""
        if folder == self._folder:
            return
        self._folder = folder
        while folder and self._do("INSERT OR IGNORE INTO folders VALUES (?)", (folder,)):
            folder = folder.rpartition("/")[0]

    def _doubled(self, rows: Sequence[tuple[Any, ...]]) -> str:
        """A path that is there already, or twice among the rows."""
        seen: set[str] = set()
        for key, size, *_ in rows:
            there = self._row("SELECT size FROM files WHERE key = ?", (key,))
            if key in seen or (there is not None and there[0] != size):
                return path_of(key)
            seen.add(key)
        return path_of(rows[-1][0])


class FilesByPath(Iterable[MirroredFile]):
    """The files of a table in the order of their paths, read anew each time that they are gone over."""

    def __init__(self, table: FileTable) -> None:
        self._table = table

    def __iter__(self) -> Iterator[MirroredFile]:
        return (entry.file for entry in self._table.by_path())


class ManifestView(Mapping[str, MirroredFile]):
    """The files of a table by path, read when asked for; in the order of the listing."""

    def __init__(self, table: FileTable) -> None:
        self._table = table

    def __getitem__(self, path: str) -> MirroredFile:
        found = self._table.find(path)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return (file.path for file in self._table.files())

    def __len__(self) -> int:
        return self._table.count


def _nothing(_shards: Sequence[Shard]) -> Iterable[bytes]:
    return ()


def _pairs(page: Iterable[Sequence[Any]]) -> Mapping[GitOid, Sha256]:
    return {GitOid(oid.hex()): Sha256(own.hex()) for _, _, oid, own, _ in page}


def _promise(told: bytes) -> Promise:
    return Sha256(told.hex()) if len(told) == _SHA256 else GitOid(told.hex())


def _mirrored(row: Sequence[Any]) -> MirroredFile:
    key, size, oid, digest, pointer_size = row
    if digest is None:
        raise KeyError(path_of(key))
    return MirroredFile(path_of(key), size, GitOid(oid.hex()), Sha256(digest.hex()), pointer_size)


def _entry(row: Sequence[Any]) -> Entry:
    key, size, oid, digest, pointer_size = row
    if oid is None:
        return Entry(key, 0, "", "", None)
    if digest is None:
        raise KeyError(path_of(key))
    return Entry(key, size, oid.hex(), digest.hex(), pointer_size)
