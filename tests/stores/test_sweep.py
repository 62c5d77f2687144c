"""What is particular to each store when uploads are gone on with or swept: which age counts, what is disbelieved."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError, StoreUnavailable
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.s3 import resume_upload
from tests.servers.bucket import S3Server
from tests.stores.places import MIB, Bucket, Folder, put, read, store_at, target_on
from tests.stores.resuming import BACK, HOUR, KEY, kept_upload, put_rest
from tests.stores.scripted import Answer, Asked, fault, scripted
from tests.stores.uploads import part

DAY = 24 * HOUR
PART = MIB
BODY = os.urandom(2 * PART + 5)
SERVERS = pytest.mark.parametrize("server", ["moto", "radosgw"])


class TestDirectory:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "target", PART)

    def _staged(self, place: Folder) -> list[Path]:
        return sorted((place.root / ".staging").iterdir())

    def _age(self, path: Path, seconds: float) -> None:
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))

    def test_the_age_of_a_staged_file_counts_from_its_last_write(self, place: Folder) -> None:
        upload = place.open().begin(KEY, len(BODY))
        (path,) = self._staged(place)
        self._age(path, 2 * DAY)
        upload.put(0, part(upload, BODY, 0))
        assert place.open().sweep(DAY) == 0
        self._age(path, 2 * DAY)
        assert place.open().sweep(DAY) == 1
        assert self._staged(place) == []

    def test_an_old_upload_that_is_gone_on_with_is_in_use(self, place: Folder) -> None:
        token = kept_upload(place, BODY, 1)
        self._age(self._staged(place)[0], 2 * DAY)
        with place.open().begin(KEY, len(BODY), token) as upload:
            assert place.open().sweep(DAY) == 0
            put_rest(upload, BODY)
            upload.complete()
        assert read(place.open(), KEY) == BODY

    def test_what_a_small_object_left_is_swept_too(self, place: Folder) -> None:
        put(place.open(), "a", b"x")
        left = place.root / ".staging" / "1-0123456789abcdef"
        left.write_bytes(b"half")
        assert place.open().sweep(BACK) == 1
        assert not left.exists()

    def test_a_kept_file_that_lost_its_end_starts_anew(self, place: Folder) -> None:
        token = kept_upload(place, BODY, 2)
        os.truncate(self._staged(place)[0], PART)
        with place.open().begin(KEY, len(BODY), token) as upload:
            assert upload.kept == 0
            assert len(self._staged(place)) == 1

    @pytest.mark.parametrize("name", ["../a/b", "/etc/passwd", "1-0123456789abcdef/../../a/b", "", "."])
    def test_a_token_names_nothing_outside_of_the_staging_folder(self, place: Folder, name: str) -> None:
        put(place.open(), "a/b", BODY)
        token = json.dumps({"upload": name, "size": len(BODY), "part_size": PART, "kept": 1, "proof": ""})
        with place.open().begin(KEY, len(BODY), token) as upload:
            assert upload.kept == 0
        assert read(place.open(), "a/b") == BODY

    def test_other_parts_start_anew(self, place: Folder) -> None:
        token = kept_upload(place, BODY, 1)
        with DirectoryStore(place.root, part_size=PART + MIB).begin(KEY, len(BODY), token) as upload:
            assert (upload.kept, len(self._staged(place))) == (0, 1)

    def test_free_is_told_before_the_root_exists(self, tmp_path: Path) -> None:
        assert DirectoryStore(tmp_path / "a" / "b").free() > 0
        assert not (tmp_path / "a").exists()


class TestBucket:
    @pytest.fixture
    def place(self, request: pytest.FixtureRequest, server: str) -> Bucket:
        found: S3Server = request.getfixturevalue(server)
        return Bucket(target_on(found, "some/prefix"))

    @pytest.fixture
    def body(self, place: Bucket) -> bytes:
        return os.urandom(2 * place.open().part_size + 5)

    @SERVERS
    def test_a_part_that_was_replaced_is_disbelieved_and_the_upload_aborted(self, place: Bucket, body: bytes) -> None:
        with place.open().begin(KEY, len(body)) as first:
            for number in (0, 1):
                first.put(number, part(first, body, number))
            token = first.token(2)
            first.put(1, bytes(first.part_size))
            first.keep()
        with place.open().begin(KEY, len(body), token) as upload:
            assert upload.kept == 0
        assert place.open().sweep(BACK) == 0

    @SERVERS
    def test_an_old_upload_that_is_gone_on_with_shows_it_and_ends_right(
        self, monkeypatch: pytest.MonkeyPatch, place: Bucket, body: bytes
    ) -> None:
        token = kept_upload(place, body, 1)
        monkeypatch.setattr(resume_upload, "_QUIET", BACK)
        with place.open().begin(KEY, len(body), token) as upload:
            put_rest(upload, body)
            upload.complete()
        assert read(place.open(), KEY) == body

    @SERVERS
    def test_uploads_of_others_are_not_swept(self, place: Bucket, body: bytes) -> None:
        """The same bucket may hold more than this mirror, and more than one mirror."""
        other = Bucket(replace(place.target, prefix="some/other"))
        kept_upload(other, body, 1)
        kept_upload(place, body, 1, key="no/blob")
        assert place.open().sweep(BACK) == 0
        assert other.open().sweep(BACK) == 1


NOW, OLD, OLDER = "2026-01-10T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-01T00:00:00Z"


def _answer_about(newest_part: str, asked: Asked) -> Answer:
    """Two uploads of blobs, begun long ago; the parts of both are as old as is said."""
    date = {"Date": "Sat, 10 Jan 2026 00:00:00 GMT"}
    if asked.method != "GET":
        return Answer(204, headers=date)
    if "uploads" in asked.target:
        each = f"<Upload><Key>{KEY}</Key><UploadId>%s</UploadId><Initiated>{OLDER}</Initiated></Upload>"
        return Answer(body=f"<R>{each % 'one'}{each % 'two'}</R>".encode(), headers=date)
    part = f"<Part><PartNumber>1</PartNumber><Size>1</Size><LastModified>{newest_part}</LastModified></Part>"
    return Answer(body=f"<R>{part}</R>".encode(), headers=date)


@pytest.mark.parametrize(("newest_part", "swept"), [(NOW, 0), (OLD, 0), (OLDER, 2)])
def test_the_age_of_an_upload_counts_from_its_newest_part_by_the_servers_clock(newest_part: str, swept: int) -> None:
    with scripted(lambda asked: _answer_about(newest_part, asked)) as server:
        assert store_at(server.endpoint_url).sweep(2 * DAY) == swept
    assert [asked.method for asked in server.asked].count("DELETE") == swept


def test_an_upload_that_ends_while_the_sweep_looks_is_none_of_ours() -> None:
    def script(asked: Asked) -> Answer:
        return _answer_about(OLDER, asked) if "uploads" in asked.target else fault("NoSuchUpload", 404)

    with scripted(script) as server:
        assert store_at(server.endpoint_url).sweep(DAY) == 0


def test_a_server_that_does_not_answer_about_kept_parts_costs_nothing_that_was_kept() -> None:
    token = json.dumps({"upload": "id", "size": 5, "part_size": 16 << 20, "kept": 1, "proof": "x"})
    with scripted(lambda _: fault("SlowDown", 503)) as server, pytest.raises(StoreUnavailable):
        store_at(server.endpoint_url).begin(KEY, 5, token)
    assert {asked.method for asked in server.asked} == {"GET"}


def test_a_server_that_takes_no_part_twice_is_a_refusal_not_a_passing_fault() -> None:
    """rclone's server answers so, for ever; what is no passing fault is not gone on with."""
    begun = b"<R><UploadId>id</UploadId></R>"
    with (
        scripted(lambda asked: fault("NotImplemented", 501) if asked.method == "PUT" else Answer(body=begun)) as server,
        store_at(server.endpoint_url).begin(blob_key(Sha256.of(b"")), 5) as upload,
        pytest.raises(StoreError, match="501") as caught,
    ):
        upload.put(0, b"12345")
    assert type(caught.value) is StoreError
