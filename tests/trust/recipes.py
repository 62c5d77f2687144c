"""Small, harmless files of every class, each made here by the layout of its format; nothing in them does anything."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict

from mirror_sync.domain.formats.file_class import FileClass

PLAIN = {"weights": [1.5, 2, "three"], "none": None}
ORDERED = OrderedDict(layer=1)  # named by a global, as the state of a model is


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """A zip of these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
        archive.comment = comment
    return made.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    """A tar of these members."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return made.getvalue()


def torch_zip(state: object = ORDERED) -> bytes:
    """What torch.save writes: a pickle beside the bytes of tensors."""
    members = {"data.pkl": pickle.dumps(state, 2), "byteorder": b"little", "data/0": b"\0" * 40, "version": b"3\n"}
    return zipped({f"archive/{name}": body for name, body in members.items()})


def torch_script() -> bytes:
    """What torch.jit.save writes."""
    members = {"data.pkl": pickle.dumps(ORDERED, 2), "constants.pkl": pickle.dumps((), 2), "version": b"3\n"}
    return zipped(
        {
            **{f"archive/{name}": body for name, body in members.items()},
            "archive/code/__torch__.py": b"class M(Module):\n  pass\n",
        }
    )


def npy(descr: str = "'<f4'", count: int = 2, body: bytes = b"\0" * 8) -> bytes:
    """A numpy array with this type in its header (NEP 1)."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': ({count},), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + body


def safetensors(tensors: int = 1) -> bytes:
    """So many tensors of two floats."""
    entries = {f"t{n}": {"dtype": "F32", "shape": [2], "data_offsets": [8 * n, 8 * n + 8]} for n in range(tensors)}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + b"\0" * (8 * tensors)


def keras(layer: str, module: str = "keras.layers", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A model of Keras 3 with one layer."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": [{"module": module, "class_name": layer}]},
    }
    return zipped(
        {
            "metadata.json": b'{"keras_version": "3.0.0"}',
            "config.json": json.dumps(config).encode(),
            "model.weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 64,
        },
        method,
    )


def field(number: int, body: bytes | int) -> bytes:
    """A field of a message of Protocol Buffers, shorter than 128."""
    if isinstance(body, int):
        return bytes((number << 3, body))
    return bytes((number << 3 | 2, len(body))) + body


ONNX = field(1, 8) + field(2, b"tests") + field(7, field(2, b"graph")) + field(8, field(2, 17))
SENTENCEPIECE = b"".join(field(1, field(1, b"<%d>" % n) + b"\x15\0\0\x80\x3f" + field(3, 1)) for n in range(20))
PE = b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0" + b"\0" * 20
FLOATS = struct.pack("<64f", *(n / 3 for n in range(64)))
TEXT = "A few words, naïve ones.\n".encode() * 20
_MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"

