#!/bin/sh
# onnx 1.23.2 (Python 3.11, numpy 2.4.6): a model with external data saved again, to the same path.
# Expected: both files are written anew, as the model itself is, and as a first save would write them.
# Seen: the model is written anew, and the data is put behind what the data file held. Each save makes it longer, the former
#   weights stay in it unseen, and are published, stored and downloaded along. The model reads well, its offset is behind them.
# Output seen:
#   saved once: 4096 bytes, offset 0
#   saved twice: 8192 bytes, offset 4096
#   the former weights are still there: True
#   read back: the weights of the second save
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 numpy==2.4.6
cat > "$folder/save.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

path, data = Path(sys.argv[1], "model.onnx"), Path(sys.argv[1], "weights.bin")


def save(value):
    weights = numpy.full((32, 32), value, numpy.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32]) for name in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")])
    onnx.save_model(helper.make_model(graph), path, save_as_external_data=True, location=data.name)
    stored = onnx.load(path, load_external_data=False).graph.initializer[0].external_data
    offset = next((entry.value for entry in stored if entry.key == "offset"), None)
    return weights, f"{data.stat().st_size} bytes, offset {offset}"


former, once = save(1)
latter, twice = save(2)
kept = former.tobytes() in data.read_bytes()
right = numpy.array_equal(numpy_helper.to_array(onnx.load(path).graph.initializer[0]), latter)
print("saved once:", once)
print("saved twice:", twice)
print("the former weights are still there:", kept)
print("read back:", "the weights of the second save" if right else "other weights")
found = (once, twice, kept, right)
raise SystemExit(0 if found == ("4096 bytes, offset 0", "8192 bytes, offset 4096", True, True) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/save.py" "$folder"
