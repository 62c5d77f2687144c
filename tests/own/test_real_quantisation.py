"""The guide's script, as it is printed there, makes eight bits of a real GGUF file by the library `gguf`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.outcome.events import Event, TransformEnded
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_listing, read_refs, read_root
from mirror_sync.wiring.program import Mirror
from tests.clients.environments import python
from tests.stores.places import read

GUIDE = Path(__file__).parents[2] / "docs/guide/own-models.md"
MAKE = """
import sys, numpy
from gguf import GGUFWriter
writer = GGUFWriter(sys.argv[1], "llama")
writer.add_tensor("blk.0.attn_q.weight", numpy.arange(64 * 32, dtype=numpy.float32).reshape(64, 32) / 2048)
writer.add_tensor("blk.0.attn_norm.weight", numpy.ones(32, dtype=numpy.float32))
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
"""
LOOK = """
import sys, json, numpy
from gguf import GGUFReader
from gguf.quants import dequantize
found = {one.name: (one.tensor_type.name, float(abs(dequantize(one.data, one.tensor_type)).max()))
         for one in GGUFReader(sys.argv[1]).tensors}
print(json.dumps(found))
"""


def test_a_gguf_file_is_requantised_and_pushed(tmp_path: Path) -> None:
    interpreter = python("formats")
    (script,) = re.findall(r'```python\n(""".*?)```', GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "to-q8.py").write_text(script)
    folder = tmp_path / "upstream/acme-lab/tiny"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    subprocess.run([interpreter, "-c", MAKE, folder / "tiny.gguf"], check=True)
    command = [str(interpreter), str(tmp_path / "to-q8.py"), "{input}", "{output}"]
    settings = {
        "state_dir": str(tmp_path / "state"),
        "upstreams": {
            "lab": {"kind": "directory", "url": str(tmp_path / "upstream")},
            "ours": {"kind": "own", "url": f"file://{tmp_path}/own"},
        },
        "targets": {"it": {"url": str(tmp_path / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "jobs": [
            {
                "name": "base",
                "upstream": "lab",
                "repos": ["acme-lab/tiny"],
                "transform": {"command": command, "into": "acme/{name}-q8", "upstream": "ours"},
            },
            {"name": "ours", "upstream": "ours", "repos": ["acme/*"]},
        ],
    }
    path = tmp_path / "jobs.yaml"
    path.write_text(json.dumps(settings))
    events: list[Event] = []
    mirror = Mirror(load(path, {}), (events.append,))
    assert mirror.sync(Actor(ActorKind.USER, "tester@here"), ["base"]).ok
    (ended,) = [event for event in events if isinstance(event, TransformEnded)]
    assert (ended.reason, ended.said) == ("", "done")
    store = mirror.store("it")
    refs = read_refs(store, Repo.parse("acme/tiny-q8"))
    (entry,) = read_listing(store, read_root(store, next(iter(refs.snapshots.values()))))
    assert entry.path == "tiny-Q8_0.gguf"
    made = tmp_path / "made.gguf"
    made.write_bytes(read(store, f"blobs/sha256/{entry.sha256[:2]}/{entry.sha256}"))
    looked = subprocess.run([interpreter, "-c", LOOK, made], check=True, capture_output=True, text=True).stdout
    found = json.loads(looked)
    assert {name: kind for name, (kind, _) in found.items()} == {
        "blk.0.attn_q.weight": "Q8_0",
        "blk.0.attn_norm.weight": "F32",
    }
    assert abs(found["blk.0.attn_q.weight"][1] - 2047 / 2048) < 0.01
    mirror.close()
