#!/bin/sh
# safetensors 0.8.0 (Python 3.11, numpy 2.4.6): the same tensors saved again and again, with the same metadata.
# Expected: the same bytes each time, as without metadata.
# Seen: the entries of `__metadata__` are written in an order drawn anew at each call, within one process too. A file that was
#   made again from the same weights has the same size, and another digest: it is stored, sent and signed as another file.
#   (Known to its makers: safetensors/safetensors, issue 584.)
# Output seen:
#   without metadata: 10 files, 1 content
#   with one entry: 10 files, 1 content
#   with 16 entries: 10 files, more than one content, equal when read
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cat > "$folder/save.py" <<'PYTHON'
import json

import numpy
from safetensors.numpy import save


def files(entries):
    tensors = {name: numpy.ones((2, 2), numpy.float32) for name in ("b", "a", "c")}
    metadata = {f"key{number}": "value" for number in range(entries)} or None
    return [save(tensors, metadata) for _ in range(10)]


def read(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


without, one, many = files(0), files(1), files(16)
print("without metadata: 10 files,", len(set(without)), "content")
print("with one entry: 10 files,", len(set(one)), "content")
shuffled = len(set(many)) > 1 and all(read(content) == read(many[0]) for content in many)
print("with 16 entries: 10 files,", "more than one content, equal when read" if shuffled else "as they should be")
raise SystemExit(0 if (len(set(without)), len(set(one)), shuffled) == (1, 1, True) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/save.py"
