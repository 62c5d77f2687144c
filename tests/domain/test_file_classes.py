"""What a file is, told by ranges of its bytes: every class, the bounds, and that nothing makes the classifier raise."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirror_sync.domain.formats import ranges
from mirror_sync.domain.formats.classifier import classify
from mirror_sync.domain.formats.file_class import Classified, FileClass, by_name, may_run, rank
from mirror_sync.errors import StoreUnavailable
from tests.trust import recipes
from tests.trust.recipes import FILES, zipped

BODIES = sorted({body for _, body in FILES.values() if len(body) < 20_000})
NAMES = st.sampled_from(sorted(FILES)) | st.builds(
    "{}{}".format, st.text(max_size=5), st.sampled_from([".bin", ".PT", ".safetensors", ".so.3", ".keras", "", ".zip"])
)


class Counted:
    """Bytes that are read by ranges, and how many of them were."""

    def __init__(self, body: bytes) -> None:
        self.body, self.bytes, self.reads = body, 0, 0

    def __call__(self, start: int, length: int) -> bytes:
        self.bytes, self.reads = self.bytes + length, self.reads + 1
        assert 0 <= start <= start + length <= len(self.body)
        return self.body[start : start + length]


def classed(name: str, body: bytes) -> Classified:
    return classify(name, len(body), Counted(body))


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_of_the_class_of_what_it_is(name: str) -> None:
    wanted, body = FILES[name]
    found = classed(name, body)
    assert (found.of, bool(found.what)) == (wanted, True), found


@st.composite
def hurt(draw: st.DrawFn) -> bytes:
    """A file of a known format with some of its bytes lost, changed or doubled."""
    body = bytearray(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(body)))
        kind = draw(st.sampled_from(["cut", "change", "insert"]))
        if kind == "cut":
            del body[place : place + draw(st.integers(1, 40))]
        elif kind == "change":
            body[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        else:
            body[place:place] = draw(st.binary(max_size=8) | st.sampled_from(BODIES))
    return bytes(body)


@given(NAMES, hurt() | st.binary(max_size=400))
@example("x.keras", zipped({"config.json": b"[" * 100_000}))
@example("config.json", b'{"auto_map":' * 50_000)
@example("x.npy", recipes.npy("(" * 5000))
@example("x.npy", recipes.npy("-" * 5000))
@example("x", b"(" * 60_000 + b".")
@example("x", b"I" + b"9" * 60_000 + b"\n.")
def test_no_bytes_whatever_make_it_raise_or_read_beyond_its_bounds_and_a_name_lowers_no_class(
    name: str, body: bytes
) -> None:
    read = Counted(body)
    found = classify(name, len(body), read)
    assert read.bytes <= ranges.MOST_BYTES
    assert read.reads <= ranges.MOST_READS
    assert rank(found.of) >= rank(classed("plain", body).of)


@given(st.binary(min_size=1, max_size=64))
def test_what_is_named_as_code_or_as_a_pickle_is_never_text_nor_unknown(body: bytes) -> None:
    for name, least in (("x.bin", FileClass.PICKLE), ("x.py", FileClass.CODE), ("x.exe", FileClass.EXECUTABLE)):
        assert classed(name, body).of not in (FileClass.TEXT, FileClass.UNKNOWN)
        assert by_name(name) is least


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=20,
    ),
    st.integers(0, 5),
)
def test_a_pickle_of_anything_is_a_pickle_whatever_its_protocol_and_its_name(value: object, protocol: int) -> None:
    assert classed("README.md", pickle.dumps(value, protocol)).of is FileClass.PICKLE


def test_a_pickle_that_calls_something_and_never_ends_is_one() -> None:
    body = pickle.dumps(recipes.ORDERED, 0)
    assert classed("notes.txt", body[: body.index(b"R") + 1] + b" and so on").of is FileClass.PICKLE


def test_what_cannot_be_read_is_no_class() -> None:
    def read(start: int, length: int) -> bytes:
        raise StoreUnavailable("the target is silent")

    with pytest.raises(StoreUnavailable):
        classify("a.txt", 10, read)


@pytest.mark.parametrize(
    ("head", "tail", "wanted", "most"),
    [
        (b"", b"", FileClass.UNKNOWN, 300_000),
        (b"GGUF", b"", FileClass.CONTAINER, 5_000),
        (b"PAR1", b"PAR1", FileClass.DATA, 5_000),
        (b"\x80\x02}q\0.", b"", FileClass.PICKLE, 5_000),
        (b"words " * 20_000, b"words", FileClass.UNKNOWN, 300_000),
    ],
)
def test_two_gibibytes_cost_kilobytes(tmp_path: Path, head: bytes, tail: bytes, wanted: FileClass, most: int) -> None:
    size, path = 2 << 30, tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
        file.seek(size - len(tail))
        file.write(tail)
    count, found = _of_file(path, "sparse")
    assert (found.of, count <= most) == (wanted, True), count


def test_a_torch_file_of_two_gibibytes_costs_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(recipes.ORDERED, 2))
        with archive.open("archive/data/0", "w") as member:
            member.write(b"\0" * 100)
    body = path.read_bytes()
    directory = body.index(b"PK\x01\x02")
    grown = (2 << 30) - len(body)  # the tensor, and with it the directory, is that much further on
    with path.open("wb") as file:
        file.write(body[:directory])
        file.truncate(directory + grown)
        file.seek(directory + grown)
        end = bytearray(body[directory:])
        place = end.index(b"PK\x05\x06")
        end[place + 16 : place + 20] = struct.pack("<I", directory + grown)
        file.write(end)
    count, found = _of_file(path, "model.pt")
    assert (found.of, found.what, count <= 100_000) == (FileClass.PICKLE, "torch zip", True), count


def _of_file(path: Path, name: str) -> tuple[int, Classified]:
    """How many bytes of a file were read, and what it is."""
    count = 0
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            nonlocal count
            count += length
            file.seek(start)
            return file.read(length)

        found = classify(name, path.stat().st_size, read)
    return count, found


@pytest.mark.parametrize(
    "body",
    [
        b"PK\x03\x04" + b"\0" * 60 + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 0xFFFE, 0xFFFFFFFE, 0, 0),
        b"PK\x03\x04" + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 4, 0, 0),
        zipped({"a.txt": b"1"}, comment=b"PK\x05\x06" + b"\0" * 30),
        zipped({f"{n}.npy": recipes.npy() for n in range(300)}),
    ],
    ids=["more than there is", "nothing in it", "two directories", "more arrays than are read"],
)
def test_a_directory_that_lies_or_asks_for_too_much_is_unknown(body: bytes) -> None:
    found = classed("a.zip", body)
    assert found.of is FileClass.UNKNOWN, found


def test_a_zip_of_many_members_is_read_in_pieces() -> None:
    body = zipped({f"pictures/of/something/{n:06}.png": b"" for n in range(20_000)})
    read = Counted(body)
    assert classify("a.zip", len(body), read).of is FileClass.CONTAINER
    assert read.bytes < len(body)


def test_a_zip_of_zip64_is_read_as_one() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, archive.open("archive/data.pkl", "w", force_zip64=True) as member:
        member.write(b"N.")
    body = made.getvalue()
    place = body.index(b"PK\x05\x06")
    directory = struct.unpack_from("<HII", body, place + 10)
    wide = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, directory[1], directory[2])
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, place, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert zipfile.ZipFile(io.BytesIO(body[:place] + wide + locator + end)).namelist() == ["archive/data.pkl"]
    assert classed("model", body[:place] + wide + locator + end).what == "torch zip"


def test_a_zip_behind_something_else_counts_where_readers_would_open_it() -> None:
    body = b"\x89PNG\r\n\x1a\n" + b"\0" * 50 + zipped({"deep.pkl": b"N."})
    assert classed("picture.png", body).of is FileClass.DATA
    assert classed("picture.zip", body).of is FileClass.PICKLE


def test_names_alone_tell_what_may_run() -> None:
    running = ["a/b.PKL", "x.bin", "m.pt", "m.pth", "m.ckpt", "m.joblib", "m.py", "l.so", "l.so.1", "p.exe", "i.sh"]
    assert all(map(may_run, [*running, "m.keras", "m.h5"]))
    assert not any(map(may_run, ["a.safetensors", "README.md", "x.so/readme", "py", "config.json", "m.gguf"]))
    assert by_name("m.keras") is None
