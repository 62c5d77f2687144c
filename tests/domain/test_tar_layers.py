"""What stands around the bytes of files in a layer: archives that others read, the same for ever, few and bounded."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.doors.oci_images import IMAGE, LAYERS, ImageLayer, ImageTexts, image_documents, layer_of
from mirror_sync.domain.doors.tar_layers import LayerFile, between, cut_layers, pieces_of, size_of
from mirror_sync.domain.repo import Repo

ZERO = Sha256("0" * 64)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=120)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)


def body_of(layer: tuple[LayerFile, ...]) -> bytes:
    return b"".join(piece if isinstance(piece, bytes) else b"b" * piece.size for piece in pieces_of(layer))


def file(path: str, size: int) -> MirroredFile:
    return MirroredFile(path, size, GitOid("0" * 40), ZERO)


@given(st.dictionaries(PATHS, st.integers(0, 1500), max_size=6))
def test_what_is_written_is_read_by_others_name_for_name_and_byte_for_byte(sizes: dict[str, int]) -> None:
    layer = tuple(LayerFile(path, ZERO, size) for path, size in sorted(sizes.items()))
    body = body_of(layer)
    assert len(body) == size_of(layer)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        found = [(one.name, one.size) for one in archive.getmembers() if one.isfile()]
    assert found == sorted(sizes.items())


def test_the_layout_of_a_layer_is_for_ever() -> None:
    """These digests are pinned by clients: a change of the layout is a new format of images, not a repair."""
    layer = (LayerFile("a/b", ZERO, 3), LayerFile("a/\u00e9", ZERO, 600), LayerFile("c" * 101, ZERO, 0))
    assert Sha256.of(body_of(layer)) == "7aebaa0f2d375947cf89c108f7e5ffac25104da2409c063b178717525fb0227c"


def test_a_file_of_eight_gigabytes_has_its_size_in_a_header_of_pax() -> None:
    for size in (8 * 2**30 - 1, 8 * 2**30, 5 * 10**13):
        header = next(iter(pieces_of((LayerFile("huge", ZERO, size),))))
        assert isinstance(header, bytes)
        with tarfile.open(fileobj=io.BytesIO(header), mode="r|") as archive:
            member = archive.next()
            assert member is not None
            assert (member.name, member.size) == ("huge", size)


@given(st.lists(st.integers(0, 2**42), min_size=1, max_size=300))
def test_layers_are_few_and_hold_every_file_once_in_the_order_of_paths(sizes: list[int]) -> None:
    files = [file(f"{number:04}", size) for number, size in enumerate(sizes)]
    layers = cut_layers(reversed(files))
    assert [one.path for layer in layers for one in layer] == [one.path for one in files]
    assert len(layers) <= 101


def test_a_name_that_deletes_another_one_in_a_layer_makes_no_image() -> None:
    assert cut_layers([file("a/.wh.b", 1), file("c", 1)]) == []
    assert len(cut_layers([file("a/.whb", 1)])) == 1


@given(st.integers(0, 4000), st.integers(0, 4000))
def test_a_range_is_cut_out_of_the_pieces_that_it_touches(first: int, second: int) -> None:
    layer = (LayerFile("a", ZERO, 700), LayerFile("b", ZERO, 512), LayerFile("c", ZERO, 0))
    body, (start, stop) = body_of(layer), sorted((first, second))
    cut = between(pieces_of(layer), start, stop)
    got = b"".join((piece if isinstance(piece, bytes) else b"b" * piece.size)[at:end] for piece, at, end in cut)
    assert got == body[start:stop]


def test_a_layer_is_found_among_many_by_its_digest_alone() -> None:
    layers = [ImageLayer(Sha256.of(b"%d" % one), one, (LayerFile(f"{one}", ZERO, one),)) for one in range(90)]
    documents = image_documents(Repo.parse("acme/one"), CommitId("a" * 40), layers)
    for layer in layers:
        assert layer_of(documents[LAYERS], layer.digest) == layer
    assert layer_of(documents[LAYERS], ZERO) is None
    texts = ImageTexts.decode(documents[IMAGE])
    assert "arm64" in texts.texts[texts.index][1]
    assert image_documents(Repo.parse("acme/one"), CommitId("a" * 40), layers * 2) == {}
