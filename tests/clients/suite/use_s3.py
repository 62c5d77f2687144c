"""What unmodified clients of S3 do with a mirror: run by the interpreter of their own environment.

`python use_s3.py CLIENT URL BUCKET PREFIX FOLDER KEY`: the door's address, where a snapshot is there, the same files in
a folder, and an access key. Fails where the client finds anything else than these.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CLIENT, URL, BUCKET, PREFIX, FOLDER, KEY = sys.argv[1:]
FILES = {str(one.relative_to(FOLDER)): one for one in Path(FOLDER).rglob("*") if one.is_file()}
WANTED = {path: hashlib.sha256(one.read_bytes()).hexdigest() for path, one in FILES.items()}
SECRET = "not-looked-at"
os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}


def same(found: dict[str, bytes]) -> None:
    sums = {path: hashlib.sha256(body).hexdigest() for path, body in found.items()}
    assert sums == WANTED, sorted(set(sums.items()) ^ set(WANTED.items()))


def one_of(suffix: str) -> str:
    return next(path for path in sorted(FILES) if path.endswith(suffix))


def by_s3fs() -> None:
    import s3fs

    fs = s3fs.S3FileSystem(key=KEY, secret=SECRET, client_kwargs={"endpoint_url": URL, "region_name": "us-east-1"})
    base = f"{BUCKET}/{PREFIX}"
    same({path.removeprefix(base): fs.cat_file(path) for path in fs.find(base)})
    some = max(FILES, key=lambda path: FILES[path].stat().st_size)
    assert fs.info(base + some)["size"] == FILES[some].stat().st_size
    assert not fs.exists(base + "none")
    assert fs.isdir(base.rstrip("/"))
    with fs.open(base + some) as file:
        file.seek(2)
        assert file.read(5) == FILES[some].read_bytes()[2:7]
    with tempfile.TemporaryDirectory() as folder:
        fs.get(base, folder, recursive=True)
        same({str(one.relative_to(folder)): one.read_bytes() for one in Path(folder).rglob("*") if one.is_file()})


def by_pyarrow() -> None:
    import pyarrow.parquet
    from pyarrow.fs import FileSelector, S3FileSystem

    fs = S3FileSystem(access_key=KEY, secret_key=SECRET, endpoint_override=URL, region="us-east-1")
    base = f"{BUCKET}/{PREFIX}"
    found = {}
    for info in fs.get_file_info(FileSelector(base, recursive=True)):
        if info.is_file:
            with fs.open_input_file(info.path) as file:
                found[info.path.removeprefix(base)] = file.read()
    same(found)
    table = one_of(".parquet")
    assert pyarrow.parquet.read_table(base + table, filesystem=fs).equals(pyarrow.parquet.read_table(FILES[table]))


def by_duckdb() -> None:
    import duckdb
    import duckdb_extension_httpfs

    (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    base = duckdb.connect()
    base.execute(f"LOAD '{extension}'")
    address = URL.partition("://")[2]
    base.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{address}', URL_STYLE 'path', "
        "USE_SSL false)"
    )
    table = one_of(".parquet")
    folder = table.rpartition("/")[0]
    for there, here in (
        (table, FILES[table]),
        (f"{folder}/*.parquet".lstrip("/"), Path(FOLDER) / folder / "*.parquet"),
    ):
        found = base.execute(f"SELECT * FROM 's3://{BUCKET}/{PREFIX}{there}'").fetchall()
        assert found == base.execute(f"SELECT * FROM '{here}'").fetchall() != []


def by_runai() -> None:
    os.environ |= {
        "AWS_ENDPOINT_URL": URL,
        "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    from runai_model_streamer import SafetensorsStreamer

    path = one_of(".safetensors")
    with SafetensorsStreamer() as streamer:
        streamer.stream_file(f"s3://{BUCKET}/{PREFIX}{path}")
        tensors = {name: tensor.cpu().numpy().tobytes() for name, tensor in streamer.get_tensors()}
    body = FILES[path].read_bytes()
    begin = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(body[8:begin])
    header.pop("__metadata__", None)
    spans = {name: one["data_offsets"] for name, one in header.items()}
    assert tensors == {name: body[begin + start : begin + stop] for name, (start, stop) in spans.items()}


CLIENTS: dict[str, Callable[[], None]] = {
    "s3fs": by_s3fs,
    "pyarrow": by_pyarrow,
    "duckdb": by_duckdb,
    "runai": by_runai,
}
CLIENTS[CLIENT]()
sys.stdout.write(f"{len(FILES)} files\n")
