import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import Manifest, MirroredFile
from mirror_sync.domain.content.selection import LeftOut, Selection
from mirror_sync.domain.content.snapshot import (
    ENTRIES_PER_SHARD,
    FULL_SHARD,
    FULL_SIBLINGS,
    Document,
    Entry,
    Root,
    Shard,
    cut_shards,
    description,
    encode_json,
    info_pieces,
    joined,
    read_entries,
    read_shard,
    sibling_of,
    sort_key,
)
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.errors import DocumentError, UnsafePath
from tests.domain.files import bodies, listing_of, manifest_of, mirrored, paths, trees

Tree = dict[str, tuple[bytes, bool]]


def _many(count: int) -> dict[str, MirroredFile]:
    return {path: mirrored(path, b"") for path in (f"folder-{n % 97:02}/file-{n:06}.txt" for n in range(count))}


def _root(shards: tuple[Shard, ...]) -> Root:
    return Root(
        repo="acme/tiny",
        commit=CommitId("a" * 40),
        last={"id": "a" * 40, "title": "first", "date": "2026-01-01T00:00:00.000Z"},
        info=Sha256("1" * 64),
        commits=Sha256("2" * 64),
        selection=Selection(("*",), ("*.bin",)),
        verdicts=(Verdict("licence", Outcome.ALLOWED, "licence mit is in licenses.allow"),),
        files=3,
        size=10,
        shards=shards,
    )


@given(trees)
def test_shards_give_back_the_manifest_they_were_cut_from(tree: Tree) -> None:
    manifest = manifest_of(tree)
    try:
        shards = list(cut_shards(listing_of(manifest)))
    except UnsafePath:  # some name is a file and a folder at once
        return
    assert {file.path: file for _, document in shards for file in read_shard(document.body)} == manifest


@given(trees)
def test_an_entry_is_found_by_text_search_on_a_line_of_its_own(tree: Tree) -> None:
    try:
        shards = list(cut_shards(listing_of(manifest_of(tree))))
    except UnsafePath:
        return
    text = "".join(document.body.decode() for _, document in shards)
    for path in tree:
        needle = f'"path":{encode_json(path)},'
        assert text.count(needle) == 1
        line = next(line for line in text.split("\n") if needle in line)
        assert json.loads(line.rstrip(","))["path"] == path


def test_entries_are_in_the_order_of_their_percent_encoded_paths_across_shards() -> None:
    shards = list(cut_shards(listing_of(_many(5000))))
    keys = [sort_key(entry["path"]) for _, document in shards for entry in json.loads(document.body)]
    assert keys == sorted(keys)
    assert [shard.first for shard, _ in shards] == [
        sort_key(json.loads(document.body)[0]["path"]) for _, document in shards
    ]


def test_a_path_lies_in_the_shard_that_the_root_names_for_it() -> None:
    manifest = _many(5000)
    cut = list(cut_shards(listing_of(manifest)))
    root = _root(tuple(shard for shard, _ in cut))
    shards = [{file.path for file in read_shard(document.body)} for _, document in cut]
    for path in manifest:
        assert path in shards[root.shard_for(path)]


def test_a_first_publication_of_n_files_writes_at_most_n_over_200_and_20_documents() -> None:
    for count in (0, 1, 500, 20_000):
        assert len(list(cut_shards(listing_of(_many(count))))) <= count / 200 + 20


def test_no_choice_of_paths_makes_a_shard_large() -> None:
    """These are paths at which no shard begins by itself."""
    names = (f"{number:08}" + "x" * 3000 for number in range(2000))
    chosen = [name for name in names if int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) % ENTRIES_PER_SHARD]
    manifest = {name: mirrored(name, b"") for name in chosen}
    cut = list(cut_shards(listing_of(manifest)))
    assert len(cut) > 1
    assert max(len(document.body) for _, document in cut) < FULL_SHARD + 8192
    assert {file.path for _, document in cut for file in read_shard(document.body)} == manifest.keys()
    root = _root(tuple(shard for shard, _ in cut))
    shards = [{file.path for file in read_shard(document.body)} for _, document in cut]
    assert all(path in shards[root.shard_for(path)] for path in manifest)


