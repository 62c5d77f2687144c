"""The document `classes`: as small as it can be, and read back as it was written, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.formats.class_list import ClassList, ClassListMaker
from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.errors import DocumentError


def listed(files: list[tuple[str, Classified]]) -> ClassList:
    maker = ClassListMaker()
    for path, found in files:
        maker.add(path, 10, found)
    return maker.made()


FOUND = st.builds(Classified, st.sampled_from(FileClass), st.text(max_size=8))


@given(st.lists(FOUND, max_size=60))
def test_the_class_of_every_file_is_read_back(found: list[Classified]) -> None:
    files = [(f"{number}", one) for number, one in enumerate(found)]
    back = ClassList.decode(listed(files).encode())
    assert [one.of for one in back.each(path for path, _ in files)] == [one.of for one in found]
    assert back.files == len(files)
    assert {of: (one.files, one.bytes) for of, one in back.shares.items()} == {
        of: (count, 10 * count) for of in FileClass if (count := sum(one.of is of for one in found))
    }
    running = {path: one for path, one in files if one.of.runs or one.of is FileClass.UNKNOWN}
    assert back.named == running


def test_a_hundred_thousand_files_of_one_class_cost_some_bytes_and_only_the_first_are_named() -> None:
    data = listed([(f"{n}.parquet", Classified(FileClass.DATA, "Parquet")) for n in range(100_000)])
    assert len(data.encode()) < 300
    pickles = listed([(f"{n}.pkl", Classified(FileClass.PICKLE, "pickle")) for n in range(5000)])
    assert len(pickles.named) == 1000
    assert [one.of for one in pickles.each(f"{n}.pkl" for n in range(5000))] == [FileClass.PICKLE] * 5000


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"order": "d1z1"},
        {"order": "d0"},
        {"order": "d99999999"},
        {"order": 5},
        {"named": [["a", "nothing", ""]]},
        {"classes": {"data": {"files": -1, "bytes": 0}}},
    ],
)
def test_what_is_no_such_document_is_an_error_of_ours(change: dict[str, object]) -> None:
    document = json.loads(listed([("a", Classified(FileClass.DATA, ""))]).encode())
    with pytest.raises(DocumentError):
        ClassList.decode(json.dumps({**document, **change}).encode())


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_raise_anything_else(body: bytes) -> None:
    with pytest.raises(DocumentError):
        ClassList.decode(body)
