"""Writes files with the libraries of their formats: `python made.py FOLDER`, in the environment `formats`.

Each name begins with the class that its file is of; nothing in a file does anything.
"""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import gguf
import h5py
import joblib
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper
from safetensors.numpy import save_file


def arrays(folder: Path) -> None:
    floats, objects = np.zeros(5, dtype=np.float32), np.array([{"a": 1}, 2], dtype=object)
    fields = np.zeros(3, dtype=[("x", "<f4"), ("y", "<i8", (2, 2))])
    for name, array in (("data-plain", floats), ("data-fields", fields), ("data-days", np.array(["2020"], "M8[D]"))):
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "data-words.npy", np.array(["a", "bc"]))
    np.save(folder / "pickle-objects.npy", objects)
    np.save(folder / "pickle-object-field.npy", np.zeros(2, dtype=[("x", "O")]))
    np.savez(folder / "container-plain.npz", a=floats, b=np.ones(3))
    np.savez_compressed(folder / "container-packed.npz", a=floats)
    np.savez(folder / "pickle-objects.npz", a=floats, b=objects)
    save_file({"a": floats, "b": np.ones((2, 2))}, folder / "data-model.safetensors", {"format": "np"})
    save_file({}, folder / "data-no-tensor.safetensors")
    with h5py.File(folder / "container-weights.h5", "w") as file:
        file["layer/kernel"] = floats
    with h5py.File(folder / "code-lambda.h5", "w") as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": [{"class_name": "Lambda"}]}'


def tables(folder: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    pq.write_table(table, folder / "data-table.parquet")
    with pa.OSFile(str(folder / "data-file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.OSFile(str(folder / "data-stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def models(folder: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), folder / "container-tiny.onnx")
    weights = helper.make_tensor("w", TensorProto.FLOAT, [5000], np.zeros(5000).tolist())
    larger = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    onnx.save(helper.make_model(larger, producer_name="tests", doc_string="words"), folder / "container-larger.onnx")


def quantized(folder: Path) -> None:
    writer = gguf.GGUFWriter(folder / "container-tiny.gguf", "llama")
    writer.add_block_count(1)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def pickles(folder: Path) -> None:
    value = OrderedDict(a=np.zeros(100), b={"c": [1, 2.5, None]})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (folder / f"pickle-protocol-{protocol}").write_bytes(pickle.dumps(value, protocol))
    joblib.dump(value, folder / "pickle-plain.joblib")
    for suffix in ("z", "gz", "bz2", "xz", "lzma"):
        joblib.dump(value, folder / f"pickle-packed.{suffix}", compress=3)


if __name__ == "__main__":
    for make in (arrays, tables, models, quantized, pickles):
        make(Path(sys.argv[1]))
