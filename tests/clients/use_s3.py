"""What unmodified clients of S3 do with a mirror: run by the interpreter of their own environment.

`python use_s3.py URL BUCKET PREFIX SHA256SUMS PARQUET TOKEN`: the door's address, where a snapshot is there, what its
files are, the path of one that DuckDB and pyarrow read as a table (three rows, a column `n`), and an access key. Prints
a line of JSON for each client, with what went wrong; nothing where all went well.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

URL, BUCKET, PREFIX, SUMS, TABLE, KEY = sys.argv[1:]
WANTED: dict[str, str] = json.loads(SUMS)
SECRET = "not-looked-at"
os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}


def same(found: dict[str, bytes]) -> None:
    sums = {path: hashlib.sha256(body).hexdigest() for path, body in found.items()}
    assert sums == WANTED, sorted(set(sums.items()) ^ set(WANTED.items()))


def by_s3fs() -> None:
    import s3fs

    fs = s3fs.S3FileSystem(key=KEY, secret=SECRET, client_kwargs={"endpoint_url": URL, "region_name": "us-east-1"})
    base = f"{BUCKET}/{PREFIX}"
    same({path.removeprefix(base): fs.cat_file(path) for path in fs.find(base)})
    assert fs.info(base + TABLE)["size"] > 0
    assert not fs.exists(base + "none")
    assert fs.isdir(base.rstrip("/"))
    with fs.open(base + TABLE) as file:
        file.seek(2)
        whole = fs.cat_file(base + TABLE)
        assert file.read(5) == whole[2:7]
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
    assert pyarrow.parquet.read_table(base + TABLE, filesystem=fs)["n"].to_pylist() == [1, 2, 3]


def by_duckdb() -> None:
    import duckdb
    import duckdb_extension_httpfs

    (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    base = duckdb.connect()
    base.execute(f"LOAD '{extension}'")
    address = URL.partition("://")[2]
    base.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{address}', URL_STYLE 'path', USE_SSL false)"
    )
    for path in (f"s3://{BUCKET}/{PREFIX}{TABLE}", f"s3://{BUCKET}/{PREFIX}*.parquet"):
        assert base.execute(f"SELECT sum(n), count(*) FROM '{path}'").fetchall() == [(6, 3)], path


def by_runai() -> None:
    os.environ |= {"AWS_ENDPOINT_URL": URL, "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    from runai_model_streamer import SafetensorsStreamer

    path = next(path for path in WANTED if path.endswith(".safetensors"))
    with SafetensorsStreamer() as streamer:
        streamer.stream_file(f"s3://{BUCKET}/{PREFIX}{path}")
        tensors = {name: tensor.tolist() for name, tensor in streamer.get_tensors()}
    assert tensors == {"w": [1.0, 2.0, 3.0, 4.0]}, tensors


CLIENTS: dict[str, Callable[[], None]] = {"s3fs": by_s3fs, "pyarrow": by_pyarrow, "DuckDB": by_duckdb, "runai": by_runai}

for name, use in CLIENTS.items():
    failed = ""
    try:
        use()
    except Exception:
        failed = traceback.format_exc()[-1500:]
    print(json.dumps({"client": name, "failed": failed}), flush=True)