def test_one_changed_file_rewrites_one_shard() -> None:
    manifest = _many(5000)
    before = {shard.digest for shard, _ in cut_shards(listing_of(manifest))}
    path = "folder-03/file-000003.txt"
    after = {shard.digest for shard, _ in cut_shards(listing_of({**manifest, path: mirrored(path, b"new")}))}
    assert len(after - before) == 1


@pytest.mark.parametrize("change", ["added", "removed"])
def test_one_added_or_removed_file_rewrites_at_most_two_shards(change: str) -> None:
    manifest = _many(5000)
    before = {shard.digest for shard, _ in cut_shards(listing_of(manifest))}
    for number in range(0, 5000, 250):
        path = f"folder-{number % 97:02}/file-{number:06}.txt"
        changed = dict(manifest)
        if change == "removed":
            del changed[path]
        else:
            changed[path + ".new"] = mirrored(path + ".new", b"")
        assert len({shard.digest for shard, _ in cut_shards(listing_of(changed))} - before) <= 2


def test_shards_hold_some_hundred_entries_on_average() -> None:
    count = len(list(cut_shards(listing_of(_many(40_000)))))
    assert 40_000 / ENTRIES_PER_SHARD / 2 < count < 40_000 / ENTRIES_PER_SHARD * 2


def test_a_name_that_is_a_file_and_a_folder_is_refused() -> None:
    with pytest.raises(UnsafePath, match="is a file and a folder at once"):
        list(cut_shards(listing_of({path: mirrored(path, b"") for path in ("a", "a/b")})))


def test_folders_are_listed_once_each() -> None:
    ((_, document),) = cut_shards(listing_of({path: mirrored(path, b"") for path in ("a/b/c", "a/d")}))
    folders = [entry["path"] for entry in json.loads(document.body) if entry["type"] == "directory"]
    assert folders == ["a", "a/b"]


def test_no_xet_hash_is_published() -> None:
    ((_, document),) = cut_shards(listing_of({"m": mirrored("m", b"x", lfs=True)}))
    assert b"xet" not in document.body
    assert json.loads(document.body)[0]["lfs"]["oid"] == Sha256.of(b"x")


def test_a_root_document_survives_being_written_and_read() -> None:
    root = _root((Shard("", Sha256("3" * 64)), Shard("b%20c", Sha256("4" * 64))))
    document = root.encode()
    assert Root.decode(document.body) == root
    assert document.digest == Sha256.of(document.body)


def test_the_rule_of_licences_has_one_name_whichever_program_wrote_it() -> None:
    document = _root(()).encode()
    older = document.body.replace(b'"rule":"licence"', b'"rule":"license"')
    assert older != document.body
    assert Root.decode(older) == Root.decode(document.body)


@pytest.mark.parametrize(
    "left", [None, (), (LeftOut("exclude", ("*.bin",), 2, 7), LeftOut("include", ("a", "b"), 1, 0))]
)
def test_a_root_tells_what_was_left_out_and_one_of_an_older_program_that_nobody_knows(
    left: tuple[LeftOut, ...] | None,
) -> None:
    root = replace(_root(()), left=left)
    assert Root.decode(root.encode().body).left == left
    whole = replace(root, selection=Selection())
    assert whole.encode() == replace(whole, left=None).encode(), "a whole repo's root is the same as ever"


def test_a_document_of_an_unknown_format_says_so() -> None:
    body = _root(()).encode().body.replace(b'"format":2', b'"format":3')
    with pytest.raises(DocumentError, match="a root document of format 3, this program reads 1 and 2: a newer"):
        Root.decode(body)


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_other_bytes_are_a_document_error_and_nothing_else(body: bytes) -> None:
    with pytest.raises(DocumentError):
        Root.decode(body)


