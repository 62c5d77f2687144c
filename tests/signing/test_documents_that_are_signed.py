"""Documents by themselves: lists of sums, statements, bills of materials; and what signing costs."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.audit_record import BY_DAEMON, AuditHead
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import SigningError
from mirror_sync.scratch import spooled
from mirror_sync.signing.bom import cyclonedx
from mirror_sync.signing.declared import SPDX
from mirror_sync.signing.long_json import Items, json_pieces
from mirror_sync.signing.signer import SigningKeys, SnapshotFacts, SnapshotSigner
from mirror_sync.signing.spdx3 import spdx3
from mirror_sync.signing.statement import StatedSnapshot, Statement
from mirror_sync.signing.sums import read_sums, sum_lines
from tests.signing.keys import elliptic_key, ssh_key
from tests.signing.mirrors import SignedMirror

COMMIT, DIGEST = CommitId("c" * 40), Sha256("d" * 64)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def root_of(repo: str = "acme/one", date: str = "2026-01-01T00:00:00.000Z") -> Root:
    last = {"id": COMMIT, "title": "", "date": date}
    return Root(repo, COMMIT, last, DIGEST, DIGEST, Selection(), (), 1, 1, ())


def file_of(path: str) -> MirroredFile:
    return MirroredFile(path, 1, GitOid("a" * 40), Sha256.of(path.encode()))


@given(st.lists(NAMES.filter(lambda name: not name.startswith("./")), unique=True, max_size=8))
def test_any_names_stand_in_a_list_and_are_read_from_it(names: list[str]) -> None:
    body = b"".join(sum_lines(file_of(name) for name in names))
    assert dict(read_sums(body)) == {name: Sha256.of(name.encode()) for name in names}


@pytest.mark.parametrize("body", [b"\n", b"abc\n", b"\xff", b"%b  \n" % (b"0" * 64), rb"\%b  a\tb" % (b"0" * 64)])
def test_what_sha256sum_does_not_write_is_no_list(body: bytes) -> None:
    with pytest.raises(SigningError, match="not a list as sha256sum writes it: line 1"):
        list(read_sums(body))


def test_a_statement_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    snapshots = {COMMIT: StatedSnapshot(DIGEST, DIGEST), CommitId("e" * 40): StatedSnapshot(DIGEST)}
    names = {"refs/heads/main": COMMIT, "refs/tags/main": CommitId("e" * 40)}
    whole = Statement("acme/one", 7, "2026-01-01T00:00:00Z", names, {}, snapshots, AuditHead("machine", 3, DIGEST))
    assert Statement.decode(whole.encode()) == whole
    assert whole.commit_of("HEAD") == COMMIT
    assert (whole.commit_of("main"), whole.commit_of("refs/tags/main")) == (COMMIT, "e" * 40)
    assert whole.commit_of("f" * 40) is None
    for body in (b"", b"[]", b"{}", whole.encode().replace(b'"serial":7', b'"serial":-7'), whole.encode()[:-9]):
        with pytest.raises(SigningError, match="not a statement"):
            Statement.decode(body)


@pytest.mark.parametrize(
    ("card", "licences"),
    [
        ({"license": "apache-2.0"}, [{"id": "Apache-2.0"}]),
        ({"license": ["mit", "gpl-3.0"]}, [{"id": "MIT"}, {"id": "GPL-3.0-only"}]),
        ({"license": "llama3.1"}, [{"name": "llama3.1"}]),
        (
            {"license": "other", "license_name": "acme-1", "license_link": "https://acme.example/LICENSE"},
            [{"name": "acme-1", "url": "https://acme.example/LICENSE"}],
        ),
        ({"license": "other", "license_link": "not an address"}, [{"name": "other"}]),
        ({"license": {"id": "mit"}}, None),
        ("no card", None),
    ],
)
def test_licences_are_in_the_letters_of_spdx_or_a_name_of_their_own(card: Any, licences: Any) -> None:
    bom = json.loads(b"".join(cyclonedx(Repo(Kind.MODEL, "acme/one"), root_of(), [file_of("a")], {"cardData": card})))
    told = bom["metadata"]["component"].get("licenses")
    wanted = licences and [{"license": {**one, "acknowledgement": "declared"}} for one in licences]
    assert told == wanted


def test_every_licence_of_the_table_is_written_as_a_hub_id_is() -> None:
    assert {one for one in SPDX if one != one.lower()} == set()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
)


@given(JSON, JSON, JSON, st.text(max_size=30))
def test_whatever_a_hub_says_a_bill_of_materials_is_json_and_the_same_each_time(
    card: Any, task: Any, tags: Any, date: str
) -> None:
    info = {"cardData": {"license": card, "datasets": card, "base_model": tags}, "pipeline_tag": task, "tags": tags}
    for make, sign in ((cyclonedx, '"bomFormat":"CycloneDX"'), (spdx3, '"specVersion":"3.0.1"')):
        first = b"".join(make(Repo(Kind.MODEL, "acme/one"), root_of(date=date), [file_of("a")], info))
        assert json.loads(first)
        assert sign.encode() in first
        assert b"".join(make(Repo(Kind.MODEL, "acme/one"), root_of(date=date), [file_of("a")], info)) == first


class Listed(Iterable[MirroredFile]):
    """So many files, none of which is held."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[MirroredFile]:
        return (file_of(f"folder-{number // 100:03}/file-{number:05}.safetensors") for number in range(self._count))