FILES: dict[str, tuple[FileClass, bytes]] = {
    "empty.bin": (FileClass.DATA, b""),
    "__init__.py": (FileClass.DATA, b""),
    "model.safetensors": (FileClass.DATA, safetensors(3)),
    "weights-are-safetensors.bin": (FileClass.DATA, safetensors()),
    "plain.npy": (FileClass.DATA, npy()),
    "fields.npy": (FileClass.DATA, npy("[('x', '<f4'), ('y', [('z', '|u1')], (2, 2))]")),
    "table.parquet": (FileClass.DATA, b"PAR1" + b"\0" * 20 + b"PAR1"),
    "table.arrow": (FileClass.DATA, b"ARROW1\0\0" + b"\0" * 20),
    "stream.arrow": (FileClass.DATA, b"\xff\xff\xff\xff" + struct.pack("<iI", 16, 8) + b"\0" * 40),
    "picture.png": (FileClass.DATA, b"\x89PNG\r\n\x1a\n" + b"\0" * 30),
    "picture.jpg": (FileClass.DATA, b"\xff\xd8\xff\xe0" + b"\0" * 30),
    "picture.gif": (FileClass.DATA, b"GIF89a" + b"\0" * 30),
    "picture.webp": (FileClass.DATA, b"RIFF\x1e\0\0\0WEBPVP8 " + b"\0" * 30),
    "sound.wav": (FileClass.DATA, b"RIFF\x1e\0\0\0WAVEfmt " + b"\0" * 30),
    "sound.flac": (FileClass.DATA, b"fLaC" + b"\0" * 30),
    "sound.mp3": (FileClass.DATA, b"\xff\xfb\x90\x64" + b"\0" * 30),
    "film.mp4": (FileClass.DATA, _MP4),
    "README.md": (FileClass.TEXT, TEXT),
    "long.txt": (FileClass.TEXT, "naïve ".encode() * 40_000),
    "notes.txt": (FileClass.TEXT, b"N.B. this begins as a pickle of None.\n"),
    "list.txt": (FileClass.TEXT, b"1. one\n2. two\n"),
    "numbers.csv": (FileClass.TEXT, b"0.5,0.25\n0.1,0.2\n"),
    "vocab.txt": (FileClass.TEXT, b"cat\ndog\nbird\n"),
    "config.json": (FileClass.TEXT, b'{"architectures": ["M"], "auto_map": {}}'),
    "model.gguf": (FileClass.CONTAINER, b"GGUF\x03\0\0\0" + b"\0" * 16),
    "model.onnx": (FileClass.CONTAINER, ONNX),
    "spiece.model": (FileClass.CONTAINER, SENTENCEPIECE),
    "weights.h5": (FileClass.CONTAINER, b"\x89HDF\r\n\x1a\n" + b"\0" * 64),
    "arrays.npz": (FileClass.CONTAINER, zipped({"a.npy": npy(), "b.npy": npy("'|b1'")})),
    "packed.npz": (FileClass.CONTAINER, zipped({"a.npy": npy()}, zipfile.ZIP_DEFLATED)),
    "pictures.zip": (FileClass.CONTAINER, zipped({"a/1.png": b"\x89PNG", "a/2.png": b"\x89PNG"})),
    "remarked.zip": (FileClass.CONTAINER, zipped({"a.txt": b"1"}, comment=b"a remark")),
    "shards.tar": (FileClass.CONTAINER, tarred({"1.json": b"{}", "1.jpg": b"\xff\xd8"})),
    "lines.jsonl.gz": (FileClass.CONTAINER, gzip.compress(b'{"a": 1}\n' * 50_000, mtime=0)),
    "lines.jsonl.bz2": (FileClass.CONTAINER, bz2.compress(b'{"a": 1}\n')),
    "lines.jsonl.xz": (FileClass.CONTAINER, lzma.compress(b'{"a": 1}\n')),
    "small.tar.gz": (FileClass.CONTAINER, gzip.compress(tarred({"a.txt": b"1"}), mtime=0)),
    "model.keras": (FileClass.CONTAINER, keras("Dense")),
    **{f"plain-{n}.data": (FileClass.PICKLE, pickle.dumps(PLAIN, n)) for n in range(6)},
    **{f"ordered-{n}.data": (FileClass.PICKLE, pickle.dumps(ORDERED, n)) for n in range(6)},
    "long-0.data": (FileClass.PICKLE, pickle.dumps(list(range(50_000)), 0)),
    "long-1.data": (FileClass.PICKLE, pickle.dumps(list(range(50_000)), 1)),
    "none.data": (FileClass.PICKLE, pickle.dumps(None, 0)),
    "model.pt": (FileClass.PICKLE, torch_zip()),
    "pytorch_model": (FileClass.PICKLE, torch_zip()),
    "floats.bin": (FileClass.PICKLE, FLOATS),
    "words.pkl": (FileClass.PICKLE, TEXT),
    "objects.npy": (FileClass.PICKLE, npy("'|O'", body=pickle.dumps([1, 2]))),
    "object-field.npy": (FileClass.PICKLE, npy("[('x', '<f4'), ('y', [('z', 'O')])]")),
    "objects.npz": (FileClass.PICKLE, zipped({"a.npy": npy(), "b.npy": npy("'|O'")})),
    "inside.zip": (FileClass.PICKLE, zipped({"a.txt": b"1", "deep/in/it.pkl": b"N."})),
    "packed.joblib": (FileClass.PICKLE, zlib.compress(pickle.dumps(PLAIN))),
    "packed": (FileClass.PICKLE, gzip.compress(pickle.dumps(PLAIN), mtime=0)),
    "old-torch.tar": (FileClass.PICKLE, tarred({"sys_info": b"", "pickle": pickle.dumps(ORDERED, 2), "tensors": b""})),
    "modeling.py": (FileClass.CODE, b"class Model:\n    pass\n"),
    "script.pt": (FileClass.CODE, torch_script()),
    "lambda.keras": (FileClass.CODE, keras("Lambda")),
    "stored-lambda.keras": (FileClass.CODE, keras("Lambda", method=zipfile.ZIP_STORED)),
    "foreign.keras": (FileClass.CODE, keras("Dense", "my.layers")),
    "lambda.h5": (FileClass.CODE, b"\x89HDF\r\n\x1a\n" + b'{"class_name": "Lambda"}' + b"\0" * 64),
    "package.zip": (FileClass.CODE, zipped({"a/__init__.py": b""})),
    "sub/config.json": (FileClass.CODE, b'{"auto_map": {"AutoModel": "modeling.Model"}}'),
    "long/config.json": (FileClass.CODE, b'{"auto_map": {"AutoModel": "m.M"}, "x": ' + b"1" * 5000 + b"}"),
    "one-line.data": (FileClass.UNKNOWN, b"V" + b"a" * 70_000 + b"\n0N."),
    "one-line-4.data": (FileClass.PICKLE, b"\x80\x04V" + b"a" * 70_000 + b"\n0N."),
    "one-quote.data": (FileClass.UNKNOWN, b"(S'" + b"a" * 70_000 + b"'\n0N."),
    "one-line.txt": (FileClass.TEXT, b"words " * 20_000),
    "deep/config.json": (FileClass.UNKNOWN, b'{"auto_map": {"AutoModel": "m.M"}, "x": ' + b"[" * 20_000),
    "tokenizer_config.json": (FileClass.CODE, b'{"a": [{"auto\\u005fmap": {"AutoTokenizer": ["t.T", null]}}]}'),
    "library": (FileClass.EXECUTABLE, b"\x7fELF\2\1\1" + b"\0" * 60),
    "program": (FileClass.EXECUTABLE, PE),
    "script": (FileClass.EXECUTABLE, b"#!/bin/true\n"),
    "run.py": (FileClass.EXECUTABLE, b"#!/usr/bin/env python3\n"),
    "install.sh": (FileClass.EXECUTABLE, b"true\n"),
    "lib.so.1.2": (FileClass.EXECUTABLE, FLOATS),
    "unsure": (FileClass.UNKNOWN, FLOATS),
    "text.safetensors": (FileClass.UNKNOWN, TEXT),
    "pointer.gguf": (FileClass.UNKNOWN, b"version https://git-lfs.github.com/spec/v1\n"),
    "too-long.safetensors": (FileClass.UNKNOWN, safetensors() + b"\0"),
    "latin.txt": (FileClass.UNKNOWN, "naïve".encode("latin-1")),
    "half-text.txt": (FileClass.UNKNOWN, b"words " * 40_000 + b"\0\1"),
    "packed.zst": (FileClass.UNKNOWN, b"\x28\xb5\x2f\xfd" + b"\0" * 20),
    "pictures.tar.gz": (FileClass.UNKNOWN, gzip.compress(tarred({"a.ppm": b"\1" * 200_000}), mtime=0)),
    "cut.parquet": (FileClass.UNKNOWN, b"PAR1" + b"\0" * 20),
    "strange.npy": (FileClass.UNKNOWN, npy("'<f4' if 1 else 2")),
    "half.zip": (FileClass.UNKNOWN, zipped({"a.txt": b"1" * 100})[:100]),
}
"""By name: the class, and the bytes."""