@given(st.binary() | st.dictionaries(st.text(), st.integers()).map(lambda value: json.dumps([value]).encode()))
def test_other_bytes_are_no_shard(body: bytes) -> None:
    if b"".join(body.split()) in (b"[]", b"{}", b'""'):
        return
    with pytest.raises(DocumentError):
        list(read_shard(body))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_sort_key_is_ascii_and_gives_back_its_path(path: str) -> None:
    assert sort_key(path).isascii()
    assert unquote(sort_key(path)) == path


def test_siblings_carry_sizes_and_digests_and_names_alone_in_a_very_large_repo() -> None:
    small = _siblings({"m": mirrored("m", b"x", lfs=True), "a": mirrored("a", b"yy")})
    assert small == [
        {"rfilename": "a", "size": 2, "blobId": GitOid.of_blob(b"yy")},
        {
            "rfilename": "m",
            "size": 1,
            "blobId": small[1]["blobId"],
            "lfs": {"sha256": Sha256.of(b"x"), "size": 1, "pointerSize": small[1]["lfs"]["pointerSize"]},
        },
    ]
    many = _siblings(_many(5001))
    assert many[0] == {"rfilename": "folder-00/file-000000.txt"}
    assert len(many) == 5001


def _siblings(manifest: Manifest) -> Any:
    return json.loads(b"".join(info_pieces({"id": "acme/x"}, joined(_told(manifest)))))["siblings"]


def _told(manifest: Manifest) -> list[str]:
    """What an info document says of files, in its order."""
    if len(manifest) > FULL_SIBLINGS:
        return [sibling_of(path) for path in sorted(manifest)]
    return [Entry.of(manifest[path]).sibling for path in sorted(manifest)]


@given(paths, bodies, st.booleans())
def test_a_line_is_what_json_writes_of_the_hubs_entry(path: str, body: bytes, lfs: bool) -> None:
    file = mirrored(path, body, lfs=lfs)
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    sibling: dict[str, Any] = {"rfilename": path, "size": file.size, "blobId": file.oid}
    if lfs:
        more = {"size": file.size, "pointerSize": file.pointer_size}
        entry["lfs"], sibling["lfs"] = {"oid": file.sha256, **more}, {"sha256": file.sha256, **more}
    assert Entry.of(file).line == encode_json(entry | {"sha256": file.sha256})
    assert Entry.of(file).sibling == encode_json(sibling)
    assert Entry.of(file).file == file


@given(trees)
def test_a_shard_is_read_alike_fast_and_in_full(tree: Tree) -> None:
    manifest = manifest_of(tree)
    try:
        bodies = [document.body for _, document in cut_shards(listing_of(manifest))]
    except UnsafePath:
        return
    for body in bodies:
        expected = [Entry.of(file) for file in read_shard(body)]
        assert read_entries(body) == read_entries(body.replace(b",\n", b", ")) == expected


def test_a_shard_of_another_hand_is_read_in_full_or_refused() -> None:
    ((_, document),) = cut_shards(listing_of({"a": mirrored("a", b"x"), "b": mirrored("b", b"y")}))
    more = document.body.replace(b'"path":"a"', b'"path":"a","more":1')
    assert [entry.path for entry in read_entries(more)] == ["a", "b"]
    for broken in (b"", b"[", document.body.replace(b'"a"', b'"\xff"'), document.body.replace(b"file", b"link", 1)):
        with pytest.raises(DocumentError):
            read_entries(broken)