def test_ten_times_as_many_files_are_signed_in_the_same_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("HELD", "_CHUNK", "_GATHERED"):
        monkeypatch.setattr(spooled, bound, 64 * 1024)  # all but small documents lie on the disk
    keys = SigningKeys("mirror", ssh_key(tmp_path), elliptic_key(tmp_path))
    signer = SnapshotSigner(keys, ["cyclonedx", "spdx3"])
    keys.expect()
    peaks = []
    for count in (1, 2_000, 6_000):  # the first imports what the others need
        tracemalloc.start()
        documents = signer.documents(SnapshotFacts(root_of(), Listed(count), {}))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sorted(documents) == ["SHA256SUMS", "SHA256SUMS.sig", "bom.cdx.json", "bom.spdx3.json", "model.sig"]
    assert peaks[2] - peaks[1] < 512 * 1024, "a record of each of four thousand more takes some megabytes"


def test_documents_by_pieces_are_what_json_makes_of_all_at_once() -> None:
    document = {"a": [1, Items(lambda: range(2500)), '"x"'], "b": [Items(lambda: ({"n": "\u00e4\ud800"},))]}
    for ascii_only in (True, False):
        whole = {"a": [1, *range(2500), '"x"'], "b": [{"n": "\u00e4\ud800"}]}
        text = json.dumps(whole, ensure_ascii=ascii_only, separators=(",", ":"))
        assert b"".join(json_pieces(document, ensure_ascii=ascii_only)) == text.encode(errors="replace")


def test_a_publication_that_is_signed_puts_seven_blobs_more_and_the_mirrors_key_once(tmp_path: Path) -> None:
    counts = {}
    for name in ("plain", "signed"):
        (tmp_path / name).mkdir()
        mirror = SignedMirror(tmp_path / name, {"url": (tmp_path / name / "mirror").as_uri()})
        mirror.trust = mirror.trust if name == "signed" else {}
        mirror.sync()
        counts[name] = Counter(stat.key.partition("/")[0] for stat in mirror.store.list(""))
        assert len(mirror.root().attachments) <= 5
        with closing(mirror.mirror()) as program:
            assert program.verify(BY_DAEMON).ok
    more = counts["signed"] - counts["plain"]
    told = "five documents of the root; the statement, and its signature; that of the segment of the audit"
    assert more == {"blobs": 7, "trust": 1, "audit": 1}, told
