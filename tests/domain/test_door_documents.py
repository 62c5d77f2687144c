"""Documents of doors by themselves: quantizations cut from names, manifests, names of repos in a registry."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.doors.gguf_quants import GgufFacts, default_of, projector_of, quants_of
from mirror_sync.domain.doors.oci_documents import (
    CONFIG,
    LARGEST_MANIFEST,
    MANIFEST,
    MORE,
    MoreDocuments,
    OciSubject,
    layer_size,
    oci_documents,
    oci_name,
)
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError

COMMIT = CommitId("c" * 40)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=30)


def file_of(path: str, size: int = 7) -> MirroredFile:
    return MirroredFile(path, size, GitOid("a" * 40), Sha256.of(path.encode()))


def made(*files: MirroredFile, kind: Kind = Kind.MODEL) -> dict[str, bytes]:
    return oci_documents(OciSubject(Repo(kind, "Acme/One"), COMMIT, files), lambda _: b"")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", ("Q4_K_M",)),
        ("model.q8_0.gguf", ("Q8_0",)),
        ("Qwen3-UD-Q4_K_XL.gguf", ("Q4_K_XL", "UD-Q4_K_XL")),
        ("BF16/Big-BF16-00001-of-00001.gguf", ("BF16",)),
        ("plain.gguf", ()),
    ],
)
def test_a_quantization_is_cut_from_the_end_of_a_name_as_llama_cpp_does(path: str, names: tuple[str, ...]) -> None:
    (quant,) = quants_of([file_of(path)])
    assert quant.names == names


def test_parts_of_one_model_are_one_and_a_part_that_is_missing_makes_none() -> None:
    parts = [file_of(f"x/M-Q4_0-0000{number}-of-00003.gguf") for number in (3, 1, 2)]
    (quant,) = quants_of(parts)
    assert [file.path[13] for file in quant.files] == ["1", "2", "3"]
    assert quants_of(parts[:2]) == ()


def test_what_stands_beside_a_model_is_none_and_the_nearest_projector_goes_with_it() -> None:
    files = [file_of(name) for name in ("M-Q8_0.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf", "M-imatrix.gguf")]
    (quant,) = quants_of(files)
    projector = projector_of(files, quant)
    assert projector is not None
    assert projector.path == "mmproj-F16.gguf"


def test_q4_k_m_is_meant_where_nobody_says_else_the_smallest() -> None:
    files = [file_of("M-Q8_0.gguf", 9), file_of("M-Q4_K_M.gguf", 5), file_of("M-Q2_K.gguf", 2)]
    named = default_of(quants_of(files))
    assert named is not None
    assert named.name == "Q4_K_M"
    smallest = default_of(quants_of([files[0], files[2]]))
    assert smallest is not None
    assert smallest.name == "Q2_K"
    assert default_of(()) is None


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def test_facts_are_read_of_a_header_and_of_anything_else_there_are_none() -> None:
    facts = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    facts += text("general.quantized_by_number") + struct.pack("<II", 4, 7)
    facts += text("general.size_label") + struct.pack("<I", 8) + text("7B")
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + facts
    assert GgufFacts.of(head) == GgufFacts("llama", "7B")
    assert GgufFacts.of(head[: len(head) - 4]) == GgufFacts("llama")
    for other in (b"", b"GGUF", b"GGML" + head[4:], head[:24] + b"\xff" * 40):
        assert GgufFacts.of(other) == GgufFacts()


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_of_headers_fail(body: bytes) -> None:
    GgufFacts.of(b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63) + body)


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("Acme/One", "acme/one"),
        ("dataset:Acme/Rows", "datasets/acme/rows"),
        ("acme/a__b", "acme/a__b"),
        ("acme/x-1.5_b", "acme/x-1.5_b"),
        ("gpt2", "gpt2"),
        ("_acme/one", None),
        ("acme/a._b", None),
        ("acme/a___b", None),
    ],
)
def test_a_repo_has_a_name_in_a_registry_that_clients_take_or_none(repo: str, name: str | None) -> None:
    assert oci_name(Repo.parse(repo)) == name


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (["a.safetensors", "b.gguf", "c.onnx"], "gguf"),
        (["a.safetensors", "c.onnx"], "safetensors"),
        (["c.onnx", "a.bin", "b.bin"], "onnx"),
        (["a.bin", "b.bin", "c.json"], "bin"),
        (["a.b", "c.a"], "a"),
        (["README"], "unknown"),
    ],
)
def test_the_format_is_that_of_the_files(paths: list[str], kind: str) -> None:
    assert json.loads(made(*map(file_of, paths))[CONFIG])["config"]["format"] == kind


@given(st.lists(PATHS, unique=True, min_size=1, max_size=9))
def test_whatever_files_are_called_each_is_a_layer_that_is_found_by_its_digest(paths: list[str]) -> None:
    files = [file_of(path) for path in paths if path not in (".", "..")]
    documents = made(*files)
    if not files:
        assert documents == {}
        return
    manifest = json.loads(documents[MANIFEST])
    assert [one["annotations"]["org.cncf.model.filepath"] for one in manifest["layers"]] == sorted(
        file.path for file in files
    )
    assert all(layer_size(documents[MANIFEST], file.sha256) == file.size for file in files)
    assert layer_size(documents[MANIFEST], Sha256("0" * 64)) is None
    assert documents == made(*reversed(files))
    assert all(body.isascii() for body in documents.values())


def test_a_snapshot_that_no_manifest_can_name_has_none() -> None:
    assert made(file_of("a", 0)) == {}
    assert made(*(file_of(f"{'x' * 900}{number}") for number in range(LARGEST_MANIFEST // 2000))) == {}


def test_ollama_gets_a_model_with_what_the_repo_has_for_it_and_nothing_that_is_split() -> None:
    files = [file_of(name) for name in ("M-Q4_0.gguf", "mmproj-F16.gguf", "template", "params", "README.md")]
    files += [file_of("M-Q8_0-00001-of-00002.gguf"), file_of("M-Q8_0-00002-of-00002.gguf")]
    more = MoreDocuments.decode(made(*files)[MORE])
    quant, split = more.quant("q4_0"), more.quant("Q8_0")
    assert quant is not None
    assert split is not None
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in json.loads(more.texts[quant.ollama][1])["layers"]]
    assert kinds == ["model", "projector", "params", "template"]
    assert split.ollama == ""
    assert len(json.loads(more.texts[split.pack][1])["layers"]) == 2
    assert (more.default, more.names) == (quant, ["Q4_0", "Q8_0"])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"quants":[],"default":1,"referrers":[],"texts":{}}'])
def test_what_is_no_such_document_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentError):
        MoreDocuments.decode(body)