def test_what_an_info_document_says_is_read_without_its_files() -> None:
    said = {"id": "acme/x", "cardData": {"siblings": [1]}, "tags": ["a", '","siblings":[']}
    info = b"".join(info_pieces(said, joined(sibling_of(f"file-{number}") for number in range(2500)))).decode()
    assert description(info) == said
    assert description(info[: info.index("file-7")]) == said
    assert description('{"id":"acme/x"}') == {"id": "acme/x"}
    assert description("{}") == {}
    for broken in ("", "[]", "{", '{"id":"acme/x"', '{"id":"ac', "{1:2}", '{"id":1}{}'):
        with pytest.raises(ValueError):  # noqa: PT011
            description(broken)


@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), float("nan"), "cut emoji \ud83d", {"\udfff": 1}, [{"deep": ["\ud800"]}]]
)
def test_what_json_cannot_hold_is_a_document_error_in_one_printable_line(value: object) -> None:
    with pytest.raises(DocumentError, match="cannot be written as JSON") as caught:
        Document.of_json({"card": value})
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


_HUGE = pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "-1", "1.5", '"5"', "true", "9223372036854775808", "1" * 400]
)


def _with(document: Mapping[str, object], number: str) -> bytes:
    return json.dumps(document).replace('"NUMBER"', number).encode()


@_HUGE
@pytest.mark.parametrize("key", ["files", "bytes"])
def test_a_count_that_nobody_can_hold_makes_no_root(key: str, number: str) -> None:
    document = json.loads(_root(()).encode().body)
    with pytest.raises(DocumentError):
        Root.decode(_with({**document, key: "NUMBER"}, number))


@pytest.mark.parametrize(
    "wrong",
    [
        {"last": [1]},
        {"last": {"date": 5}},
        {"repo": 5},
        {"verdicts": {"rule": "license", "outcome": "allowed", "reason": "x"}},
        {"verdicts": ""},
        {"verdicts": [{"rule": "license", "outcome": "allowed", "reason": 5}]},
        {"verdicts": [{"rule": "license", "outcome": "perhaps", "reason": "x"}]},
        {"verdicts": [{"rule": "", "outcome": "allowed", "reason": "x"}]},
        {"verdicts": [{"rule": "two words", "outcome": "allowed", "reason": "x"}]},
        {"verdicts": [{"rule": "license", "outcome": "allowed"}]},
        {"verdicts": [{"rule": "license", "outcome": "allowed", "reason": "x", "more": 1}]},
        {"verdicts": [{"rule": "license", "outcome": "allowed", "reason": "x" * 4097}]},
        {"verdicts": [{"rule": "license", "outcome": "allowed", "reason": "x"}] * 257},
        {"attachments": ["1" * 64]},
        {"attachments": {"": "1" * 64}},
        {"attachments": {"a/b": "1" * 64}},
        {"attachments": {"a" * 65: "1" * 64}},
        {"attachments": {"a": "1" * 63}},
        {"attachments": {"a": 5}},
        {"attachments": {f"a{number}": "1" * 64 for number in range(257)}},
        {"format": True},
        {"format": "2"},
        {"format": 2.0},
        {"blobs": ["1" * 64]},
        {"selection": {"include": "*", "exclude": []}},
        {"shards": [[5, "1" * 64]]},
        {"left": [["exclude", "*.bin", 1, 1]]},
        {"left": [["exclude", ["*.bin"], -1, 1]]},
        {"left": [1]},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_what_is_of_another_type_makes_no_root(wrong: dict[str, object]) -> None:
    document = json.loads(_root(()).encode().body)
    with pytest.raises(DocumentError) as caught:
        Root.decode(json.dumps({**document, **wrong}).encode())
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "wrong",
    [
        {"attachments": {"no name": Sha256("1" * 64)}},
        {"attachments": {f"a{number}": Sha256("1" * 64) for number in range(257)}},
        {"verdicts": (Verdict("no name", Outcome.ALLOWED, "x"),)},
        {"verdicts": (Verdict("a", Outcome.ALLOWED, "x"),) * 257},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_root_that_nobody_would_read_again_is_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        replace(_root(()), **wrong).encode()


def test_a_long_reason_is_cut_to_what_a_reader_takes() -> None:
    root = replace(_root(()), verdicts=(Verdict("license", Outcome.ALLOWED, "x" * 10_000),))
    assert len(Root.decode(root.encode().body).reason) == 4096


def test_a_key_that_the_format_does_not_have_is_refused_since_it_may_name_a_blob() -> None:
    document = json.loads(_root(()).encode().body)
    with pytest.raises(DocumentError, match="the key 'blobs' is not of format 2"):
        Root.decode(json.dumps({**document, "blobs": []}).encode())


def test_all_that_a_root_names_itself_is_in_its_documents() -> None:
    root = replace(_root((Shard("", Sha256("3" * 64)),)), attachments={"SHA256SUMS": Sha256("4" * 64)})
    assert set(root.documents) == {Sha256(digit * 64) for digit in "1234"}


@_HUGE
@pytest.mark.parametrize("key", ["size", "pointerSize"])
def test_a_size_that_nobody_can_hold_makes_no_shard(key: str, number: str) -> None:
    entry: dict[str, object] = {"type": "file", "oid": "1" * 40, "size": 3, "path": "a", "sha256": "1" * 64}
    entry |= {"size": "NUMBER"} if key == "size" else {"lfs": {"pointerSize": "NUMBER"}}
    with pytest.raises(DocumentError):
        list(read_shard(b"[" + _with(entry, number) + b"]"))


def test_a_path_that_is_no_text_makes_no_shard() -> None:
    entry = {"type": "file", "oid": "1" * 40, "size": 3, "path": 5, "sha256": "1" * 64}
    with pytest.raises(DocumentError):
        list(read_shard(json.dumps([entry]).encode()))


@pytest.mark.parametrize("kind", ["symlink", "File", "DIRECTORY", "", None, 5, ["file"]])
def test_an_entry_of_an_unknown_type_makes_no_shard(kind: object) -> None:
    entry = {"type": kind, "oid": "1" * 40, "size": 3, "path": "a", "sha256": "1" * 64}
    with pytest.raises(DocumentError, match="of type"):
        list(read_shard(json.dumps([entry]).encode()))


_ODD = (
    *("a b/%7.txt", 'ä/ö "q"\\x.bin', "a-b", "a.b", "a/b", "a/b-c", "tab\there", "z/" + "deep/" * 9 + "x"),
    "日本/語.json",
)


def _golden(path: str, number: int, *, lfs: bool) -> MirroredFile:
    body = f"{path}{number}".encode()
    oid = GitOid(hashlib.sha1(body, usedforsecurity=False).hexdigest())
    return MirroredFile(path, number, oid, Sha256.of(body), 133 if lfs else None)


@pytest.mark.parametrize(
    ("count", "shards", "info"),
    [
        (0, "3cefe02d5ba0084f", "c9ffd1afd79927de"),
        (300, "c82f3e442e0c726c", "a43d260be2bb20d0"),
        (4000, "e721808032615bbd", "258efe5761c341cb"),
        (5100, "9f7f24457d07f05e", "85ec331f22625c8a"),
    ],
)
def test_documents_are_byte_for_byte_what_they_were(count: int, shards: str, info: str) -> None:
    """The digests are of documents that were made when all files of a snapshot were held in memory."""
    files = [_golden(path, number, lfs=number % 3 == 0) for number, path in enumerate(_ODD)]
    names = (f"folder-{number % 41:02}/sub {number % 7}/file-{number:06}.bin" for number in range(count))
    files += [_golden(name, number, lfs=number % 5 == 0) for number, name in enumerate(names)]
    manifest = {file.path: file for file in files}
    cut = "".join(shard.first + shard.digest for shard, _ in cut_shards(listing_of(manifest)))
    body = b"".join(info_pieces({"id": "a/b", "x": 1}, joined(_told(manifest))))
    assert Sha256.of(cut.encode())[:16] == shards
    assert Sha256.of(body)[:16] == info
